MODEL (
  name labels.business_experience,
  kind FULL,
  grain label_id,
  description 'The business rating of a contract, 1 to 5; features are joined as of the evaluation.',
  audits (
    unique_values(columns := (label_id,)),
    not_null(columns := (label_id, candidate_id, label_time, available_at, label)),
    no_future(column := label_time),
    accepted_range(column := label, min_v := 1, max_v := 5)
  )
);

SELECT
  evaluation_id AS label_id,
  candidate_id,
  evaluated_at AS label_time,
  known_at AS available_at,
  CAST(business_rating AS DOUBLE) AS label
FROM staging.contract_evaluations
WHERE business_rating IS NOT NULL
  AND evaluated_at <= CAST(@snapshot_end AS TIMESTAMP)
