MODEL (
  name staging.applications,
  kind FULL,
  grain application_id,
  description 'An application of a person to a job, with the decision that stands at the end of the data.',
  audits (
    unique_values(columns := (application_id,)),
    not_null(columns := (application_id, candidate_id, job_id, known_at)),
    in_vocabulary(column := status, vocabulary := 'APPLICATION_STATUSES'),
    in_vocabulary(column := source, vocabulary := 'APPLICATION_SOURCES')
  )
);

SELECT
  raw.application_id,
  raw.job_id,
  raw.candidate_id,
  raw.applied_at AT TIME ZONE 'UTC' AS applied_at,
  raw.source,
  raw.status,
  raw.decided_at AT TIME ZONE 'UTC' AS decided_at,
  GREATEST(raw.applied_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.applications AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.application_id ORDER BY raw.ingested_at) = 1
