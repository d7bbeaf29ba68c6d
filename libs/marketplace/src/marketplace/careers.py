"""What people have done and can do, as they tell it: work histories and skills."""

from typing import Final

import numpy as np
import pyarrow as pa

from marketplace import text
from marketplace.columns import Bools, Floats, Ints, counted_ids, days, ids, numbers, times, words
from marketplace.mess import export
from marketplace.people import People, role_skill_weights
from marketplace.spec import DAY_US, MarketplaceSpec
from marketplace.vocabulary import EMPLOYMENT_TYPES, INDUSTRIES, SKILLS

__all__ = ["candidate_skills_table", "work_histories_table"]

_MOST: Final = 7
_SIDE_JOB: Final = EMPLOYMENT_TYPES.index("side_job")


def candidate_skills_table(spec: MarketplaceSpec, part: int, people: People) -> pa.Table:
    """Return the skills that people name; 85 % at the start, the rest later, some of them told anew."""
    rng = spec.stream("skills", part)
    who, skill = np.nonzero(people.skill_bits)
    m = len(who)
    span = people.active_until - people.active_from
    later = people.active_from[who] + (rng.random(m) * span[who]).astype(np.int64)
    soon = people.created[who] + (rng.exponential(0.5, m) * DAY_US).astype(np.int64)
    at = np.where(rng.random(m) < 0.85, np.minimum(soon, people.active_until[who]), later)
    typical = role_skill_weights()[people.role[who], skill] > 0.5
    level = 2.3 + 0.7 * people.skill[who] + 0.5 * typical + 0.5 * np.log1p(people.years[who] / 4.0)
    level = np.clip(np.rint(level + 0.6 * rng.standard_normal(m)), 1, 5).astype(np.int64)
    years = np.minimum(rng.gamma(2.0, 0.25, m) * (1.0 + people.years[who]), people.years[who])
    endorsements = rng.poisson(np.exp(0.1 + 0.65 * people.skill[who]) * np.where(typical, 1.2, 0.6))
    again = np.flatnonzero((rng.random(m) < 0.08) & (later > at))
    rows = np.concatenate([np.arange(m), again])
    when = np.concatenate([at, later[again]])
    raised = np.concatenate([level, np.minimum(level[again] + 1, 5)])
    columns = {
        "candidate_id": ids("c", people.first + who[rows]),
        "skill": words(SKILLS, skill[rows]),
        "years": numbers(np.rint(years[rows] * 2) / 2, rng.random(len(rows)) < 0.12),
        "level": numbers(raised, rng.random(len(rows)) < 0.1),
        "endorsements": numbers(endorsements[rows] + np.where(np.arange(len(rows)) >= m, 1, 0)),
        "updated_at": times(when),
    }
    return export(rng, "candidate_skills", columns, when)


def work_histories_table(spec: MarketplaceSpec, part: int, people: People) -> pa.Table:
    """Return the positions that people name: a line of jobs back in time, and side jobs beside it."""
    rng = spec.stream("work", part)
    who, began, ended, current = _line_of_jobs(rng, people)
    beside = np.flatnonzero(rng.random(len(who)) < 0.12 + 0.06 * (people.business[who] > 0.5))
    who = np.concatenate([who, who[beside]])
    side = np.arange(len(who)) >= len(began)
    length = ended[beside] - began[beside]
    side_began = began[beside] + (rng.random(len(beside)) * 0.5 * length).astype(np.int64)
    began = np.concatenate([began, side_began])
    ended = np.concatenate([ended, side_began + (rng.uniform(0.2, 0.5, len(beside)) * length).astype(np.int64)])
    current = np.concatenate([current, np.zeros(len(beside), dtype=np.bool_)])
    m = len(who)
    told = people.created[who] + (rng.exponential(1.0, m) * DAY_US).astype(np.int64)
    at = np.minimum(np.maximum(told, began + 5 * DAY_US), spec.end_us - 1)
    experience = np.clip((began - people.created[who]) / (365 * DAY_US) + people.years[who], 0.0, 40.0)
    pressure = -2.6 + 0.95 * people.business[who] + 0.7 * np.log1p(experience / 3.0)
    leads = (rng.random(m) < 1.0 / (1.0 + np.exp(-pressure))) & ~side
    kind = np.where(side, _SIDE_JOB, rng.choice([0, 1, 2, 4], m, p=[0.8, 0.13, 0.04, 0.03]))
    size = np.exp(rng.normal(4.6 + 0.55 * people.business[who], 1.5))
    english = rng.random(m) < np.where(people.japanese_native[who], 0.08, 0.6)
    columns = {
        "history_id": counted_ids("h", part, m),
        "candidate_id": ids("c", people.first + who),
        "company_name": _some(text.company_names(rng.integers(0, 480, m)), rng.random(m) < 0.04),
        "industry": words(INDUSTRIES, rng.integers(0, len(INDUSTRIES), m), rng.random(m) < 0.1),
        "title": _some(text.titles(people.role[who], leads, english), rng.random(m) < 0.05),
        "employment_type": words(EMPLOYMENT_TYPES, kind, rng.random(m) < 0.05),
        "started_on": days(began),
        "ended_on": days(ended, current),
        "company_size": numbers(np.maximum(size, 1.0).astype(np.int64), rng.random(m) < 0.2),
        "is_management": pa.array(leads),
        "description": _some(text.position_texts(rng.integers(0, 36, m)), rng.random(m) < 0.25),
        "updated_at": times(at),
    }
    return export(rng, "work_histories", columns, at)


def _line_of_jobs(rng: np.random.Generator, people: People) -> tuple[Ints, Ints, Ints, Bools]:
    """Return person, first and last time and "still there" of the positions one after the other.

    Positions share out the years of experience; those strong in business stay longer, which makes them fewer.
    """
    n = len(people)
    few = np.exp(-0.2 * people.business)
    count = np.clip(1 + rng.poisson(np.minimum(people.years / 4.5, 4.0) * few), 1, _MOST)
    weights = rng.gamma(2.0, 1.0, (n, _MOST)) * (np.arange(_MOST) < count[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    months = weights * np.maximum(people.years, 0.25)[:, None] * 12.0
    gaps = np.where(rng.random((n, _MOST)) < 0.3, rng.exponential(2.5, (n, _MOST)), 0.0)
    before: Floats = np.cumsum(months + gaps, axis=1) - months
    month_us = 30.44 * DAY_US
    until = people.created[:, None] - ((before - before[:, :1]) * month_us).astype(np.int64)
    since = until - np.maximum(months * month_us, 15.0 * DAY_US).astype(np.int64)
    who, position = np.nonzero(np.arange(_MOST) < count[:, None])
    still = (position == 0) & (rng.random(len(who)) < 0.8)
    return who, since[who, position], until[who, position], still


def _some(values: pa.Array, missing: Bools) -> pa.Array:
    return values.take(pa.array(np.arange(len(values)), mask=missing))
