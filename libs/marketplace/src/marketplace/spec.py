"""What to generate: size, seed and span of time, and the random streams that follow from them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import numpy as np

__all__ = ["DAY_US", "HOUR_US", "YEAR_US", "MarketplaceSpec", "SpecError"]

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
YEAR_US: Final = 36_525 * DAY_US // 100

_LIMIT: Final = 9_999_999
"""Ids have seven digits."""


class SpecError(ValueError):
    """A marketplace of this size or span cannot be generated; the message says which value and why."""


@dataclass(frozen=True, slots=True)
class MarketplaceSpec:
    """A marketplace is a function of this alone: the same spec gives the same bytes."""

    candidates: int = 20_000
    jobs: int = 2_000
    companies: int = 150
    seed: int = 1
    start: date = date(2023, 11, 1)
    years: int = 3
    part_size: int = 50_000
    """Candidates in one file of each table; bounds the memory."""

    def __post_init__(self) -> None:
        """Refuse what cannot be generated, with SpecError."""
        for name in ("candidates", "jobs", "companies", "years", "part_size"):
            if getattr(self, name) < 1:
                msg = f"{name} must be at least 1"
                raise SpecError(msg)
        for name in ("candidates", "jobs", "companies"):
            if getattr(self, name) > _LIMIT:
                msg = f"{name} must be at most {_LIMIT}"
                raise SpecError(msg)
        if self.seed < 0:
            msg = "seed must not be negative"
            raise SpecError(msg)
        if not 1980 <= self.start.year <= 2100 or self.years > 50 or (self.start.month, self.start.day) == (2, 29):
            msg = "start must be in 1980 to 2100, not a 29 February, and years at most 50"
            raise SpecError(msg)

    @property
    def start_us(self) -> int:
        """First instant of the data, microseconds since the epoch (UTC)."""
        return _midnight_us(self.start)

    @property
    def end_us(self) -> int:
        """First instant after the data, microseconds since the epoch (UTC)."""
        return _midnight_us(self.start.replace(year=self.start.year + self.years))

    @property
    def parts(self) -> int:
        """Number of files of each candidate-wise table."""
        return -(-self.candidates // self.part_size)

    def part_range(self, part: int) -> tuple[int, int]:
        """Return first and one past the last candidate number (from 1) of a part."""
        first = part * self.part_size + 1
        return first, min(first + self.part_size, self.candidates + 1)

    def stream(self, purpose: str, part: int = 0) -> np.random.Generator:
        """Return the random stream of one purpose and part; streams do not depend on each other or on order."""
        entropy = [self.seed, part, *purpose.encode()]
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))


def _midnight_us(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
