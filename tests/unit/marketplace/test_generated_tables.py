"""What every generated marketplace promises: schemas, keys, references and the mess."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from marketplace import MarketplaceSpec, vocabulary
from marketplace.tables import KEYS, PROHIBITED, SOURCE_TABLES, TRUTH_TABLES, UNITS, documentation

Table = Callable[[str], pa.Table]

WORDS = {
    ("candidates", "role"): vocabulary.ROLES,
    ("candidates", "phone_country"): vocabulary.COUNTRIES,
    ("candidates", "prefecture"): vocabulary.PREFECTURES,
    ("candidates", "english_level"): vocabulary.ENGLISH_LEVELS,
    ("candidates", "japanese_level"): vocabulary.JAPANESE_LEVELS,
    ("candidates", "remote_preference"): vocabulary.REMOTE_MODES,
    ("candidates", "employment_status"): vocabulary.EMPLOYMENT_STATUSES,
    ("candidate_skills", "skill"): vocabulary.SKILLS,
    ("work_histories", "industry"): vocabulary.INDUSTRIES,
    ("work_histories", "employment_type"): vocabulary.EMPLOYMENT_TYPES,
    ("logins", "ip_country"): vocabulary.COUNTRIES,
    ("logins", "device"): vocabulary.DEVICES,
    ("jobs", "role"): vocabulary.ROLES,
    ("jobs", "seniority"): vocabulary.SENIORITIES,
    ("jobs", "remote"): vocabulary.REMOTE_MODES,
    ("scouts", "reply"): vocabulary.SCOUT_REPLIES,
    ("applications", "source"): vocabulary.APPLICATION_SOURCES,
    ("applications", "status"): vocabulary.APPLICATION_STATUSES,
    ("identity_checks", "method"): vocabulary.CHECK_METHODS,
}
REFERENCES = [
    ("jobs", "company_id", "companies"),
    *((name, "candidate_id", "candidates") for name, schema in SOURCE_TABLES.items() if "candidate_id" in schema.names),
    *((name, "job_id", "jobs") for name in ("scouts", "applications", "contracts")),
    ("contracts", "application_id", "applications"),
    *((name, "contract_id", "contracts") for name in ("contract_renewals", "contract_evaluations", "invoices")),
]
EVENT = {"logins": "logged_in_at", "applications": "applied_at", "contracts": "signed_at", "candidates": "updated_at"}


@pytest.mark.parametrize("name", SOURCE_TABLES)
def test_a_source_table_has_its_schema_and_nulls_only_where_allowed(name: str, source: Table) -> None:
    table = source(name)

    assert table.schema.equals(SOURCE_TABLES[name])
    assert table.num_rows > 0
    assert [f.name for f in table.schema if not f.nullable and table[f.name].null_count] == []


@pytest.mark.parametrize("name", TRUTH_TABLES)
def test_a_truth_table_has_its_schema_and_no_nulls(name: str, truth: Table) -> None:
    table = truth(name)

    assert table.schema.equals(TRUTH_TABLES[name])
    assert table.num_rows > 0
    assert sum(column.null_count for column in table.columns) == 0


@pytest.mark.parametrize("name", SOURCE_TABLES)
def test_every_column_is_documented_and_numbers_with_units_say_so(name: str) -> None:
    assert all(documentation(name).values())
    for field in SOURCE_TABLES[name]:
        assert (b"unit" in field.metadata) == (field.name in UNITS)


def test_prohibited_columns_are_nowhere_but_in_candidates() -> None:
    holders = {name for name, schema in SOURCE_TABLES.items() if set(PROHIBITED) & set(schema.names)}

    assert holders == {"candidates"}
    assert set(PROHIBITED) <= set(SOURCE_TABLES["candidates"].names)
    assert not any(set(PROHIBITED) & set(schema.names) for schema in TRUTH_TABLES.values())


@pytest.mark.parametrize(("name", "column"), WORDS)
def test_categories_are_words_of_the_vocabulary(name: str, column: str, source: Table) -> None:
    found = set(source(name)[column].unique().drop_null().to_pylist())

    assert found <= set(WORDS[name, column])
    assert len(found) > 1


@pytest.mark.parametrize(("name", "column", "target"), REFERENCES)
def test_references_lead_somewhere(name: str, column: str, target: str, source: Table) -> None:
    known = source(target)[column].unique()

    assert pc.all(pc.is_in(source(name)[column], known)).as_py()


@pytest.mark.parametrize("name", ["candidates", "logins", "applications", "contracts", "work_histories"])
def test_rows_with_the_same_key_differ_in_nothing_but_when_they_were_seen(name: str, source: Table) -> None:
    """Cleaning may therefore keep any of them; the last ingested is the rule."""
    table = source(name)
    keys = len(table.group_by(list(KEYS[name])).aggregate([]))
    rows = len(table.drop_columns(["ingested_at"]).group_by(table.schema.names[:-1]).aggregate([]))

    assert keys == rows


@pytest.mark.parametrize("name", ["logins", "candidates", "code_activity", "candidate_skills", "work_histories"])
def test_some_rows_come_twice_exactly_and_some_again_later(name: str, source: Table) -> None:
    table = source(name)
    exact = len(table.group_by(table.schema.names).aggregate([]))
    by_key = len(table.group_by(list(KEYS[name])).aggregate([]))

    assert 0.002 < 1 - exact / len(table) < 0.01
    if name == "logins":
        assert by_key == pytest.approx(exact, rel=1e-4)
    else:
        assert 0.002 < (exact - by_key) / len(table) < 0.012


@pytest.mark.parametrize("name", EVENT)
def test_no_row_is_seen_before_it_happened_and_some_come_days_late(name: str, source: Table) -> None:
    table = source(name)
    delay = pc.subtract(table["ingested_at"].cast(pa.int64()), table[EVENT[name]].cast(pa.int64())).to_numpy()
    days = delay / 86_400e6

    assert days.min() > 0
    assert np.mean(days > 2.0) > 0.005


@pytest.mark.parametrize(
    ("name", "column", "least", "most"),
    [
        ("candidates", "prefecture", 0.2, 0.6),
        ("candidates", "desired_rate_yen", 0.15, 0.3),
        ("candidates", "role", 0.01, 0.1),
        ("candidates", "github_login", 0.3, 0.9),
        ("logins", "ip_country", 0.01, 0.1),
        ("candidate_skills", "level", 0.05, 0.2),
        ("contract_evaluations", "skill_rating", 0.02, 0.12),
    ],
)
def test_values_are_missing_at_a_lifelike_rate(
    name: str, column: str, least: float, most: float, source: Table
) -> None:
    values = source(name)[column]

    assert least < values.null_count / len(values) < most


def test_texts_are_japanese_and_english(source: Table) -> None:
    bios = source("candidates")["bio"].drop_null()
    japanese = pc.mean(pc.match_substring_regex(bios, "[ぁ-んァ-ヶ一-龠]").cast(pa.float64())).as_py()

    assert 0.6 < japanese < 0.97


def test_required_skills_are_known_and_not_repeated(source: Table) -> None:
    skills = source("jobs")["required_skills"].to_pylist()

    assert all(2 <= len(row) == len(set(row)) for row in skills)
    assert set().union(*skills) <= set(vocabulary.SKILLS)


def test_a_person_has_one_to_three_versions_and_keeps_what_does_not_change(
    source: Table, spec: MarketplaceSpec
) -> None:
    table = source("candidates")
    versions = table.group_by("candidate_id").aggregate(
        [("updated_at", "count_distinct"), ("created_at", "count_distinct")]
    )

    assert len(versions) == spec.candidates
    assert pc.max(versions["updated_at_count_distinct"]).as_py() <= 3
    assert pc.max(versions["created_at_count_distinct"]).as_py() == 1


def test_commits_add_up_over_the_quarters_of_the_day(source: Table) -> None:
    table = source("code_activity")
    quarters = sum(table[name].to_numpy() for name in table.schema.names if name.startswith("commits_utc"))

    np.testing.assert_array_equal(quarters, table["commits"].to_numpy())


def test_nothing_happens_after_the_end_of_the_data(source: Table, spec: MarketplaceSpec) -> None:
    for name, column in EVENT.items():
        assert pc.max(source(name)[column].cast(pa.int64())).as_py() < spec.end_us
