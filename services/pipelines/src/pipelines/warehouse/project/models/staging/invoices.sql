MODEL (
  name staging.invoices,
  kind FULL,
  grain invoice_id,
  description 'A month''s invoice of a contract.',
  audits (
    unique_values(columns := (invoice_id,)),
    not_null(columns := (invoice_id, known_at)),
    accepted_range(column := hours, min_v := 0, max_v := 744),
    accepted_range(column := amount_yen, min_v := 0)
  )
);

SELECT
  raw.invoice_id,
  raw.contract_id,
  raw.month,
  CAST(raw.hours AS DECIMAL(12, 3)) AS hours,
  CAST(raw.amount_yen AS BIGINT) AS amount_yen,
  raw.issued_at AT TIME ZONE 'UTC' AS issued_at,
  raw.paid_at AT TIME ZONE 'UTC' AS paid_at,
  GREATEST(raw.issued_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.invoices AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.invoice_id ORDER BY raw.ingested_at) = 1
