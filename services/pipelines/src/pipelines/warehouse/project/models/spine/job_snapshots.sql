MODEL (
  name spine.job_snapshots,
  kind FULL,
  grain (job_id, event_timestamp),
  description 'Which jobs have features as of which times; see spine.candidate_snapshots.',
  audits (
    unique_combination_of_columns(columns := (job_id, event_timestamp)),
    not_null(columns := (job_id, event_timestamp)),
    no_future(column := event_timestamp)
  )
);

WITH wanted AS (
  SELECT job_id, DATE_TRUNC(@snapshot_unit, label_time) AS event_timestamp FROM labels.recommendation
  UNION
  SELECT jobs.job_id, grid.snapshot_at AS event_timestamp FROM staging.jobs AS jobs CROSS JOIN source.snapshot_grid AS grid
)
SELECT wanted.job_id, wanted.event_timestamp
FROM wanted
INNER JOIN staging.jobs AS jobs ON jobs.job_id = wanted.job_id AND jobs.known_at <= wanted.event_timestamp
