MODEL (
  name staging.articles,
  kind FULL,
  grain (candidate_id, day),
  description 'A day of a person''s published articles; the day is over when it counts.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, day)),
    not_null(columns := (candidate_id, day, known_at)),
    accepted_range(column := articles, min_v := 0),
    accepted_range(column := likes, min_v := 0)
  )
);

SELECT
  raw.candidate_id,
  raw.day,
  CAST(raw.articles AS BIGINT) AS articles,
  CAST(raw.likes AS BIGINT) AS likes,
  GREATEST(raw.day + INTERVAL '1 day', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.articles AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.candidate_id, raw.day ORDER BY raw.ingested_at) = 1
