MODEL (
  name features.candidate_activity,
  kind FULL,
  grain (candidate_id, event_timestamp),
  description 'Public code and articles of the days before the snapshot that the export had seen.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, event_timestamp)),
    not_null(columns := (candidate_id, event_timestamp, created_timestamp)),
    no_future(column := event_timestamp),
    accepted_range(column := commits_90d, min_v := 0),
    accepted_range(column := commits_jst_day_share_90d, min_v := 0, max_v := 1),
    accepted_range(column := active_days_90d, min_v := 0, max_v := 90)
  )
);

WITH code AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    SUM(CASE WHEN activity.day >= CAST(snapshot.event_timestamp - INTERVAL '30 day' AS DATE) THEN activity.commits END)
      AS commits_30d,
    SUM(activity.commits) AS commits,
    COUNT(CASE WHEN activity.commits > 0 THEN 1 END) AS active_days,
    SUM(activity.repositories) AS repositories,
    SUM(activity.stars) AS stars,
    SUM(activity.commits_utc_00_06) AS utc_00_06,
    SUM(activity.commits_utc_06_12) AS utc_06_12,
    SUM(activity.commits_utc_12_18) AS utc_12_18,
    SUM(activity.commits_utc_18_24) AS utc_18_24
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.code_activity AS activity
    ON activity.candidate_id = snapshot.candidate_id
    AND activity.known_at <= snapshot.event_timestamp
    AND activity.day >= CAST(snapshot.event_timestamp - INTERVAL '90 day' AS DATE)
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp
), writing AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    SUM(article.articles) AS articles,
    SUM(article.likes) AS likes
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.articles AS article
    ON article.candidate_id = snapshot.candidate_id
    AND article.known_at <= snapshot.event_timestamp
    AND article.day >= CAST(snapshot.event_timestamp - INTERVAL '90 day' AS DATE)
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp
)
SELECT
  snapshot.candidate_id,
  snapshot.event_timestamp,
  snapshot.event_timestamp AS created_timestamp,
  CAST(COALESCE(code.commits_30d, 0) AS BIGINT) AS commits_30d,
  CAST(COALESCE(code.commits, 0) AS BIGINT) AS commits_90d,
  CAST(COALESCE(code.active_days, 0) AS BIGINT) AS active_days_90d,
  CAST(COALESCE(code.repositories, 0) AS BIGINT) AS repositories_90d,
  CAST(COALESCE(code.stars, 0) AS BIGINT) AS stars_90d,
  CAST(code.utc_00_06 + code.utc_06_12 AS DOUBLE)
    / NULLIF(code.utc_00_06 + code.utc_06_12 + code.utc_12_18 + code.utc_18_24, 0) AS commits_jst_day_share_90d,
  CAST(
    CASE
      WHEN code.utc_00_06 + code.utc_06_12 + code.utc_12_18 + code.utc_18_24 = 0 THEN NULL
      WHEN code.utc_00_06 >= GREATEST(code.utc_06_12, code.utc_12_18, code.utc_18_24) THEN 0
      WHEN code.utc_06_12 >= GREATEST(code.utc_12_18, code.utc_18_24) THEN 6
      WHEN code.utc_12_18 >= code.utc_18_24 THEN 12
      WHEN code.utc_18_24 IS NOT NULL THEN 18
    END AS BIGINT
  ) AS commits_hour_peak_utc,
  CAST(COALESCE(writing.articles, 0) AS BIGINT) AS articles_90d,
  CAST(COALESCE(writing.likes, 0) AS BIGINT) AS article_likes_90d
FROM spine.candidate_snapshots AS snapshot
LEFT JOIN code ON code.candidate_id = snapshot.candidate_id AND code.event_timestamp = snapshot.event_timestamp
LEFT JOIN writing ON writing.candidate_id = snapshot.candidate_id AND writing.event_timestamp = snapshot.event_timestamp
