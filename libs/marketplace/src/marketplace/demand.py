"""What companies look for: companies and their jobs."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from marketplace import text
from marketplace.columns import Bools, Floats, Ints, days, ids, numbers, times, words
from marketplace.mess import export
from marketplace.people import ROLE_LOG_RATE, role_skill_weights
from marketplace.spec import DAY_US, YEAR_US, MarketplaceSpec
from marketplace.vocabulary import INDUSTRIES, PREFECTURES, REMOTE_MODES, ROLES, SENIORITIES, SKILL_RARITY, SKILLS

__all__ = ["Companies", "Jobs", "companies_table", "jobs_table", "make_companies", "make_jobs"]

_SENIORITY_LOG_RATE: Final = np.array([-0.22, 0.0, 0.2, 0.34])
_ROLE_SHARES: Final = np.array([21, 15, 12, 8, 8, 6, 7, 3, 2, 3, 5, 3, 5, 2], dtype=np.float64)
_RARITY: Final = np.asarray(SKILL_RARITY, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Companies:
    """The k companies with their latent traits; each array is (k,)."""

    share: Floats
    """Of the jobs."""
    pay: Floats
    """What they pay above the market, in log yen an hour."""
    ease: Floats
    """How readily they hire, in log odds."""
    size: Ints
    industry: Ints


@dataclass(frozen=True, slots=True)
class Jobs:
    """The m jobs in the order of their opening, with the latent traits of their companies; each array is (m,)."""

    company: Ints
    """Number of the company, from 0."""
    role: Ints
    seniority: Ints
    bits: Bools
    """(m, skills): what is required."""
    mask: NDArray[np.uint64]
    budget: Floats
    """Middle of the budget, log yen an hour."""
    hours_week: Ints
    remote: Ints
    english: Bools
    opened: Ints
    closed: Ints
    ease: Floats
    """How readily the company hires, in log odds."""

    def __len__(self) -> int:
        """Return m."""
        return len(self.role)


def make_companies(spec: MarketplaceSpec) -> Companies:
    """Draw all companies: a few large customers, many small."""
    rng = spec.stream("companies")
    k = spec.companies
    weights = 1.0 / (np.arange(1, k + 1) + 10.0) ** 0.7
    return Companies(
        share=weights / weights.sum(),
        pay=0.08 * rng.standard_normal(k),
        ease=0.5 * rng.standard_normal(k),
        size=np.exp(rng.normal(4.8, 1.4, k)).astype(np.int64) + 2,
        industry=rng.integers(0, len(INDUSTRIES), k),
    )


def make_jobs(spec: MarketplaceSpec, companies: Companies) -> Jobs:
    """Draw all jobs; they are few, and every part of the candidates sees the same."""
    rng = spec.stream("jobs")
    m = spec.jobs
    company = rng.choice(spec.companies, m, p=companies.share)
    # The first jobs were open before the data starts, so that there is something to apply for on the first day.
    opened = np.sort(spec.start_us - 60 * DAY_US + (rng.random(m) * (spec.end_us - spec.start_us)).astype(np.int64))
    opened += np.linspace(0.0, 58.0 * DAY_US, m).astype(np.int64)
    role = rng.choice(len(ROLES), m, p=_ROLE_SHARES / _ROLE_SHARES.sum())
    seniority = rng.choice(4, m, p=[0.12, 0.42, 0.34, 0.12])
    bits = _required(rng, role)
    rarity = (bits @ _RARITY) / bits.sum(axis=1)
    elapsed = (opened - spec.start_us) / YEAR_US
    budget = np.log(4350.0) + ROLE_LOG_RATE[role] + _SENIORITY_LOG_RATE[seniority] + companies.pay[company]
    budget += 0.18 * (rarity - 1.9) + 0.04 * elapsed + 0.1 * rng.standard_normal(m)
    # Offices fill again over the years.
    office = rng.random(m) < 0.05 + 0.04 * np.maximum(elapsed, 0.0)
    remote = np.where(office, 0, np.where(rng.random(m) < 0.3 + 0.07 * np.maximum(elapsed, 0.0), 1, 2))
    return Jobs(
        company=company,
        role=role,
        seniority=seniority,
        bits=bits,
        mask=bits.astype(np.uint64) @ (np.uint64(1) << np.arange(len(SKILLS), dtype=np.uint64)),
        budget=budget,
        hours_week=rng.choice(np.array([5, 10, 15, 20, 30, 40]), m, p=[0.1, 0.3, 0.2, 0.2, 0.1, 0.1]),
        remote=remote,
        english=rng.random(m) < 0.08 + 0.03 * np.maximum(elapsed, 0.0),
        opened=opened,
        closed=opened + (rng.gamma(3.0, 25.0, m) * DAY_US).astype(np.int64) + 14 * DAY_US,
        ease=companies.ease[company],
    )


def companies_table(spec: MarketplaceSpec, companies: Companies) -> pa.Table:
    """Return the companies as they present themselves."""
    rng = spec.stream("company_rows")
    k = len(companies.size)
    created = spec.start_us - 60 * DAY_US - (rng.random(k) * 2 * YEAR_US).astype(np.int64)
    founded = created - (rng.gamma(1.5, 9.0, k) * YEAR_US).astype(np.int64)
    columns = {
        "company_id": ids("k", np.arange(1, k + 1, dtype=np.int64)),
        "name": text.company_names(rng.integers(0, 480, k)),
        "industry": words(INDUSTRIES, companies.industry),
        "size": numbers(companies.size, rng.random(k) < 0.06),
        "founded_on": days(founded, rng.random(k) < 0.1),
        "prefecture": words(PREFECTURES, rng.choice([12, 12, 12, 26, 13, 39, 22], k), rng.random(k) < 0.05),
        "created_at": times(created),
    }
    return export(rng, "companies", columns, created)


def jobs_table(spec: MarketplaceSpec, jobs: Jobs) -> pa.Table:
    """Return the jobs as they are published."""
    rng = spec.stream("job_rows")
    m = len(jobs)
    job, skill = np.nonzero(jobs.bits)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(job, minlength=m))]).astype(np.int32)
    required = pa.ListArray.from_arrays(pa.array(offsets), words(SKILLS, skill))
    english_text = jobs.english | (rng.random(m) < 0.05)
    hidden = rng.random(m) < 0.08
    low = np.exp(jobs.budget - rng.uniform(0.08, 0.2, m))
    high = np.exp(jobs.budget + rng.uniform(0.08, 0.2, m))
    first = np.argmax(jobs.bits, axis=1)
    describes = text.job_descriptions(first, rng.integers(0, 36, m), english_text)
    columns = {
        "job_id": ids("j", np.arange(1, m + 1, dtype=np.int64)),
        "company_id": ids("k", jobs.company + 1),
        "title": text.job_titles(jobs.role, jobs.seniority, english_text),
        "description": describes.take(pa.array(np.arange(m), mask=rng.random(m) < 0.06)),
        "role": words(ROLES, jobs.role),
        "seniority": words(SENIORITIES, jobs.seniority),
        "required_skills": required,
        "rate_min_yen": numbers(_round_hundred(low), hidden | (rng.random(m) < 0.04)),
        "rate_max_yen": numbers(_round_hundred(high), hidden),
        "hours_week": numbers(jobs.hours_week, rng.random(m) < 0.07),
        "remote": words(REMOTE_MODES, jobs.remote, rng.random(m) < 0.05),
        "english_required": pa.array(jobs.english),
        "opened_at": times(jobs.opened),
        "closed_at": times(jobs.closed, jobs.closed >= spec.end_us),
    }
    return export(rng, "jobs", columns, jobs.opened)


def _required(rng: np.random.Generator, role: Ints) -> Bools:
    """Draw two to six required skills that are typical of the role (Gumbel top-k)."""
    m = len(role)
    counts = rng.choice(np.arange(2, 7), m, p=[0.15, 0.3, 0.3, 0.15, 0.1])
    scores = 1.4 * np.log(role_skill_weights())[role] + rng.gumbel(size=(m, len(SKILLS)))
    bits = np.zeros((m, len(SKILLS)), dtype=np.bool_)
    np.put_along_axis(bits, np.argsort(-scores, axis=1), np.arange(len(SKILLS)) < counts[:, None], axis=1)
    return bits


def _round_hundred(values: Floats) -> Ints:
    return (np.rint(values / 100) * 100).astype(np.int64)
