MODEL (
  name spine.candidate_snapshots,
  kind FULL,
  grain (candidate_id, event_timestamp),
  description 'Which candidates have features as of which times: the start of the day (or week) of each label, a regular grid if wanted, and the end of the data for everybody. A candidate appears once the export has seen the profile.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, event_timestamp)),
    not_null(columns := (candidate_id, event_timestamp)),
    no_future(column := event_timestamp)
  )
);

WITH known AS (
  SELECT candidate_id, MIN(known_at) AS known_at FROM staging.candidates GROUP BY candidate_id
), wanted AS (
  SELECT candidate_id, DATE_TRUNC(@snapshot_unit, label_time) AS event_timestamp FROM labels.residency
  UNION
  SELECT candidate_id, DATE_TRUNC(@snapshot_unit, label_time) AS event_timestamp FROM labels.skill_experience
  UNION
  SELECT candidate_id, DATE_TRUNC(@snapshot_unit, label_time) AS event_timestamp FROM labels.business_experience
  UNION
  SELECT candidate_id, DATE_TRUNC(@snapshot_unit, label_time) AS event_timestamp FROM labels.hourly_rate
  UNION
  SELECT candidate_id, DATE_TRUNC(@snapshot_unit, label_time) AS event_timestamp FROM labels.recommendation
  UNION
  SELECT known.candidate_id, grid.snapshot_at AS event_timestamp FROM known CROSS JOIN source.snapshot_grid AS grid
)
SELECT wanted.candidate_id, wanted.event_timestamp
FROM wanted
INNER JOIN known ON known.candidate_id = wanted.candidate_id AND known.known_at <= wanted.event_timestamp
