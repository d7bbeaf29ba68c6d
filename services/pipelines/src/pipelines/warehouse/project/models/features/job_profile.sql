MODEL (
  name features.job_profile,
  kind FULL,
  grain (job_id, event_timestamp),
  description 'The job and its company, and the applications that it had received by the snapshot.',
  audits (
    unique_combination_of_columns(columns := (job_id, event_timestamp)),
    not_null(columns := (job_id, event_timestamp, created_timestamp)),
    no_future(column := event_timestamp),
    accepted_range(column := job_age_days, min_v := 0),
    accepted_range(column := job_skill_mask, min_v := 0, max_v := 4503599627370495)
  )
);

WITH applied AS (
  SELECT snapshot.job_id, snapshot.event_timestamp, COUNT(*) AS applications
  FROM spine.job_snapshots AS snapshot
  INNER JOIN staging.applications AS application
    ON application.job_id = snapshot.job_id
    AND application.known_at <= snapshot.event_timestamp
    AND application.applied_at >= snapshot.event_timestamp - INTERVAL '30 day'
    -- The export has one row an application, from its decision on; pending ones would be seen today but never in history.
    AND application.status <> 'pending'
  GROUP BY snapshot.job_id, snapshot.event_timestamp
)
SELECT
  snapshot.job_id,
  snapshot.event_timestamp,
  snapshot.event_timestamp AS created_timestamp,
  job.role AS job_role,
  job.seniority AS job_seniority,
  company.industry AS job_industry,
  company.company_size,
  job.rate_min_yen AS job_rate_min_yen,
  job.rate_max_yen AS job_rate_max_yen,
  job.hours_week AS job_hours_week,
  job.remote AS job_remote,
  CAST(job.english_required AS BIGINT) AS job_english_required,
  COALESCE(required.skill_mask, 0) AS job_skill_mask,
  COALESCE(required.skill_count, 0) AS job_skill_count,
  CAST(DATE_DIFF('day', job.opened_at, snapshot.event_timestamp) AS BIGINT) AS job_age_days,
  COALESCE(applied.applications, 0) AS job_applications_30d
FROM spine.job_snapshots AS snapshot
INNER JOIN staging.jobs AS job ON job.job_id = snapshot.job_id
LEFT JOIN staging.companies AS company
  ON company.company_id = job.company_id AND company.known_at <= snapshot.event_timestamp
LEFT JOIN staging.job_skills AS required ON required.job_id = job.job_id
LEFT JOIN applied ON applied.job_id = snapshot.job_id AND applied.event_timestamp = snapshot.event_timestamp
