MODEL (
  name staging.companies,
  kind FULL,
  grain company_id,
  description 'A company.',
  audits (
    unique_values(columns := (company_id,)),
    not_null(columns := (company_id, known_at)),
    in_vocabulary(column := industry, vocabulary := 'INDUSTRIES'),
    accepted_range(column := company_size, min_v := 0)
  )
);

SELECT
  raw.company_id,
  raw.industry,
  CAST(raw.size AS BIGINT) AS company_size,
  raw.created_at AT TIME ZONE 'UTC' AS created_at,
  GREATEST(raw.created_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.companies AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.company_id ORDER BY raw.ingested_at) = 1
