"""Who may come in now: a bound on requests in flight, and a quota a caller."""

import math
import time
from collections.abc import Callable, MutableSequence

from serving.problems import Problem, problem

__all__ = ["Admission", "Quota"]


class Admission:
    """Counts scoring requests in flight and sheds those over the bound.

    Used from one event loop only, so a plain counter is exact.
    """

    __slots__ = ("_in_flight_max", "_retry_after_seconds", "_shed", "in_flight")

    def __init__(
        self, in_flight_max: int, retry_after_seconds: int, shed: "MutableSequence[float] | memoryview[float]"
    ) -> None:
        """Count in `shed[0]` what finds no place, at once: a process that is killed has told it."""
        self._in_flight_max = in_flight_max
        self._retry_after_seconds = retry_after_seconds
        self.in_flight = 0
        self._shed = shed

    def enter(self) -> None:
        """Take a place, to be given back by `leave`; raises the 503 problem when there is none."""
        if self.in_flight >= self._in_flight_max:
            self._shed[0] += 1
            raise problem(Problem.OVERLOADED, retry_after_seconds=self._retry_after_seconds)
        self.in_flight += 1

    def leave(self) -> None:
        """Give a place back."""
        self.in_flight -= 1


class Quota:
    """A token bucket a caller: `per_second` requests in the long run, `burst` at once."""

    __slots__ = ("_buckets", "_burst", "_clock", "_per_second")

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> None:
        """Take one token of this caller; raises the 429 problem, which says when the next is there."""
        if self._per_second <= 0:
            return
        now = self._clock()
        tokens, at = self._buckets.get(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        if tokens < 1:
            self._buckets[caller] = (tokens, now)
            wait_seconds = math.ceil((1 - tokens) / self._per_second)
            raise problem(Problem.QUOTA, retry_after_seconds=max(1, wait_seconds))
        self._buckets[caller] = (tokens - 1, now)
