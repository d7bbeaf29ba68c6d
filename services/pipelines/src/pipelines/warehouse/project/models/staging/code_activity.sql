MODEL (
  name staging.code_activity,
  kind FULL,
  grain (candidate_id, day),
  description 'A day of a person''s public code activity; the day is over when it counts.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, day)),
    not_null(columns := (candidate_id, day, known_at)),
    accepted_range(column := commits, min_v := 0),
    accepted_range(column := repositories, min_v := 0),
    accepted_range(column := stars, min_v := 0)
  )
);

SELECT
  raw.candidate_id,
  raw.day,
  CAST(raw.commits AS BIGINT) AS commits,
  CAST(raw.repositories AS BIGINT) AS repositories,
  CAST(raw.stars AS BIGINT) AS stars,
  CAST(raw.commits_utc_00_06 AS BIGINT) AS commits_utc_00_06,
  CAST(raw.commits_utc_06_12 AS BIGINT) AS commits_utc_06_12,
  CAST(raw.commits_utc_12_18 AS BIGINT) AS commits_utc_12_18,
  CAST(raw.commits_utc_18_24 AS BIGINT) AS commits_utc_18_24,
  GREATEST(raw.day + INTERVAL '1 day', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.code_activity AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.candidate_id, raw.day ORDER BY raw.ingested_at) = 1
