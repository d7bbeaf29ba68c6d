MODEL (
  name staging.candidates,
  kind FULL,
  grain (candidate_id, updated_at),
  description 'A version of a person''s profile. The prohibited columns of the source stop here.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, updated_at)),
    not_null(columns := (candidate_id, updated_at, known_at)),
    in_vocabulary(column := role, vocabulary := 'ROLES'),
    in_vocabulary(column := phone_country, vocabulary := 'COUNTRIES'),
    in_vocabulary(column := prefecture, vocabulary := 'PREFECTURES'),
    in_vocabulary(column := english_level, vocabulary := 'ENGLISH_LEVELS'),
    in_vocabulary(column := japanese_level, vocabulary := 'JAPANESE_LEVELS'),
    in_vocabulary(column := remote_preference, vocabulary := 'REMOTE_MODES'),
    in_vocabulary(column := employment_status, vocabulary := 'EMPLOYMENT_STATUSES'),
    accepted_range(column := years_experience, min_v := 0, max_v := 80),
    accepted_range(column := desired_rate_yen, min_v := 0, max_v := 200000),
    accepted_range(column := desired_hours_week, min_v := 0, max_v := 168)
  )
);

SELECT
  raw.candidate_id,
  raw.created_at AT TIME ZONE 'UTC' AS created_at,
  raw.updated_at AT TIME ZONE 'UTC' AS updated_at,
  raw.role,
  LENGTH(raw.headline) AS headline_length,
  LENGTH(raw.bio) AS bio_length,
  LENGTH(REGEXP_REPLACE(raw.bio, '[^ぁ-ヿ㐀-鿿]', '', 'g')) AS bio_japanese_length,
  raw.phone_country,
  raw.prefecture,
  raw.english_level,
  raw.japanese_level,
  raw.years_experience,
  CAST(raw.desired_rate_yen AS BIGINT) AS desired_rate_yen,
  CAST(raw.desired_hours_week AS BIGINT) AS desired_hours_week,
  raw.remote_preference,
  raw.employment_status,
  raw.github_login IS NOT NULL AS has_github,
  raw.open_to_offers,
  GREATEST(raw.updated_at AT TIME ZONE 'UTC', raw.ingested_at AT TIME ZONE 'UTC') AS known_at
FROM source.candidates AS raw
QUALIFY ROW_NUMBER() OVER (PARTITION BY raw.candidate_id, raw.updated_at ORDER BY raw.ingested_at) = 1
