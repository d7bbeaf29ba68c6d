"""Schemas of the source tables and of the truth tables.

Times are microseconds in UTC, money is integer yen. A field's metadata holds `doc` and, for numbers, `unit`. Every
source table has `ingested_at`, when the export saw the row: days after the event for late rows. Rows may be repeated,
exactly or with another `ingested_at`; keys are therefore not unique before the warehouse has cleaned them.
"""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

__all__ = ["KEYS", "PROHIBITED", "SOURCE_TABLES", "TRUTH_TABLES", "UNITS", "documentation"]

PROHIBITED: Final = ("sex", "birth_date", "nationality", "birthplace")
"""Columns that no feature may reach, directly or through SQL lineage (職業安定法 5条の5)."""

UNITS: Final[Mapping[str, str]] = {
    "years_experience": "years",
    "desired_rate_yen": "JPY/hour",
    "desired_hours_week": "hours/week",
    "utc_offset_minutes": "minutes",
    "company_size": "people",
    "size": "people",
    "years": "years",
    "rate_min_yen": "JPY/hour",
    "rate_max_yen": "JPY/hour",
    "rate_yen": "JPY/hour",
    "hours_week": "hours/week",
    "hours": "hours",
    "amount_yen": "JPY",
    "skill_rating": "rating 1-5",
    "business_rating": "rating 1-5",
    "level": "level 1-5",
    "expected_rating": "rating 1-5",
    "expected_log_rate": "ln(JPY/hour)",
    "noise_sd": "same as the expectation's",
    "probability": "probability",
}
"""Unit by column name, the same in every table that has the column."""

_TIME: Final = pa.timestamp("us", tz="UTC")
_DAY: Final = pa.date32()
_TEXT: Final = pa.string()


def _field(name: str, kind: pa.DataType, doc: str, *, optional: bool = False) -> pa.Field:
    metadata = {"doc": doc}
    if name in UNITS:
        metadata["unit"] = UNITS[name]
    return pa.field(name, kind, nullable=optional, metadata=metadata)


def _optional(name: str, kind: pa.DataType, doc: str) -> pa.Field:
    return _field(name, kind, doc, optional=True)


def _source(*fields: pa.Field) -> pa.Schema:
    return pa.schema([*fields, _field("ingested_at", _TIME, "when the export saw this row")])


_CANDIDATE: Final = _field("candidate_id", _TEXT, "c0000001, c0000002, ...")
_JOB: Final = _field("job_id", _TEXT, "j0000001, j0000002, ...")
_CONTRACT: Final = _field("contract_id", _TEXT, "contract")

