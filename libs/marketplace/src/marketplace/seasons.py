"""When people do things: weekdays, the Japanese holidays, and growth over the years."""

from functools import lru_cache
from typing import Final

import numpy as np

from marketplace.columns import Floats, Ints
from marketplace.spec import DAY_US

__all__ = ["LAST_DAY", "day_weights", "events", "local_hours"]

LAST_DAY: Final = 73_000
"""Days since the epoch that the calendar covers (to 2169)."""

_WEEKDAYS: Final = (1.0, 1.05, 1.05, 1.0, 0.9, 0.62, 0.68)
"""Monday to Sunday."""
_HOUR_WEIGHTS: Final = np.array(
    [2, 1, 0.4, 0.2, 0.2, 0.3, 0.8, 2, 4, 6, 6, 5, 6, 5, 5, 5, 5, 5, 6, 7, 8, 9, 8, 5], dtype=np.float64
)
"""By local hour: office hours, then an evening peak, as of people with a side job."""


@lru_cache(maxsize=1)
def day_weights() -> Floats:
    """Return the relative activity of each day since the epoch, (LAST_DAY,), in (0, 1]."""
    numbers = np.arange(LAST_DAY, dtype=np.int64)
    dates = numbers.astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64) % 12 + 1
    of_month = (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1
    of_year = months * 100 + of_month
    weights = np.asarray(_WEEKDAYS)[(numbers + 3) % 7]
    weights = weights * np.where((of_year >= 429) & (of_year <= 506), 0.45, 1.0)
    weights = weights * np.where((of_year >= 811) & (of_year <= 816), 0.55, 1.0)
    weights = weights * np.where((of_year >= 1228) | (of_year <= 104), 0.35, 1.0)
    # New fiscal year and new calendar year are when people look for work.
    weights = weights * np.where(np.isin(months, (1, 3, 4, 9)), 1.15, 1.0)
    result: Floats = weights / weights.max()
    return result


def events(rng: np.random.Generator, expected: Floats, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Draw a seasonal Poisson process for each owner.

    `expected` is the number of events (before the seasons thin it by about a quarter) within [begin, end)
    microseconds. Returns owner (m,) in ascending order and time (m,) in microseconds, unordered within an owner.
    """
    counts = rng.poisson(np.where(end > begin, expected, 0.0))
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    span = (end - begin)[owner].astype(np.float64)
    at = begin[owner] + (rng.random(len(owner)) * span).astype(np.int64)
    kept = rng.random(len(owner)) < day_weights()[at // DAY_US]
    return owner[kept], at[kept]


def local_hours(rng: np.random.Generator, shift_hours: Floats) -> Floats:
    """Draw a local time of day in hours, [0, 24), for people whose day is shifted by `shift_hours`."""
    edges = np.concatenate([[0.0], np.cumsum(_HOUR_WEIGHTS) / _HOUR_WEIGHTS.sum()])
    hours: Floats = (np.interp(rng.random(len(shift_hours)), edges, np.arange(25.0)) + shift_hours) % 24.0
    return hours
