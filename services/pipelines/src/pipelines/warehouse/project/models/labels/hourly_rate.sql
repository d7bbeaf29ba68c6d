MODEL (
  name labels.hourly_rate,
  kind FULL,
  grain label_id,
  description 'Yen an hour that a contract was signed or renewed at (`kind`); features are joined as of that time, so a contract never explains itself when it is signed.',
  audits (
    unique_values(columns := (label_id,)),
    not_null(columns := (label_id, candidate_id, label_time, available_at, label)),
    no_future(column := label_time),
    accepted_range(column := label, min_v := 500, max_v := 100000),
    accepted_values(column := kind, is_in := ('signed', 'renewed'))
  )
);

WITH agreed AS (
  SELECT contract_id AS label_id, contract_id, candidate_id, 'signed' AS kind, signed_at AS label_time, known_at, rate_yen
  FROM staging.contracts
  UNION ALL
  SELECT
    renewal.contract_id || ':' || CAST(CAST(renewal.renewed_at AS DATE) AS VARCHAR) AS label_id,
    renewal.contract_id,
    contract.candidate_id,
    'renewed' AS kind,
    renewal.renewed_at AS label_time,
    renewal.known_at,
    renewal.rate_yen
  FROM staging.contract_renewals AS renewal
  INNER JOIN staging.contracts AS contract ON contract.contract_id = renewal.contract_id
)
SELECT
  label_id,
  contract_id,
  candidate_id,
  kind,
  label_time,
  known_at AS available_at,
  CAST(rate_yen AS DOUBLE) AS label
FROM agreed
WHERE label_time <= CAST(@snapshot_end AS TIMESTAMP)
