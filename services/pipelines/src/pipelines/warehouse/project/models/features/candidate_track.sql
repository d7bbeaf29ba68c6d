MODEL (
  name features.candidate_track,
  kind FULL,
  grain (candidate_id, event_timestamp),
  description 'What had happened to the person on the marketplace by the snapshot.',
  audits (
    unique_combination_of_columns(columns := (candidate_id, event_timestamp)),
    not_null(columns := (candidate_id, event_timestamp, created_timestamp)),
    no_future(column := event_timestamp),
    accepted_range(column := scout_accept_share_365d, min_v := 0, max_v := 1),
    accepted_range(column := invoices_late_share, min_v := 0, max_v := 1),
    accepted_range(column := skill_rating_mean, min_v := 1, max_v := 5),
    accepted_range(column := business_rating_mean, min_v := 1, max_v := 5),
    accepted_range(column := rate_last_yen, min_v := 500, max_v := 100000)
  )
);

WITH applied AS (
  SELECT snapshot.candidate_id, snapshot.event_timestamp, COUNT(*) AS applications
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.applications AS application
    ON application.candidate_id = snapshot.candidate_id
    AND application.known_at <= snapshot.event_timestamp
    AND application.applied_at >= snapshot.event_timestamp - INTERVAL '90 day'
    -- The export has one row an application, from its decision on; pending ones would be seen today but never in history.
    AND application.status <> 'pending'
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp
), scouted AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    COUNT(CASE WHEN scout.sent_at >= snapshot.event_timestamp - INTERVAL '90 day' THEN 1 END) AS received_90d,
    COUNT(CASE WHEN scout.replied_at <= snapshot.event_timestamp THEN 1 END) AS replied,
    COUNT(CASE WHEN scout.replied_at <= snapshot.event_timestamp AND scout.reply = 'accepted' THEN 1 END) AS accepted
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.scouts AS scout
    ON scout.candidate_id = snapshot.candidate_id
    AND scout.known_at <= snapshot.event_timestamp
    AND scout.sent_at >= snapshot.event_timestamp - INTERVAL '365 day'
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp
), contracted AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    COUNT(*) AS contracts,
    COUNT(
      CASE
        WHEN contract.started_on <= CAST(snapshot.event_timestamp AS DATE)
          AND (contract.ended_on IS NULL OR contract.ended_on > CAST(snapshot.event_timestamp AS DATE)) THEN 1
      END
    ) AS active,
    SUM(contract.rate_yen) AS rate_yen_sum
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.contracts AS contract
    ON contract.candidate_id = snapshot.candidate_id AND contract.known_at <= snapshot.event_timestamp
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp
), agreed AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    agreement.rate_yen,
    COUNT(CASE WHEN agreement.kind = 'renewed' THEN 1 END) OVER (
      PARTITION BY snapshot.candidate_id, snapshot.event_timestamp
    ) AS renewals,
    ROW_NUMBER() OVER (
      PARTITION BY snapshot.candidate_id, snapshot.event_timestamp
      ORDER BY agreement.label_time DESC, agreement.label_id DESC
    ) AS recency
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN (
    SELECT label_id, candidate_id, kind, label_time, available_at, CAST(label AS BIGINT) AS rate_yen
    FROM labels.hourly_rate
  ) AS agreement
    ON agreement.candidate_id = snapshot.candidate_id AND agreement.available_at <= snapshot.event_timestamp
), evaluated AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    COUNT(*) AS evaluations,
    SUM(evaluation.skill_rating) AS skill_sum,
    COUNT(evaluation.skill_rating) AS skill_count,
    SUM(evaluation.business_rating) AS business_sum,
    COUNT(evaluation.business_rating) AS business_count
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.contract_evaluations AS evaluation
    ON evaluation.candidate_id = snapshot.candidate_id AND evaluation.known_at <= snapshot.event_timestamp
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp
), billed AS (
  SELECT
    snapshot.candidate_id,
    snapshot.event_timestamp,
    SUM(invoice.hours) AS hours_sum,
    COUNT(invoice.hours) AS hours_count,
    COUNT(CASE WHEN invoice.issued_at + INTERVAL '30 day' <= snapshot.event_timestamp THEN 1 END) AS due,
    COUNT(
      CASE
        WHEN invoice.issued_at + INTERVAL '30 day' <= snapshot.event_timestamp
          AND COALESCE(invoice.paid_at, snapshot.event_timestamp + INTERVAL '1 day')
            > invoice.issued_at + INTERVAL '30 day' THEN 1
      END
    ) AS late
  FROM spine.candidate_snapshots AS snapshot
  INNER JOIN staging.contracts AS contract ON contract.candidate_id = snapshot.candidate_id
  INNER JOIN staging.invoices AS invoice
    ON invoice.contract_id = contract.contract_id AND invoice.known_at <= snapshot.event_timestamp
  GROUP BY snapshot.candidate_id, snapshot.event_timestamp
)
SELECT
  snapshot.candidate_id,
  snapshot.event_timestamp,
  snapshot.event_timestamp AS created_timestamp,
  COALESCE(applied.applications, 0) AS applications_90d,
  COALESCE(scouted.received_90d, 0) AS scouts_received_90d,
  CAST(scouted.accepted AS DOUBLE) / NULLIF(scouted.replied, 0) AS scout_accept_share_365d,
  COALESCE(contracted.contracts, 0) AS contracts_count,
  COALESCE(contracted.active, 0) AS contracts_active,
  COALESCE(agreed.renewals, 0) AS renewals_count,
  agreed.rate_yen AS rate_last_yen,
  CAST(contracted.rate_yen_sum AS DOUBLE) / NULLIF(contracted.contracts, 0) AS rate_mean_yen,
  CAST(evaluated.skill_sum AS DOUBLE) / NULLIF(evaluated.skill_count, 0) AS skill_rating_mean,
  CAST(evaluated.business_sum AS DOUBLE) / NULLIF(evaluated.business_count, 0) AS business_rating_mean,
  COALESCE(evaluated.evaluations, 0) AS evaluations_count,
  CAST(billed.hours_sum AS DOUBLE) / NULLIF(billed.hours_count, 0) AS hours_mean,
  CAST(billed.late AS DOUBLE) / NULLIF(billed.due, 0) AS invoices_late_share
FROM spine.candidate_snapshots AS snapshot
LEFT JOIN applied ON applied.candidate_id = snapshot.candidate_id AND applied.event_timestamp = snapshot.event_timestamp
LEFT JOIN scouted ON scouted.candidate_id = snapshot.candidate_id AND scouted.event_timestamp = snapshot.event_timestamp
LEFT JOIN contracted ON contracted.candidate_id = snapshot.candidate_id AND contracted.event_timestamp = snapshot.event_timestamp
LEFT JOIN evaluated ON evaluated.candidate_id = snapshot.candidate_id AND evaluated.event_timestamp = snapshot.event_timestamp
LEFT JOIN billed ON billed.candidate_id = snapshot.candidate_id AND billed.event_timestamp = snapshot.event_timestamp
LEFT JOIN agreed
  ON agreed.candidate_id = snapshot.candidate_id
  AND agreed.event_timestamp = snapshot.event_timestamp
  AND agreed.recency = 1
