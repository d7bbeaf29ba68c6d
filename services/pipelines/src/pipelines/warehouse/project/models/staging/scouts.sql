MODEL (
  name staging.scouts,
  kind FULL,
  grain scout_id,
  description 'A scout message.',
  audits (
    unique_values(columns := (scout_id,)),
    not_null(columns := (scout_id, candidate_id, job_id, known_at)),
    in_vocabulary(column := reply, vocabulary := 'SCOUT_REPLIES')
  )
);

SELECT
  raw.scout_id,
  raw.job_id,
  raw.candidate_id,
  raw.sent_at AT TIME ZONE 'UTC' AS sent_at,
  raw.replied_at AT TIME ZONE 'UTC' AS replied_at,
  raw.reply,
  GREATEST(raw.sent_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.scouts AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.scout_id ORDER BY raw.ingested_at) = 1
