"""When a call is sent again: after 429 and 503, which promise that nothing was done, when `Retry-After` has passed."""

import random
from dataclasses import dataclass

import httpx

__all__ = ["Retries"]


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently."""

    attempts: int = 4
    """In all; 1 never retries."""
    wait_seconds_max: float = 10.0
    """A service that asks for a longer wait is not waited for."""
    jitter: float = 0.2
    """Share of the wait that is added at random, so that callers do not come back in step."""

    def wait_seconds(self, response: httpx.Response, attempt: int) -> float | None:
        """Seconds until attempt `attempt` + 1 (the first is 1), or None for no further one."""
        if response.status_code not in {429, 503} or attempt >= self.attempts:
            return None
        asked = response.headers.get("retry-after", "")
        wait_seconds = float(asked) if asked.isdigit() else 0.1 * 2.0**attempt
        if wait_seconds > self.wait_seconds_max:
            return None
        return wait_seconds * (1.0 + random.uniform(0.0, self.jitter))  # noqa: S311  # jitter, no secret
