"""Every audit catches its planted fault."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from planted_marketplace import ROWS, at, build_from, candidate

FAULTS: dict[str, dict[str, Any]] = {
    "candidates": {
        "role": "wizard",
        "phone_country": "XX",
        "prefecture": "atlantis",
        "english_level": "x",
        "japanese_level": "x",
        "remote_preference": "x",
        "employment_status": "x",
        "years_experience": -1.0,
        "desired_rate_yen": -5,
        "desired_hours_week": 200,
        "updated_at": at("2024-02-02"),
    },
    "logins": {"ip_country": "XX", "utc_offset_minutes": 2000, "logged_in_at": at("2024-02-02")},
    "candidate_skills": {"skill": "alchemy", "level": 9, "years": 99.0, "endorsements": -1},
    "work_histories": {"history_id": "hx", "industry": "x", "employment_type": "x", "company_size": -1},
    "code_activity": {"commits": -1, "repositories": -1, "stars": -1, "day": at("2024-02-02").date()},
    "companies": {"company_id": "k9", "industry": "x", "size": -1},
    "jobs": {"job_id": "j9", "role": "x", "seniority": "x", "remote": "x", "rate_max_yen": -1, "hours_week": 500},
    "applications": {"application_id": "a9", "status": "x", "source": "x"},
    "contracts": {"contract_id": "t9", "rate_yen": 1, "hours_week": 500, "ended_on": at("2020-01-01").date()},
    "contract_renewals": {"rate_yen": 1, "renewed_at": at("2024-08-01")},
    "contract_evaluations": {"evaluation_id": "e9", "skill_rating": 9, "business_rating": 0},
    "identity_checks": {"check_id": "i9", "method": "x"},
    "invoices": {"invoice_id": "v9", "hours": -1.0, "amount_yen": -1},
}

EXPECTED = {
    "candidates": {"in_vocabulary": 7, "accepted_range": 3},
    "logins": {"in_vocabulary": 1, "accepted_range": 1},
    "candidate_skills": {"in_vocabulary": 1, "accepted_range": 3},
    "work_histories": {"in_vocabulary": 2, "accepted_range": 1},
    "code_activity": {"accepted_range": 3},
    "companies": {"in_vocabulary": 1, "accepted_range": 1},
    "jobs": {"in_vocabulary": 3, "accepted_range": 2},
    "applications": {"in_vocabulary": 2},
    "contracts": {"accepted_range": 2, "ordered_days": 1},
    "contract_renewals": {"accepted_range": 1},
    "contract_evaluations": {"accepted_range": 2},
    "identity_checks": {"in_vocabulary": 1},
    "invoices": {"accepted_range": 2},
}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """How often each audit of each staging model failed on sources with a faulty and a keyless row each."""
    from pipelines.warehouse.errors import AuditError

    rows = {table: list(good) for table, good in ROWS.items()}
    for table, changes in FAULTS.items():
        rows[table].append({**rows[table][0], **changes})
    rows["candidates"].append(candidate(candidate_id=None))
    home = tmp_path_factory.mktemp("faulty")
    with pytest.raises(AuditError) as caught:
        build_from(home, rows)
    assert not (home / "warehouse" / "warehouse.duckdb").exists(), "a warehouse with faults must not be put in place"
    counts: dict[str, dict[str, int]] = {}
    for audit in caught.value.failed:
        of_model = counts.setdefault(audit.model.removeprefix("staging."), {})
        of_model[audit.audit] = of_model.get(audit.audit, 0) + 1
    return counts


@pytest.mark.parametrize("table", sorted(FAULTS))
def test_staging_audits_catch_planted_faults(table: str, failed: dict[str, dict[str, int]]) -> None:
    found = dict(failed.get(table, {}))
    found.pop("not_null", None)

    assert found == EXPECTED[table]


def test_missing_key_is_caught(failed: dict[str, dict[str, int]]) -> None:
    assert failed["candidates"]["not_null"] == 1


MUTATIONS = [
    ("staging.logins", "INSERT INTO {t} SELECT * FROM {t}", "unique_combination_of_columns"),
    ("staging.jobs", "INSERT INTO {t} SELECT * FROM {t}", "unique_values"),
    ("staging.job_skills", "UPDATE {t} SET skill_count = 53", "accepted_range"),
    ("staging.articles", "INSERT INTO {t} VALUES ('c', DATE '2024-01-01', -1, 0, now()::TIMESTAMP)", "accepted_range"),
    ("staging.scouts", "INSERT INTO {t} (scout_id, reply) VALUES ('s', 'maybe')", "in_vocabulary"),
    ("spine.candidate_snapshots", "UPDATE {t} SET event_timestamp = '2030-01-01'", "no_future"),
    ("spine.job_snapshots", "INSERT INTO {t} SELECT * FROM {t}", "unique_combination_of_columns"),
    ("labels.residency", "UPDATE {t} SET label = 0.5", "accepted_values"),
    ("labels.skill_experience", "UPDATE {t} SET label = 6", "accepted_range"),
    ("labels.business_experience", "INSERT INTO {t} (label) VALUES (7)", "accepted_range"),
    ("labels.hourly_rate", "UPDATE {t} SET kind = 'guessed'", "accepted_values"),
    ("labels.recommendation", "UPDATE {t} SET job_id = NULL", "not_null"),
    ("features.candidate_profile", "UPDATE {t} SET bio_japanese_share = 1.5", "accepted_range"),
    ("features.candidate_skills", "UPDATE {t} SET top_skill = 'alchemy'", "in_vocabulary"),
    ("features.candidate_work", "UPDATE {t} SET months_total = -1", "accepted_range"),
    ("features.candidate_activity", "UPDATE {t} SET active_days_90d = 91", "accepted_range"),
    ("features.candidate_access", "UPDATE {t} SET utc9_share_90d = -0.1", "accepted_range"),
    ("features.candidate_track", "UPDATE {t} SET rate_last_yen = 0", "accepted_range"),
    ("features.job_profile", "INSERT INTO {t} SELECT * FROM {t}", "unique_combination_of_columns"),
    ("features.candidate_pool", "INSERT INTO {t} SELECT * FROM {t}", "unique_values"),
]


@pytest.fixture(scope="module")
def context(built: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from pipelines.warehouse.build import open_context

    settings, _ = built
    copy = Path(tmp_path_factory.mktemp("audited")) / settings.database.name
    shutil.copy(settings.database, copy)
    opened = open_context(settings, copy)
    yield opened
    opened.close()


@pytest.mark.parametrize(("model", "mutation", "audit"), MUTATIONS, ids=[model for model, _, _ in MUTATIONS])
def test_audits_of_a_table_catch_planted_rows(context: Any, model: str, mutation: str, audit: str) -> None:
    snapshot = context.get_snapshot(model)
    adapter = context.engine_adapter

    adapter.execute("BEGIN")
    adapter.execute(mutation.format(t=snapshot.table_name()), quote_identifiers=False)
    results = context.snapshot_evaluator.audit(snapshot=snapshot, snapshots=context.snapshots)
    adapter.execute("ROLLBACK")

    assert audit in {result.audit.name for result in results if result.count}
