MODEL (
  name staging.jobs,
  kind FULL,
  grain job_id,
  description 'A job that a company offers.',
  audits (
    unique_values(columns := (job_id,)),
    not_null(columns := (job_id, known_at)),
    in_vocabulary(column := role, vocabulary := 'ROLES'),
    in_vocabulary(column := seniority, vocabulary := 'SENIORITIES'),
    in_vocabulary(column := remote, vocabulary := 'REMOTE_MODES'),
    accepted_range(column := rate_max_yen, min_v := 0, max_v := 200000),
    accepted_range(column := hours_week, min_v := 0, max_v := 168)
  )
);

SELECT
  raw.job_id,
  raw.company_id,
  raw.role,
  raw.seniority,
  CAST(raw.rate_min_yen AS BIGINT) AS rate_min_yen,
  CAST(raw.rate_max_yen AS BIGINT) AS rate_max_yen,
  CAST(raw.hours_week AS BIGINT) AS hours_week,
  raw.remote,
  raw.english_required,
  raw.opened_at AT TIME ZONE 'UTC' AS opened_at,
  raw.closed_at AT TIME ZONE 'UTC' AS closed_at,
  GREATEST(raw.opened_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.jobs AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.job_id ORDER BY raw.ingested_at) = 1
