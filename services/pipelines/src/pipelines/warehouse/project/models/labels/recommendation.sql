MODEL (
  name labels.recommendation,
  kind FULL,
  grain label_id,
  description 'Whether an application ended in a hire (1), once decided; features are joined as of the application. Withdrawn ones are no verdict on the fit.',
  audits (
    unique_values(columns := (label_id,)),
    not_null(columns := (label_id, candidate_id, label_time, available_at, label)),
    no_future(column := label_time),
    not_null(columns := (job_id,)),
    accepted_values(column := label, is_in := (0, 1))
  )
);

SELECT
  application_id AS label_id,
  candidate_id,
  job_id,
  applied_at AS label_time,
  GREATEST(decided_at, known_at) AS available_at,
  CAST(CASE WHEN status = 'hired' THEN 1 ELSE 0 END AS DOUBLE) AS label
FROM staging.applications
WHERE status IN ('hired', 'rejected')
  AND decided_at <= CAST(@snapshot_end AS TIMESTAMP)
