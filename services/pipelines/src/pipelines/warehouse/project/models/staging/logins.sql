MODEL (
  name staging.logins,
  kind FULL,
  grain (candidate_id, logged_in_at),
  description 'A login of a person. One within five seconds of another is the same login, counted twice.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, logged_in_at)),
    not_null(columns := (candidate_id, logged_in_at, known_at)),
    in_vocabulary(column := ip_country, vocabulary := 'COUNTRIES'),
    accepted_range(column := utc_offset_minutes, min_v := -720, max_v := 840)
  )
);

WITH typed AS (
  SELECT
    raw.candidate_id,
    raw.logged_in_at AT TIME ZONE 'UTC' AS logged_in_at,
    raw.ip_country,
    CAST(raw.utc_offset_minutes AS BIGINT) AS utc_offset_minutes,
    raw.device,
    raw.ingested_at AT TIME ZONE 'UTC' AS ingested_at
  FROM source.logins AS raw
), spaced AS (
  SELECT
    *,
    LAG(logged_in_at) OVER (PARTITION BY candidate_id ORDER BY logged_in_at, ingested_at) AS previous_at
  FROM typed
)
SELECT
  candidate_id,
  logged_in_at,
  ip_country,
  utc_offset_minutes,
  device,
  GREATEST(logged_in_at, ingested_at) AS known_at
FROM spaced
WHERE previous_at IS NULL OR logged_in_at > previous_at + INTERVAL '5 second'
