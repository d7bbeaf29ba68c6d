MODEL (
  name features.candidate_skills,
  kind FULL,
  grain (candidate_id, event_timestamp),
  description 'The person''s own statements on skills that held at the snapshot.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, event_timestamp)),
    not_null(columns := (candidate_id, event_timestamp, created_timestamp)),
    no_future(column := event_timestamp),
    accepted_range(column := skill_mask, min_v := 0, max_v := 4503599627370495),
    in_vocabulary(column := top_skill, vocabulary := 'SKILLS')
  )
);

WITH versions AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    statement.skill,
    statement.years,
    statement.level,
    statement.endorsements,
    ROW_NUMBER() OVER (
      PARTITION BY snapshot.candidate_id, snapshot.event_timestamp, statement.skill ORDER BY statement.updated_at DESC
    ) AS recency
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.candidate_skills AS statement
    ON statement.candidate_id = snapshot.candidate_id AND statement.known_at <= snapshot.event_timestamp
), held AS (
  SELECT
    versions.*,
    skills.code,
    skills.rarity,
    ROW_NUMBER() OVER (
      PARTITION BY versions.candidate_id, versions.event_timestamp
      ORDER BY COALESCE(versions.years, 0) DESC, COALESCE(versions.level, 0) DESC, skills.code
    ) AS place
  FROM versions
  INNER JOIN source.skills AS skills ON skills.skill = versions.skill
  WHERE versions.recency = 1
)
SELECT
  snapshot.candidate_id,
  snapshot.event_timestamp,
  snapshot.event_timestamp AS created_timestamp,
  CAST(COALESCE(SUM(CAST(POWER(2, held.code) AS BIGINT)), 0) AS BIGINT) AS skill_mask,
  COUNT(held.skill) AS skill_count,
  CAST(MAX(held.years) AS DOUBLE) AS skill_years_max,
  CAST(SUM(held.years) AS DOUBLE) AS skill_years_total,
  CAST(SUM(held.level) AS DOUBLE) / NULLIF(COUNT(held.level), 0) AS skill_level_mean,
  CAST(MAX(held.level) AS BIGINT) AS skill_level_max,
  CAST(COALESCE(SUM(held.endorsements), 0) AS BIGINT) AS endorsements_total,
  MAX(CASE WHEN held.place = 1 THEN held.skill END) AS top_skill,
  CAST(SUM(held.rarity) AS DOUBLE) / NULLIF(COUNT(held.rarity), 0) AS skill_rarity_mean
FROM spine.candidate_snapshots AS snapshot
LEFT JOIN held
  ON held.candidate_id = snapshot.candidate_id AND held.event_timestamp = snapshot.event_timestamp
GROUP BY snapshot.candidate_id, snapshot.event_timestamp