SOURCE_TABLES: Final[Mapping[str, pa.Schema]] = {
    "candidates": _source(
        _CANDIDATE,
        _field("created_at", _TIME, "when the account was opened; the same in all versions"),
        _field("updated_at", _TIME, "from when this version of the profile holds"),
        _optional("role", _TEXT, "vocabulary.ROLES"),
        _optional("headline", _TEXT, "one line, Japanese or English"),
        _optional("bio", _TEXT, "a few sentences, Japanese or English"),
        _optional("birth_date", _DAY, "prohibited as a feature"),
        _optional("sex", _TEXT, "prohibited as a feature"),
        _optional("nationality", _TEXT, "prohibited as a feature"),
        _optional("birthplace", _TEXT, "prohibited as a feature"),
        _optional("phone_country", _TEXT, "vocabulary.COUNTRIES, of the telephone number"),
        _optional("prefecture", _TEXT, "vocabulary.PREFECTURES, as the person says"),
        _optional("english_level", _TEXT, "vocabulary.ENGLISH_LEVELS, as the person says"),
        _optional("japanese_level", _TEXT, "vocabulary.JAPANESE_LEVELS, as the person says"),
        _optional("years_experience", pa.float64(), "years in the occupation, as the person says"),
        _optional("desired_rate_yen", pa.int64(), "wish, an hour"),
        _optional("desired_hours_week", pa.int64(), "wish"),
        _optional("remote_preference", _TEXT, "vocabulary.REMOTE_MODES"),
        _optional("employment_status", _TEXT, "vocabulary.EMPLOYMENT_STATUSES"),
        _optional("github_login", _TEXT, "name of the linked code account"),
        _field("open_to_offers", pa.bool_(), "may be scouted"),
    ),
    "logins": _source(
        _CANDIDATE,
        _field("logged_in_at", _TIME, "time of the login"),
        _optional("ip_country", _TEXT, "vocabulary.COUNTRIES, from the address; VPNs and roaming included"),
        _optional("utc_offset_minutes", pa.int16(), "the device's clock against UTC"),
        _optional("device", _TEXT, "vocabulary.DEVICES"),
    ),
    "work_histories": _source(
        _field("history_id", _TEXT, "position"),
        _CANDIDATE,
        _optional("company_name", _TEXT, "Japanese or English"),
        _optional("industry", _TEXT, "vocabulary.INDUSTRIES"),
        _optional("title", _TEXT, "Japanese or English"),
        _optional("employment_type", _TEXT, "vocabulary.EMPLOYMENT_TYPES"),
        _field("started_on", _DAY, "first day"),
        _optional("ended_on", _DAY, "last day; null while it lasts"),
        _optional("company_size", pa.int64(), "employees"),
        _field("is_management", pa.bool_(), "led people"),
        _optional("description", _TEXT, "Japanese or English"),
        _field("updated_at", _TIME, "when the person wrote this"),
    ),
    "candidate_skills": _source(
        _CANDIDATE,
        _field("skill", _TEXT, "vocabulary.SKILLS"),
        _optional("years", pa.float64(), "as the person says"),
        _optional("level", pa.int8(), "1 to 5, as the person says"),
        _field("endorsements", pa.int64(), "by others"),
        _field("updated_at", _TIME, "when the person wrote this"),
    ),
    "code_activity": _source(
        _CANDIDATE,
        _field("day", _DAY, "UTC day"),
        _field("commits", pa.int64(), "public commits of the day"),
        _field("repositories", pa.int64(), "repositories touched on the day"),
        _field("stars", pa.int64(), "stars that the repositories gained on the day"),
        _field("commits_utc_00_06", pa.int64(), "of `commits`, hours 0 to 6 UTC"),
        _field("commits_utc_06_12", pa.int64(), "of `commits`, hours 6 to 12 UTC"),
        _field("commits_utc_12_18", pa.int64(), "of `commits`, hours 12 to 18 UTC"),
        _field("commits_utc_18_24", pa.int64(), "of `commits`, hours 18 to 24 UTC"),
    ),
    "articles": _source(
        _CANDIDATE,
        _field("day", _DAY, "UTC day"),
        _field("articles", pa.int64(), "published on the day"),
        _field("likes", pa.int64(), "gained on the day"),
    ),
    "companies": _source(
        _field("company_id", _TEXT, "k0000001, k0000002, ..."),
        _field("name", _TEXT, "Japanese or English"),
        _field("industry", _TEXT, "vocabulary.INDUSTRIES"),
        _optional("size", pa.int64(), "employees"),
        _optional("founded_on", _DAY, "date of foundation"),
        _optional("prefecture", _TEXT, "vocabulary.PREFECTURES"),
        _field("created_at", _TIME, "when the account was opened"),
    ),
    "jobs": _source(
        _JOB,
        _field("company_id", _TEXT, "who offers it"),
        _field("title", _TEXT, "Japanese or English"),
        _optional("description", _TEXT, "Japanese or English"),
        _field("role", _TEXT, "vocabulary.ROLES"),
        _field("seniority", _TEXT, "vocabulary.SENIORITIES"),
        _field("required_skills", pa.list_(_TEXT), "vocabulary.SKILLS, without repetition"),
        _optional("rate_min_yen", pa.int64(), "budget, an hour"),
        _optional("rate_max_yen", pa.int64(), "budget, an hour"),
        _optional("hours_week", pa.int64(), "expected load"),
        _optional("remote", _TEXT, "vocabulary.REMOTE_MODES"),
        _field("english_required", pa.bool_(), "work is done in English"),
        _field("opened_at", _TIME, "from when people may apply"),
        _optional("closed_at", _TIME, "until when; null while open"),
    ),
    "scouts": _source(
        _field("scout_id", _TEXT, "scout message"),
        _JOB,
        _CANDIDATE,
        _field("sent_at", _TIME, "time of the message"),
        _optional("replied_at", _TIME, "time of the reply; null without one"),
        _optional("reply", _TEXT, "vocabulary.SCOUT_REPLIES; null without one"),
    ),
    "applications": _source(
        _field("application_id", _TEXT, "application"),
        _JOB,
        _CANDIDATE,
        _field("applied_at", _TIME, "time of the application"),
        _field("source", _TEXT, "vocabulary.APPLICATION_SOURCES"),
        _field("status", _TEXT, "vocabulary.APPLICATION_STATUSES, as it stands at the end of the data"),
        _optional("decided_at", _TIME, "time of the decision; null while pending"),
    ),
    "contracts": _source(
        _CONTRACT,
        _field("application_id", _TEXT, "the application it came from"),
        _JOB,
        _CANDIDATE,
        _field("started_on", _DAY, "first day"),
        _optional("ended_on", _DAY, "last day; null while it lasts"),
        _field("rate_yen", pa.int64(), "agreed, an hour"),
        _optional("hours_week", pa.int64(), "agreed"),
        _field("signed_at", _TIME, "time of the signature"),
    ),
    "contract_renewals": _source(
        _CONTRACT,
        _field("renewed_at", _TIME, "time of the renewal"),
        _field("rate_yen", pa.int64(), "agreed from now on, an hour"),
    ),
    "contract_evaluations": _source(
        _field("evaluation_id", _TEXT, "evaluation"),
        _CONTRACT,
        _CANDIDATE,
        _field("evaluated_at", _TIME, "time of the evaluation"),
        _optional("skill_rating", pa.int8(), "by the company, 1 to 5"),
        _optional("business_rating", pa.int8(), "by the company, 1 to 5"),
        _optional("comment", _TEXT, "Japanese or English"),
    ),
    "identity_checks": _source(
        _field("check_id", _TEXT, "identity check"),
        _CANDIDATE,
        _field("checked_at", _TIME, "time of the check"),
        _field("lives_abroad", pa.bool_(), "outcome"),
        _field("method", _TEXT, "vocabulary.CHECK_METHODS"),
    ),
    "invoices": _source(
        _field("invoice_id", _TEXT, "invoice"),
        _CONTRACT,
        _field("month", _DAY, "first day of the month that is billed"),
        _field("hours", pa.float64(), "worked in the month"),
        _field("amount_yen", pa.int64(), "billed"),
        _field("issued_at", _TIME, "time of issue"),
        _optional("paid_at", _TIME, "time of payment; null while open; due 30 days after issue"),
    ),
}

TRUTH_TABLES: Final[Mapping[str, pa.Schema]] = {
    "residency": pa.schema(
        [
            _field("check_id", _TEXT, "identity check"),
            _CANDIDATE,
            _field("checked_at", _TIME, "time of the check"),
            _field("probability", pa.float64(), "that the check says abroad, given latent state and signals"),
        ]
    ),
    "skill_experience": pa.schema(
        [
            _field("evaluation_id", _TEXT, "evaluation"),
            _field("expected_rating", pa.float64(), "of skill_rating, given the latent traits"),
            _field("noise_sd", pa.float64(), "standard deviation of skill_rating around it"),
        ]
    ),
    "business_experience": pa.schema(
        [
            _field("evaluation_id", _TEXT, "evaluation"),
            _field("expected_rating", pa.float64(), "of business_rating, given the latent traits"),
            _field("noise_sd", pa.float64(), "standard deviation of business_rating around it"),
        ]
    ),
    "hourly_rate": pa.schema(
        [
            _CONTRACT,
            _field("expected_log_rate", pa.float64(), "of ln(rate_yen), given the latent traits and the job"),
            _field("noise_sd", pa.float64(), "standard deviation of ln(rate_yen) around it"),
        ]
    ),
    "recommendation": pa.schema(
        [
            _field("application_id", _TEXT, "application"),
            _JOB,
            _CANDIDATE,
            _field(
                "probability", pa.float64(), "that it ends in a hire once decided, given the latent traits and the job"
            ),
        ]
    ),
}

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "candidates": ("candidate_id", "updated_at"),
    "logins": ("candidate_id", "logged_in_at"),
    "work_histories": ("history_id", "updated_at"),
    "candidate_skills": ("candidate_id", "skill", "updated_at"),
    "code_activity": ("candidate_id", "day"),
    "articles": ("candidate_id", "day"),
    "companies": ("company_id",),
    "jobs": ("job_id",),
    "scouts": ("scout_id",),
    "applications": ("application_id",),
    "contracts": ("contract_id",),
    "contract_renewals": ("contract_id", "renewed_at"),
    "contract_evaluations": ("evaluation_id",),
    "identity_checks": ("check_id",),
    "invoices": ("invoice_id",),
}
"""What identifies a row of a source table once repetitions are gone; of several, the last ingested holds."""


def documentation(table: str) -> dict[str, str]:
    """Return the documentation of each column of a source table. Raises KeyError for another name."""
    return {field.name: field.metadata[b"doc"].decode() for field in SOURCE_TABLES[table]}
