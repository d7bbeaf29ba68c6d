"""What people do, seen from outside: logins, public code and articles.

All three see where a person is only through the share of time abroad and through habits (VPN, devices kept on
Japanese time) that hide it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from marketplace.columns import Bools, Floats, Ints, days, ids, numbers, pick, times, words
from marketplace.mess import export
from marketplace.people import People
from marketplace.seasons import events, local_hours
from marketplace.spec import DAY_US, HOUR_US, MarketplaceSpec
from marketplace.vocabulary import COUNTRIES, COUNTRY_UTC_OFFSETS, DEVICES

__all__ = ["Habits", "articles_table", "code_activity_table", "logins_table", "make_habits"]

_OFFSETS: Final = np.asarray(COUNTRY_UTC_OFFSETS, dtype=np.int64)
_MINUTE_US: Final = 60_000_000
_VPN_COUNTRIES: Final = np.array([1, 9, 18], dtype=np.int64)
"""Where the exits of usual VPNs stand: US, SG, NL."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Habits of the n people of a part, (n,)."""

    japanese_exit: Bools
    """Uses a VPN that ends in Japan when abroad."""
    foreign_exit: Bools
    """Uses a VPN that ends abroad, often."""
    keeps_japanese_time: Bools
    keeps_utc: Bools
    day_shift_hours: Floats
    """How much later than others the person's day is."""


def make_habits(spec: MarketplaceSpec, part: int, people: People) -> Habits:
    """Draw the habits of the people of a part."""
    rng = spec.stream("habits", part)
    n = len(people)
    return Habits(
        japanese_exit=rng.random(n) < 0.15,
        foreign_exit=rng.random(n) < 0.05,
        keeps_japanese_time=rng.random(n) < 0.18,
        keeps_utc=rng.random(n) < 0.03,
        day_shift_hours=1.3 * rng.standard_normal(n),
    )


def logins_table(spec: MarketplaceSpec, part: int, people: People, habits: Habits) -> pa.Table:
    """Return the logins; each shows a country of the address and the device's clock."""
    rng = spec.stream("logins", part)
    weeks = (people.active_until - people.active_from) / (7 * DAY_US)
    who, at = events(rng, 0.75 * np.exp(0.6 * people.effort) * weeks, people.active_from, people.active_until)
    m = len(who)
    away = rng.random(m) < people.share_abroad(who, at)
    place = np.where(away, people.country[who], 0)
    local = local_hours(rng, habits.day_shift_hours[who])
    at = at // DAY_US * DAY_US + (local * HOUR_US).astype(np.int64) - _OFFSETS[place] * _MINUTE_US
    # The hour of the day may have moved a login out of the data.
    inside = (at >= people.active_from[who]) & (at < spec.end_us)
    who, at, away, place = who[inside], at[inside], away[inside], place[inside]
    m = len(who)
    address = np.where(away & habits.japanese_exit[who] & (rng.random(m) < 0.85), 0, place)
    exits = ~away & habits.foreign_exit[who] & (rng.random(m) < 0.6)
    address = np.where(exits, rng.choice(_VPN_COUNTRIES, m), address)
    clock = np.where(habits.keeps_japanese_time[who], 540, np.where(habits.keeps_utc[who], 0, _OFFSETS[place]))
    # A new web client tells neither clock nor, behind a relay, country as often as the old one.
    newer = (at - spec.start_us) / (spec.end_us - spec.start_us)
    device = np.where(rng.random(m) < 0.55 - 0.15 * newer, 0, 1 + (rng.random(m) < 0.35))
    columns = {
        "candidate_id": pick(ids("c", people.first + np.arange(len(people), dtype=np.int64)), who),
        "logged_in_at": times(at),
        "ip_country": words(COUNTRIES, address, rng.random(m) < 0.03 + 0.04 * newer),
        "utc_offset_minutes": numbers(clock, rng.random(m) < 0.06 + 0.05 * newer),
        "device": words(DEVICES, device, rng.random(m) < 0.02),
    }
    return export(rng, "logins", columns, at)


def code_activity_table(spec: MarketplaceSpec, part: int, people: People, habits: Habits) -> pa.Table:
    """Return public code by UTC day, with commits split over the quarters of that day."""
    rng = spec.stream("code", part)
    weeks = (people.active_until - people.active_from) / (7 * DAY_US)
    rate = np.where(people.has_code, 1.0, 0.0) * np.exp(0.35 * people.skill + 0.5 * people.effort)
    who, at = _by_day(*events(rng, rate * weeks, people.active_from, people.active_until))
    m = len(who)
    commits = 1 + rng.poisson(rng.gamma(1.2, np.exp(0.7 + 0.35 * people.skill[who])))
    away = rng.random(m) < people.share_abroad(who, at)
    offset_hours = _OFFSETS[np.where(away, people.country[who], 0)] / 60.0
    quarters = rng.multinomial(commits, _quarter_shares(habits.day_shift_hours[who] - offset_hours))
    columns: dict[str, object] = {
        "candidate_id": ids("c", people.first + who),
        "day": days(at),
        "commits": numbers(commits),
        "repositories": numbers(1 + rng.poisson(0.25 * np.sqrt(commits))),
        "stars": numbers(rng.poisson(np.exp(-2.2 + 1.1 * people.skill[who]))),
    }
    for position, name in enumerate(("00_06", "06_12", "12_18", "18_24")):
        columns[f"commits_utc_{name}"] = numbers(quarters[:, position])
    return export(rng, "code_activity", columns, at + DAY_US)


def articles_table(spec: MarketplaceSpec, part: int, people: People) -> pa.Table:
    """Return technical articles by UTC day."""
    rng = spec.stream("articles", part)
    years = (people.active_until - people.active_from) / (365 * DAY_US)
    writes = rng.random(len(people)) < 0.2
    rate = np.where(writes, 5.0, 0.0) * np.exp(0.3 * people.skill + 0.3 * people.business)
    who, at = _by_day(*events(rng, rate * years, people.active_from, people.active_until))
    strength = 0.6 * people.skill + 0.3 * people.business
    columns = {
        "candidate_id": ids("c", people.first + who),
        "day": days(at),
        "articles": numbers(1 + (rng.random(len(who)) < 0.06).astype(np.int64)),
        "likes": numbers(rng.poisson(rng.gamma(1.5, np.exp(1.6 + strength[who])))),
    }
    return export(rng, "articles", columns, at + DAY_US)


def _by_day(who: Ints, at: Ints) -> tuple[Ints, Ints]:
    """Return one event a person and day, at the start of the day."""
    keys = np.unique(who * 100_000 + at // DAY_US)
    return keys // 100_000, keys % 100_000 * DAY_US


def _quarter_shares(shift_hours: Floats) -> Floats:
    """Return the shares (m, 4) of a day's commits in each quarter of the UTC day.

    Commits peak at 15:00 local time, moved by `shift_hours` (own habit less offset from UTC), as a wrapped bell.
    """
    centres = np.array([3.0, 9.0, 15.0, 21.0])
    angle = (centres - (15.0 + shift_hours)[:, None]) * (2 * np.pi / 24)
    weights = np.exp(1.3 * np.cos(angle))
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares
