MODEL (
  name features.candidate_pool,
  kind FULL,
  grain candidate_id,
  description 'Candidates who are open to offers at the end of the data: whom a shortlist may name.',
  audits (
    unique_values(columns := (candidate_id,)),
    not_null(columns := (candidate_id, as_of))
  )
);

WITH versions AS (
  SELECT
    candidate_id,
    open_to_offers,
    ROW_NUMBER() OVER (PARTITION BY candidate_id ORDER BY updated_at DESC) AS recency
  FROM staging.candidates
  WHERE known_at <= CAST(@snapshot_end AS TIMESTAMP)
)
SELECT candidate_id, CAST(@snapshot_end AS TIMESTAMP) AS as_of
FROM versions
WHERE recency = 1 AND open_to_offers
