MODEL (
  name staging.job_skills,
  kind FULL,
  grain job_id,
  description 'The set of skills that a job requires, as a bit mask.',
  audits (
    unique_values(columns := (job_id,)),
    not_null(columns := (job_id, skill_mask, skill_count)),
    accepted_range(column := skill_count, min_v := 1, max_v := 52)
  )
);

WITH required AS (
  SELECT DISTINCT job_id, UNNEST(required_skills) AS skill FROM source.jobs
)
SELECT
  required.job_id,
  CAST(SUM(CAST(POWER(2, skills.code) AS BIGINT)) AS BIGINT) AS skill_mask,
  COUNT(*) AS skill_count
FROM required
INNER JOIN source.skills AS skills ON skills.skill = required.skill
GROUP BY required.job_id
