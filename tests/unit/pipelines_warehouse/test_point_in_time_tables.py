"""A snapshot counts what had happened and had been seen by then, and nothing else."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

Query = Callable[[str], list[dict[str, Any]]]


def snapshot(query: Query, view: str, day: str, entity: str = "candidate_id = 'c0000001'") -> dict[str, Any]:
    (row,) = query(f"SELECT * FROM features.{view} WHERE {entity} AND event_timestamp = TIMESTAMP '{day}'")  # noqa: S608 (own words)
    return row


def test_row_ingested_after_the_snapshot_is_not_counted(query: Query) -> None:
    """Of four logins one came late, one is later than the snapshot, and one is a double click."""
    row = snapshot(query, "candidate_access", "2024-03-10")

    assert row["logins_90d"] == 1
    assert row["ip_countries_90d"] == 1
    assert row["last_ip_country"] == "JP"
    assert row["days_since_login"] == 2
    assert row["night_jst_share_90d"] == 1.0


def test_late_row_counts_once_it_was_seen(query: Query) -> None:
    row = snapshot(query, "candidate_access", "2024-03-20")

    assert row["logins_90d"] == 3
    assert row["ip_countries_90d"] == 3
    assert row["foreign_ip_share_90d"] == pytest.approx(2 / 3)
    assert row["utc_offset_mode_90d"] == -420, "the lowest of equally frequent offsets"


def test_profile_version_holds_from_when_the_export_saw_it(query: Query) -> None:
    before = snapshot(query, "candidate_profile", "2024-03-20")
    after = snapshot(query, "candidate_profile", "2024-06-15")

    assert before["role"] == "backend_engineer"
    assert after["role"] == "data_engineer"
    assert before["bio_japanese_share"] == pytest.approx(3 / 6)


def test_skill_stated_but_not_yet_seen_is_no_skill(query: Query) -> None:
    before = snapshot(query, "candidate_skills", "2024-03-10")
    after = snapshot(query, "candidate_skills", "2024-03-20")

    assert (before["skill_mask"], before["skill_count"], before["top_skill"]) == (0b11, 2, "go")
    assert (after["skill_count"], after["top_skill"], after["skill_years_total"]) == (3, "rust", 19.5)


def test_unfinished_day_of_code_is_not_counted(query: Query) -> None:
    row = snapshot(query, "candidate_activity", "2024-03-10")

    assert row["commits_90d"] == 4
    assert row["commits_jst_day_share_90d"] == 0.75
    assert row["commits_hour_peak_utc"] == 0


def test_position_that_ends_later_lasts_at_the_snapshot(query: Query) -> None:
    row = snapshot(query, "candidate_work", "2024-03-10")

    assert (row["positions_count"], row["side_job_count"]) == (2, 1)
    assert row["months_current"] == 44
    assert row["months_total"] == 24 + 44
    assert row["gap_months_max"] == 6


def test_contract_does_not_explain_its_own_rate(query: Query) -> None:
    signing = snapshot(query, "candidate_track", "2024-03-20")
    renewal = snapshot(query, "candidate_track", "2024-07-01")

    assert (signing["contracts_count"], signing["rate_last_yen"]) == (0, None)
    assert (renewal["contracts_count"], renewal["rate_last_yen"], renewal["renewals_count"]) == (1, 5500, 0)


def test_evaluation_does_not_explain_itself(query: Query) -> None:
    row = snapshot(query, "candidate_track", "2024-06-15")

    assert (row["evaluations_count"], row["skill_rating_mean"]) == (0, None)


def test_everybody_has_a_snapshot_at_the_end_of_the_data(query: Query) -> None:
    row = snapshot(query, "candidate_track", "2024-11-01")
    rows = query("SELECT DISTINCT candidate_id FROM features.candidate_track WHERE event_timestamp = '2024-11-01'")

    assert len(rows) == 2
    assert (row["rate_last_yen"], row["renewals_count"], row["rate_mean_yen"]) == (6000, 1, 5500.0)
    assert (row["invoices_late_share"], row["hours_mean"], row["skill_rating_mean"]) == (1.0, 40.5, 4.0)
    assert row["business_rating_mean"] is None


def test_application_counts_for_a_job_once_it_is_decided(query: Query) -> None:
    at_application = snapshot(query, "job_profile", "2024-03-10", "job_id = 'j0000001'")
    jobs = query("SELECT job_applications_30d FROM features.job_profile ORDER BY event_timestamp")

    assert at_application["job_applications_30d"] == 0
    assert at_application["job_age_days"] == 38
    assert (at_application["job_skill_mask"], at_application["job_industry"]) == (0b11, "fintech")
    assert [row["job_applications_30d"] for row in jobs] == [0, 0]


def test_labels_say_as_of_when_features_are_joined_and_since_when_they_were_known(query: Query) -> None:
    (hire,) = query("SELECT * FROM labels.recommendation")
    rates = query("SELECT kind, label FROM labels.hourly_rate ORDER BY label_time")
    skills, business = query("SELECT * FROM labels.skill_experience"), query("SELECT * FROM labels.business_experience")

    assert hire["label_time"] == datetime(2024, 3, 10, 12)
    assert hire["available_at"] == datetime(2024, 3, 18, 20)
    assert (hire["job_id"], hire["label"]) == ("j0000001", 1.0)
    assert rates == [{"kind": "signed", "label": 5500.0}, {"kind": "renewed", "label": 6000.0}]
    assert ([row["label"] for row in skills], business) == ([4.0], [])


def test_pool_holds_who_is_open_to_offers(query: Query) -> None:
    assert [row["candidate_id"] for row in query("SELECT * FROM features.candidate_pool")] == ["c0000001"]


def test_every_feature_is_there_at_its_grain(query: Query, built: Any) -> None:
    _, models = built

    for model in models:
        if model.name.startswith("features.") and model.name != "features.candidate_pool":
            key = "job_id" if "job" in model.name else "candidate_id"
            (row,) = query(f"SELECT count(*) AS n, count(DISTINCT ({key}, event_timestamp)) AS d FROM {model.name}")  # noqa: S608
            assert row["n"] == row["d"] == model.rows > 0
            (late,) = query(f"SELECT count(*) AS n FROM {model.name} WHERE created_timestamp > event_timestamp")  # noqa: S608
            assert late["n"] == 0
