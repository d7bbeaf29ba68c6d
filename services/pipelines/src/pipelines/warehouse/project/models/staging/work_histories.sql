MODEL (
  name staging.work_histories,
  kind FULL,
  grain (history_id, updated_at),
  description 'A version of a position that a person held.',
  audits (
    unique_combination_of_columns(columns := (history_id, updated_at)),
    not_null(columns := (history_id, updated_at, candidate_id, known_at)),
    in_vocabulary(column := industry, vocabulary := 'INDUSTRIES'),
    in_vocabulary(column := employment_type, vocabulary := 'EMPLOYMENT_TYPES'),
    accepted_range(column := company_size, min_v := 0),
    ordered_days(earlier := started_on, later := ended_on)
  )
);

SELECT
  raw.history_id,
  raw.candidate_id,
  raw.industry,
  raw.employment_type,
  raw.started_on,
  raw.ended_on,
  CAST(raw.company_size AS BIGINT) AS company_size,
  raw.is_management,
  raw.updated_at AT TIME ZONE 'UTC' AS updated_at,
  GREATEST(raw.updated_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.work_histories AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.history_id, raw.updated_at ORDER BY raw.ingested_at) = 1
