MODEL (
  name features.candidate_access,
  kind FULL,
  grain (candidate_id, event_timestamp),
  description 'From where and when the person logged in before the snapshot.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, event_timestamp)),
    not_null(columns := (candidate_id, event_timestamp, created_timestamp)),
    no_future(column := event_timestamp),
    accepted_range(column := foreign_ip_share_90d, min_v := 0, max_v := 1),
    accepted_range(column := utc9_share_90d, min_v := 0, max_v := 1),
    accepted_range(column := night_jst_share_90d, min_v := 0, max_v := 1),
    accepted_range(column := days_since_login, min_v := 0),
    in_vocabulary(column := last_ip_country, vocabulary := 'COUNTRIES')
  )
);

WITH recent AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    login.ip_country,
    login.utc_offset_minutes,
    COUNT(*) AS logins,
    COUNT(CASE WHEN login.logged_in_at >= snapshot.event_timestamp - INTERVAL '30 day' THEN 1 END) AS logins_30d,
    COUNT(CASE WHEN EXTRACT(HOUR FROM login.logged_in_at) BETWEEN 15 AND 20 THEN 1 END) AS night_jst
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.logins AS login
    ON login.candidate_id = snapshot.candidate_id
    AND login.known_at <= snapshot.event_timestamp
    AND login.logged_in_at >= snapshot.event_timestamp - INTERVAL '90 day'
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp, login.ip_country, login.utc_offset_minutes
), totals AS (
  SELECT
    candidate_id,
    event_timestamp,
    SUM(logins) AS logins,
    SUM(logins_30d) AS logins_30d,
    SUM(night_jst) AS night_jst,
    SUM(CASE WHEN ip_country <> 'JP' THEN logins ELSE 0 END) AS foreign_ip,
    SUM(CASE WHEN ip_country IS NOT NULL THEN logins ELSE 0 END) AS known_ip,
    SUM(CASE WHEN utc_offset_minutes = 540 THEN logins ELSE 0 END) AS utc9,
    SUM(CASE WHEN utc_offset_minutes IS NOT NULL THEN logins ELSE 0 END) AS known_offset,
    COUNT(DISTINCT ip_country) AS ip_countries
  FROM recent
  GROUP BY candidate_id, event_timestamp
), offsets AS (
  SELECT
    candidate_id,
    event_timestamp,
    utc_offset_minutes,
    ROW_NUMBER() OVER (
      PARTITION BY candidate_id, event_timestamp ORDER BY SUM(logins) DESC, utc_offset_minutes
    ) AS place
  FROM recent
  WHERE utc_offset_minutes IS NOT NULL
  GROUP BY candidate_id, event_timestamp, utc_offset_minutes
), latest AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    MAX(login.logged_in_at) AS logged_in_at
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.logins AS login
    ON login.candidate_id = snapshot.candidate_id AND login.known_at <= snapshot.event_timestamp
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp
)
SELECT
  snapshot.candidate_id,
  snapshot.event_timestamp,
  snapshot.event_timestamp AS created_timestamp,
  CAST(COALESCE(totals.logins_30d, 0) AS BIGINT) AS logins_30d,
  CAST(COALESCE(totals.logins, 0) AS BIGINT) AS logins_90d,
  CAST(totals.foreign_ip AS DOUBLE) / NULLIF(totals.known_ip, 0) AS foreign_ip_share_90d,
  CAST(totals.utc9 AS DOUBLE) / NULLIF(totals.known_offset, 0) AS utc9_share_90d,
  CAST(COALESCE(totals.ip_countries, 0) AS BIGINT) AS ip_countries_90d,
  CAST(offsets.utc_offset_minutes AS BIGINT) AS utc_offset_mode_90d,
  CAST(totals.night_jst AS DOUBLE) / NULLIF(totals.logins, 0) AS night_jst_share_90d,
  CAST(DATE_DIFF('day', latest.logged_in_at, snapshot.event_timestamp) AS BIGINT) AS days_since_login,
  last_login.ip_country AS last_ip_country
FROM spine.candidate_snapshots AS snapshot
LEFT JOIN totals ON totals.candidate_id = snapshot.candidate_id AND totals.event_timestamp = snapshot.event_timestamp
LEFT JOIN offsets
  ON offsets.candidate_id = snapshot.candidate_id
  AND offsets.event_timestamp = snapshot.event_timestamp
  AND offsets.place = 1
LEFT JOIN latest ON latest.candidate_id = snapshot.candidate_id AND latest.event_timestamp = snapshot.event_timestamp
LEFT JOIN staging.logins AS last_login
  ON last_login.candidate_id = latest.candidate_id AND last_login.logged_in_at = latest.logged_in_at
