MODEL (
  name features.candidate_profile,
  kind FULL,
  grain (candidate_id, event_timestamp),
  description 'The version of the profile that held at the snapshot.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, event_timestamp)),
    not_null(columns := (candidate_id, event_timestamp, created_timestamp)),
    no_future(column := event_timestamp),
    accepted_range(column := bio_japanese_share, min_v := 0, max_v := 1),
    accepted_range(column := account_age_days, min_v := 0)
  )
);

WITH versions AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    version.updated_at,
    ROW_NUMBER() OVER (
      PARTITION BY snapshot.candidate_id, snapshot.event_timestamp ORDER BY version.updated_at DESC
    ) AS recency
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.candidates AS version
    ON version.candidate_id = snapshot.candidate_id AND version.known_at <= snapshot.event_timestamp
)
SELECT
  held.candidate_id,
  held.event_timestamp,
  held.event_timestamp AS created_timestamp,
  profile.role,
  profile.years_experience,
  profile.english_level,
  profile.japanese_level,
  profile.phone_country,
  profile.prefecture,
  profile.desired_rate_yen,
  profile.desired_hours_week,
  profile.remote_preference,
  profile.employment_status,
  CAST(DATE_DIFF('day', profile.created_at, held.event_timestamp) AS BIGINT) AS account_age_days,
  CAST(profile.bio_length AS BIGINT) AS bio_length,
  CAST(profile.bio_japanese_length AS DOUBLE) / NULLIF(profile.bio_length, 0) AS bio_japanese_share,
  CAST(profile.has_github AS BIGINT) AS has_github,
  CAST(profile.headline_length AS BIGINT) AS headline_length
FROM versions AS held
INNER JOIN staging.candidates AS profile
  ON profile.candidate_id = held.candidate_id AND profile.updated_at = held.updated_at
WHERE held.recency = 1
