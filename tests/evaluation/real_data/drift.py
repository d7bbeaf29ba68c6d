"""Drift between waves: rows of the known waves window after window, then those of the wave that was held out."""

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.settings import REPOSITORY

from real_data.dataset import RealDataError
from real_data.drift_replay import Replay

__all__ = ["QUIET_WINDOWS", "DriftReplay", "replay_drift"]

QUIET_WINDOWS = 30
_STEPS = 12
_ROWS_A_WINDOW = 1000
_RULES = REPOSITORY / "deploy" / "prometheus" / "rules" / "drift.yml"


@dataclass(frozen=True, slots=True)
class DriftReplay:
    """Whom the rules alarmed in the window after the quiet ones."""

    features: Mapping[str, float]
    """Feature to the PSI in the window that alarmed."""
    rows: int
    checked: bool
    """False where this machine has no promtool, and only our own computation says so."""


def replay_drift(
    known: Sequence[str],
    shifted: Sequence[str],
    score: Callable[[Sequence[str]], object],
    scrape: Callable[[], str],
    directory: Path,
) -> DriftReplay:
    """Score 30 windows of known rows and one of the others, scraping each twelfth, and hold the rules to the counters.

    Raises `RealDataError` where a quiet window alarms, or the rules alarm for other features than they should.
    """
    order = random.Random(0).sample(list(known), QUIET_WINDOWS * _ROWS_A_WINDOW)
    windows = [order[start : start + _ROWS_A_WINDOW] for start in range(0, len(order), _ROWS_A_WINDOW)]
    replay = Replay()
    replay.scrape(scrape())
    for number, window in enumerate((*windows, list(shifted))):
        for step in range(_STEPS):
            score(window[step::_STEPS])
            replay.scrape(scrape())
        if number < QUIET_WINDOWS and (replay.drifted("1h") or replay.drifted("1h", "prediction")):
            raise RealDataError(f"window {number + 1} of {QUIET_WINDOWS} without a shift would alarm")
    found = {feature: value for (_, _, feature), value in replay.drifted("1h").items()}
    promtool = shutil.which("promtool")
    if promtool is not None:
        directory.mkdir(parents=True, exist_ok=True)
        quiet = [window * _STEPS for window in range(1, QUIET_WINDOWS + 1)]
        complaint = replay.check(promtool, _RULES, directory, quiet)
        if complaint:
            raise RealDataError(f"the drift rules alarm otherwise than the counters say: {complaint}")
    return DriftReplay(dict(sorted(found.items())), len(shifted), checked=promtool is not None)
