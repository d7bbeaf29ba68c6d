MODEL (
  name staging.contracts,
  kind FULL,
  grain contract_id,
  description 'A signed contract.',
  audits (
    unique_values(columns := (contract_id,)),
    not_null(columns := (contract_id, candidate_id, job_id, known_at)),
    accepted_range(column := rate_yen, min_v := 500, max_v := 100000),
    accepted_range(column := hours_week, min_v := 0, max_v := 168),
    ordered_days(earlier := started_on, later := ended_on)
  )
);

SELECT
  raw.contract_id,
  raw.application_id,
  raw.job_id,
  raw.candidate_id,
  raw.started_on,
  raw.ended_on,
  CAST(raw.rate_yen AS BIGINT) AS rate_yen,
  CAST(raw.hours_week AS BIGINT) AS hours_week,
  raw.signed_at AT TIME ZONE 'UTC' AS signed_at,
  GREATEST(raw.signed_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.contracts AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.contract_id ORDER BY raw.ingested_at) = 1
