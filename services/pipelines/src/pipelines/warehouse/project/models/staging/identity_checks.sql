MODEL (
  name staging.identity_checks,
  kind FULL,
  grain check_id,
  description 'A check of where a person lives.',
  audits (
    unique_values(columns := (check_id,)),
    not_null(columns := (check_id, candidate_id, known_at)),
    in_vocabulary(column := method, vocabulary := 'CHECK_METHODS')
  )
);

SELECT
  raw.check_id,
  raw.candidate_id,
  raw.checked_at AT TIME ZONE 'UTC' AS checked_at,
  raw.lives_abroad,
  raw.method,
  GREATEST(raw.checked_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.identity_checks AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.check_id ORDER BY raw.ingested_at) = 1
