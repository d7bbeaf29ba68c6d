"""Rounds in turn (A B A B …) and the ratios between them: machines and minutes differ, neighbours in time hardly do."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Ratio", "alternate", "ratio"]

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of the ratios of neighbouring rounds, and how far they spread."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.median:.3g}"
        return f"{self.median:.3g} ({self.low:.3g}–{self.high:.3g})"


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """Ratios round by round."""
    each = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return Ratio(statistics.median(each), min(each), max(each))


def alternate(first: Callable[[], A], second: Callable[[], B], rounds: int) -> tuple[list[A], list[B]]:
    """Run A B A B … and return what each returned."""
    firsts: list[A] = []
    seconds: list[B] = []
    for _ in range(rounds):
        firsts.append(first())
        seconds.append(second())
    return firsts, seconds
