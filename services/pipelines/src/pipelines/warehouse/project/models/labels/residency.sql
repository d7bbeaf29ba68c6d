MODEL (
  name labels.residency,
  kind FULL,
  grain label_id,
  description 'Lives abroad (1) or not (0), as an identity check found; features are joined as of the check.',
  audits (
    unique_values(columns := (label_id,)),
    not_null(columns := (label_id, candidate_id, label_time, available_at, label)),
    no_future(column := label_time),
    accepted_values(column := label, is_in := (0, 1))
  )
);

SELECT
  check_id AS label_id,
  candidate_id,
  checked_at AS label_time,
  known_at AS available_at,
  CAST(CASE WHEN lives_abroad THEN 1 ELSE 0 END AS DOUBLE) AS label
FROM staging.identity_checks
WHERE checked_at <= CAST(@snapshot_end AS TIMESTAMP)
