"""A hand-made marketplace of a few rows."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from marketplace.tables import SOURCE_TABLES

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def at(day: str, hour: int = 12) -> datetime:
    return datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)


def candidate(**changes: Any) -> dict[str, Any]:
    row = {
        "candidate_id": "c0000001",
        "created_at": at("2024-01-01"),
        "updated_at": at("2024-01-01"),
        "role": "backend_engineer",
        "bio": "Go で書く",
        "birth_date": date(1990, 1, 1),
        "sex": "female",
        "desired_rate_yen": 5000,
        "open_to_offers": True,
        "ingested_at": at("2024-01-02"),
    }
    return row | changes


def write_sources(home: Path, rows: Rows) -> None:
    for table, schema in SOURCE_TABLES.items():
        folder = home / "source" / table
        folder.mkdir(parents=True)
        loose = pa.schema([field.with_nullable(True) for field in schema])
        full = [{name: row.get(name) for name in schema.names} for row in rows.get(table, ())]
        pq.write_table(pa.Table.from_pylist(full, schema=loose), folder / "part-00000.parquet")


ROWS: Rows = {
    "candidates": [
        candidate(),
        candidate(),
        candidate(ingested_at=at("2024-01-09")),
        candidate(updated_at=at("2024-03-01"), ingested_at=at("2024-03-20"), role="data_engineer"),
        candidate(candidate_id="c0000002", open_to_offers=False),
    ],
    "logins": [
        {
            "candidate_id": "c0000001",
            "logged_in_at": at("2024-03-08", 16),
            "ip_country": "JP",
            "utc_offset_minutes": 540,
            "ingested_at": at("2024-03-08", 17),
        },
        {
            "candidate_id": "c0000001",
            "logged_in_at": at("2024-03-08", 16).replace(second=2),
            "ip_country": "JP",
            "utc_offset_minutes": 540,
            "ingested_at": at("2024-03-11"),
        },
        {
            "candidate_id": "c0000001",
            "logged_in_at": at("2024-03-07"),
            "ip_country": "US",
            "utc_offset_minutes": -420,
            "ingested_at": at("2024-03-15"),
        },
        {
            "candidate_id": "c0000001",
            "logged_in_at": at("2024-03-10", 13),
            "ip_country": "VN",
            "utc_offset_minutes": 420,
            "ingested_at": at("2024-03-10", 14),
        },
    ],
    "candidate_skills": [
        {
            "candidate_id": "c0000001",
            "skill": skill,
            "years": years,
            "level": 3,
            "endorsements": 1,
            "updated_at": at("2024-01-01"),
            "ingested_at": at(seen),
        }
        for skill, years, seen in (
            ("python", 4.0, "2024-01-02"),
            ("go", 6.5, "2024-01-02"),
            ("rust", 9.0, "2024-03-12"),
        )
    ],
    "work_histories": [
        {
            "history_id": f"h{number}",
            "candidate_id": "c0000001",
            "industry": "saas",
            "employment_type": kind,
            "started_on": started,
            "ended_on": ended,
            "company_size": 100,
            "is_management": False,
            "updated_at": at("2024-01-01"),
            "ingested_at": at("2024-01-02"),
        }
        for number, kind, started, ended in (
            (1, "full_time", date(2018, 1, 1), date(2020, 1, 1)),
            (2, "side_job", date(2020, 7, 1), date(2025, 1, 1)),
        )
    ],
    "code_activity": [
        {
            "candidate_id": "c0000001",
            "day": day,
            "commits": 4,
            "repositories": 1,
            "stars": 0,
            "commits_utc_00_06": 3,
            "commits_utc_06_12": 0,
            "commits_utc_12_18": 1,
            "commits_utc_18_24": 0,
            "ingested_at": at("2024-03-09", 6),
        }
        for day in (date(2024, 3, 8), date(2024, 3, 10))
    ],
    "companies": [
        {
            "company_id": "k0000001",
            "name": "Acme",
            "industry": "fintech",
            "size": 50,
            "created_at": at("2023-01-01"),
            "ingested_at": at("2023-01-02"),
        }
    ],
    "jobs": [
        {
            "job_id": "j0000001",
            "company_id": "k0000001",
            "title": "Engineer",
            "role": "backend_engineer",
            "seniority": "senior",
            "required_skills": ["python", "go"],
            "rate_max_yen": 6000,
            "english_required": False,
            "opened_at": at("2024-02-01"),
            "ingested_at": at("2024-02-02"),
        }
    ],
    "applications": [
        {
            "application_id": "a1",
            "job_id": "j0000001",
            "candidate_id": "c0000001",
            "applied_at": at("2024-03-10"),
            "source": "direct",
            "status": "hired",
            "decided_at": at("2024-03-18"),
            "ingested_at": at("2024-03-18", 20),
        }
    ],
    "contracts": [
        {
            "contract_id": "t1",
            "application_id": "a1",
            "job_id": "j0000001",
            "candidate_id": "c0000001",
            "started_on": date(2024, 4, 1),
            "rate_yen": 5500,
            "hours_week": 10,
            "signed_at": at("2024-03-20"),
            "ingested_at": at("2024-03-21"),
        }
    ],
    "contract_renewals": [
        {"contract_id": "t1", "renewed_at": at("2024-07-01"), "rate_yen": 6000, "ingested_at": at("2024-07-02")}
    ],
    "contract_evaluations": [
        {
            "evaluation_id": "e1",
            "contract_id": "t1",
            "candidate_id": "c0000001",
            "evaluated_at": at("2024-06-15"),
            "skill_rating": 4,
            "business_rating": None,
            "ingested_at": at("2024-06-16"),
        }
    ],
    "identity_checks": [
        {
            "check_id": "i1",
            "candidate_id": "c0000001",
            "checked_at": at("2024-03-10"),
            "lives_abroad": True,
            "method": "video",
            "ingested_at": at("2024-03-11"),
        }
    ],
    "invoices": [
        {
            "invoice_id": "v1",
            "contract_id": "t1",
            "month": date(2024, 4, 1),
            "hours": 40.5,
            "amount_yen": 222750,
            "issued_at": at("2024-05-01"),
            "paid_at": at("2024-06-20"),
            "ingested_at": at("2024-06-20", 13),
        }
    ],
}


def build_from(home: Path, rows: Rows, end: str = "2024-11-01") -> Any:
    from pipelines.warehouse.build import build_warehouse
    from pipelines.warehouse.settings import WarehouseSettings

    write_sources(home, rows)
    settings = WarehouseSettings(home=home, snapshot_end=datetime.fromisoformat(end))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=SyntaxWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        return settings, build_warehouse(settings)
