MODEL (
  name staging.contract_evaluations,
  kind FULL,
  grain evaluation_id,
  description 'A company''s evaluation of a contract.',
  audits (
    unique_values(columns := (evaluation_id,)),
    not_null(columns := (evaluation_id, candidate_id, known_at)),
    accepted_range(column := skill_rating, min_v := 1, max_v := 5),
    accepted_range(column := business_rating, min_v := 1, max_v := 5)
  )
);

SELECT
  raw.evaluation_id,
  raw.contract_id,
  raw.candidate_id,
  raw.evaluated_at AT TIME ZONE 'UTC' AS evaluated_at,
  CAST(raw.skill_rating AS BIGINT) AS skill_rating,
  CAST(raw.business_rating AS BIGINT) AS business_rating,
  GREATEST(raw.evaluated_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.contract_evaluations AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.evaluation_id ORDER BY raw.ingested_at) = 1
