MODEL (
  name staging.candidate_skills,
  kind FULL,
  grain (candidate_id, skill, updated_at),
  description 'A version of a person''s statement about one skill.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, skill, updated_at)),
    not_null(columns := (candidate_id, skill, updated_at, known_at)),
    in_vocabulary(column := skill, vocabulary := 'SKILLS'),
    accepted_range(column := level, min_v := 1, max_v := 5),
    accepted_range(column := years, min_v := 0, max_v := 80),
    accepted_range(column := endorsements, min_v := 0)
  )
);

SELECT
  raw.candidate_id,
  raw.skill,
  CAST(raw.years AS DECIMAL(9, 3)) AS years,
  CAST(raw.level AS BIGINT) AS level,
  CAST(raw.endorsements AS BIGINT) AS endorsements,
  raw.updated_at AT TIME ZONE 'UTC' AS updated_at,
  GREATEST(raw.updated_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.candidate_skills AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.candidate_id, raw.skill, raw.updated_at ORDER BY raw.ingested_at) = 1
