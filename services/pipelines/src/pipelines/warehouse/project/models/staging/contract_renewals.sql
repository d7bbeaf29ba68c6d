MODEL (
  name staging.contract_renewals,
  kind FULL,
  grain (contract_id, renewed_at),
  description 'A renewal of a contract.',
  audits (
    unique_combination_of_columns(columns := (contract_id, renewed_at)),
    not_null(columns := (contract_id, renewed_at, known_at)),
    accepted_range(column := rate_yen, min_v := 500, max_v := 100000)
  )
);

SELECT
  raw.contract_id,
  raw.renewed_at AT TIME ZONE 'UTC' AS renewed_at,
  CAST(raw.rate_yen AS BIGINT) AS rate_yen,
  GREATEST(raw.renewed_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.contract_renewals AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.contract_id, raw.renewed_at ORDER BY raw.ingested_at) = 1
