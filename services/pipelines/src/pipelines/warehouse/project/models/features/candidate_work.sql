MODEL (
  name features.candidate_work,
  kind FULL,
  grain (candidate_id, event_timestamp),
  description 'Positions as the person had written them by the snapshot; what ends later lasts still.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, event_timestamp)),
    not_null(columns := (candidate_id, event_timestamp, created_timestamp)),
    no_future(column := event_timestamp),
    accepted_range(column := months_total, min_v := 0),
    accepted_range(column := positions_count, min_v := 0)
  )
);

WITH versions AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    position.history_id,
    position.industry,
    position.employment_type,
    position.company_size,
    position.is_management,
    position.started_on,
    position.ended_on IS NULL OR position.ended_on > CAST(snapshot.event_timestamp AS DATE) AS is_current,
    LEAST(
      COALESCE(position.ended_on, CAST(snapshot.event_timestamp AS DATE)), CAST(snapshot.event_timestamp AS DATE)
    ) AS until_on,
    ROW_NUMBER() OVER (
      PARTITION BY snapshot.candidate_id, snapshot.event_timestamp, position.history_id ORDER BY position.updated_at DESC
    ) AS recency
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.work_histories AS position
    ON position.candidate_id = snapshot.candidate_id
    AND position.known_at <= snapshot.event_timestamp
    AND position.started_on <= CAST(snapshot.event_timestamp AS DATE)
), held AS (
  SELECT
    *,
    DATE_DIFF('month', started_on, until_on) AS months,
    MAX(until_on) OVER (
      PARTITION BY candidate_id, event_timestamp
      ORDER BY started_on, history_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS previous_until_on
  FROM versions
  WHERE recency = 1
)
SELECT
  snapshot.candidate_id,
  snapshot.event_timestamp,
  snapshot.event_timestamp AS created_timestamp,
  COUNT(held.history_id) AS positions_count,
  CAST(COALESCE(SUM(held.months), 0) AS BIGINT) AS months_total,
  CAST(MAX(CASE WHEN held.is_current THEN held.months END) AS BIGINT) AS months_current,
  CAST(MAX(held.months) AS BIGINT) AS longest_tenure_months,
  CAST(COALESCE(SUM(CASE WHEN held.is_management THEN held.months ELSE 0 END), 0) AS BIGINT) AS management_months,
  COUNT(DISTINCT held.industry) AS industries_count,
  CAST(MAX(held.company_size) AS BIGINT) AS company_size_max,
  COUNT(CASE WHEN held.employment_type = 'side_job' THEN 1 END) AS side_job_count,
  CAST(MAX(GREATEST(DATE_DIFF('month', held.previous_until_on, held.started_on), 0)) AS BIGINT) AS gap_months_max
FROM spine.candidate_snapshots AS snapshot
LEFT JOIN held
  ON held.candidate_id = snapshot.candidate_id AND held.event_timestamp = snapshot.event_timestamp
GROUP BY snapshot.candidate_id, snapshot.event_timestamp
