"""Spans of time that figures are given for. Days and weeks are those of UTC, weeks begin on Monday."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

__all__ = ["TRAILING", "Window", "calendar_windows", "trailing_windows"]

Span = Literal["day", "week", "1d", "7d", "28d"]

TRAILING: tuple[tuple[Span, int], ...] = (("1d", 1), ("7d", 7), ("28d", 28))
"""Windows that end now, by length in days: what is exported and alarmed on."""
_DAYS_SHOWN, _WEEKS_SHOWN = 14, 12


@dataclass(frozen=True, slots=True)
class Window:
    """start <= scored_at < end."""

    span: Span
    start: datetime
    end: datetime


def trailing_windows(until: datetime) -> tuple[Window, ...]:
    """Windows of `TRAILING` that end at `until`."""
    return tuple(Window(span, until - timedelta(days=days), until) for span, days in TRAILING)


def calendar_windows(until: datetime) -> tuple[Window, ...]:
    """The newest 14 days and 12 weeks, oldest first; the last of each is still running at `until`."""
    return (*_spans("day", until, 1, _DAYS_SHOWN), *_spans("week", until, 7, _WEEKS_SHOWN))


def _spans(span: Span, until: datetime, days: int, count: int) -> Iterator[Window]:
    # The instant `until` itself belongs to no window, so that at midnight the day that ended is the last.
    last = (until.astimezone(UTC) - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if days == 7:
        last -= timedelta(days=last.weekday())
    length = timedelta(days=days)
    for back in range(count - 1, -1, -1):
        start = last - back * length
        yield Window(span, start, start + length)
