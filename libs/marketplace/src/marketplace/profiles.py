"""What candidates say of themselves: the change log of profiles."""

from typing import Final

import numpy as np
import pyarrow as pa

from marketplace import text
from marketplace.columns import Bools, Ints, days, ids, numbers, times, words
from marketplace.mess import export
from marketplace.people import People
from marketplace.spec import YEAR_US, MarketplaceSpec
from marketplace.vocabulary import (
    COUNTRIES,
    EMPLOYMENT_STATUSES,
    ENGLISH_LEVELS,
    JAPANESE_LEVELS,
    PREFECTURES,
    REMOTE_MODES,
    ROLES,
)

__all__ = ["candidates_table"]

_OVERSEAS: Final = PREFECTURES.index("overseas")
_TOKYO_HEAVY: Final = np.where(np.isin(np.arange(47), [12, 10, 11, 13, 26, 22, 39, 25, 27, 0]), 8.0, 1.0)


def candidates_table(spec: MarketplaceSpec, part: int, people: People) -> pa.Table:
    """Return one to three versions of each profile."""
    rng = spec.stream("profiles", part)
    who, at = _versions(rng, people)
    m = len(who)
    english_text = rng.random(len(people)) < np.where(people.japanese_native, 0.08, 0.6)
    phone, phone_missing = _phones(rng, people)
    prefecture, prefecture_missing = _prefectures(rng, people, who, at)
    stated_english = np.clip(people.english + rng.choice([-1, 0, 0, 0, 1], len(people)), 0, 4)
    stated_japanese = np.where(people.japanese_native, 4, rng.integers(0, 4, len(people)))
    years = people.years[who] + np.maximum(at - people.created[who], 0) / YEAR_US
    asked = people.value_at(who, at) + people.ask[who] + 0.1 * rng.standard_normal(m)
    remote = np.clip(people.remote[who] - (rng.random(m) < 0.12 * (at - spec.start_us) / YEAR_US), 0, 2)
    sentences = np.clip(rng.poisson(np.exp(0.4 + 0.4 * people.business)), 0, 5)
    main_skill = np.argmax(people.skill_bits * rng.random(people.skill_bits.shape), axis=1)
    seed = rng.integers(0, 1000, len(people))
    seen = rng.random(len(people)) < 0.8
    columns = {
        "candidate_id": ids("c", people.first + who),
        "created_at": times(people.created[who]),
        "updated_at": times(at),
        "role": words(ROLES, people.role[who], rng.random(m) < 0.04),
        "headline": _at(text.headlines(people.role, main_skill, seed, english_text), who, rng.random(m) < 0.1),
        "bio": _at(text.bios(people.role, sentences, seed, english_text), who, rng.random(m) < 0.15),
        **_prohibited(rng, people, who),
        "phone_country": words(COUNTRIES, phone[who], phone_missing[who]),
        "prefecture": words(PREFECTURES, prefecture, prefecture_missing),
        "english_level": words(ENGLISH_LEVELS, stated_english[who], rng.random(m) < 0.12),
        "japanese_level": words(JAPANESE_LEVELS, stated_japanese[who], rng.random(m) < 0.15),
        "years_experience": numbers(np.maximum(np.rint(years * 2) / 2, 0.0), rng.random(m) < 0.08),
        "desired_rate_yen": numbers((np.rint(np.exp(asked) / 100) * 100).astype(np.int64), rng.random(m) < 0.22),
        "desired_hours_week": numbers(people.hours_week[who], rng.random(m) < 0.1),
        "remote_preference": words(REMOTE_MODES, remote, rng.random(m) < 0.07),
        "employment_status": words(
            EMPLOYMENT_STATUSES, rng.choice(5, m, p=[0.68, 0.2, 0.05, 0.03, 0.04]), rng.random(m) < 0.06
        ),
        "github_login": _at(_code_accounts(people), who, ~(people.has_code & seen)[who]),
        "open_to_offers": pa.array(rng.random(m) < 0.78),
    }
    return export(rng, "candidates", columns, at)


def _versions(rng: np.random.Generator, people: People) -> tuple[Ints, Ints]:
    """Return person and time of each version; the first is the opening of the account."""
    n = len(people)
    counts = rng.choice(3, n, p=[0.5, 0.32, 0.18])
    later = np.repeat(np.arange(n, dtype=np.int64), counts)
    span = (people.active_until - people.active_from)[later]
    at = people.active_from[later] + 1 + (rng.random(len(later)) * (span - 1)).astype(np.int64)
    who = np.concatenate([np.arange(n, dtype=np.int64), later])
    when = np.concatenate([people.created, at])
    order = np.lexsort((when, who))
    return who[order], when[order]


def _phones(rng: np.random.Generator, people: People) -> tuple[Ints, Bools]:
    n = len(people)
    foreign = rng.random(n) < 0.04 + 0.55 * people.share_before
    return np.where(foreign, people.country, 0), rng.random(n) < 0.06


def _prefectures(rng: np.random.Generator, people: People, who: Ints, at: Ints) -> tuple[Ints, Bools]:
    """Those abroad leave the field empty, keep the place they come from, or (one in nine) say so."""
    n = len(people)
    home = rng.choice(47, n, p=_TOKYO_HEAVY / _TOKYO_HEAVY.sum())
    share = people.share_abroad(who, at)
    overseas = rng.random(n)[who] < 0.12 * share
    return np.where(overseas, _OVERSEAS, home[who]), (rng.random(n)[who] < 0.3 + 0.3 * share) & ~overseas


def _prohibited(rng: np.random.Generator, people: People, who: Ints) -> dict[str, pa.Array]:
    """Return what must never be a feature; it holds information all the same, as it does in life."""
    n = len(people)
    age = (people.years + 22.0 + rng.gamma(2.0, 2.0, n)) * YEAR_US
    born = people.created - age.astype(np.int64)
    nation = np.where(people.japanese_native, 0, people.country)
    place = np.where(rng.random(n) < 0.95, nation, people.country)
    hidden = rng.random(n)
    return {
        "birth_date": days(born[who], (hidden < 0.2)[who]),
        "sex": words(("female", "male", "other"), rng.choice(3, n, p=[0.24, 0.74, 0.02])[who], (hidden < 0.3)[who]),
        "nationality": words(COUNTRIES, nation[who], (hidden < 0.5)[who]),
        "birthplace": words(COUNTRIES, place[who], (hidden < 0.6)[who]),
    }


def _code_accounts(people: People) -> pa.Array:
    """Return names that do not show the candidate's number; 7919 is prime to the modulus, so no two are the same."""
    return ids("dev", (people.first + np.arange(len(people))) * 7919 % 10_000_019)


def _at(values: pa.Array, rows: Ints, missing: Bools) -> pa.Array:
    return values.take(pa.array(rows, mask=missing))
