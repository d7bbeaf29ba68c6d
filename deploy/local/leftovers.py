"""Processes of a supervisor that is gone: found by the run id in their environment, never by a name."""

import contextlib
import os
from collections.abc import Callable, Iterator

import psutil

__all__ = ["RUN_ID_VARIABLE", "end_leftovers", "leftovers"]

RUN_ID_VARIABLE = "OFFERS_RUN_ID"


def leftovers(run_id: str) -> list[psutil.Process]:
    """Return every living process that carries `run_id`, this one excepted."""
    return [process for process in _others() if _run_id(process) == run_id]


def end_leftovers(run_id: str, grace_seconds: float = 5.0) -> int:
    """SIGTERM, then SIGKILL after the grace period; return how many there were."""
    found = leftovers(run_id)
    for process in found:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(found, timeout=grace_seconds)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=grace_seconds)
    return len(found)


def _others() -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter() if process.pid != os.getpid())


def _run_id(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(RUN_ID_VARIABLE)
    except (psutil.Error, OSError):  # of another user, or gone meanwhile
        return None


def _quietly(action: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        action()
