"""Several processes of one service on one port: each binds it with SO_REUSEPORT, and they share the connections."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import structlog

__all__ = ["run_workers"]

_RETRY_SECONDS = 1.0
_STOP_SECONDS = 15.0
_log = structlog.stdlib.get_logger()


def run_workers(count: int, port: int) -> None:
    """Run this process's own command `count` times, and start again what ends, until told to stop."""
    stopping = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with tempfile.TemporaryDirectory(prefix="offers-counts-") as counts:
        # Counts of Prometheus' own client stand in a folder beside ours.
        libraries = Path(counts) / "libraries"
        libraries.mkdir()
        environment = {
            **os.environ,
            "OFFERS_WORKERS": "1",
            "OFFERS_SIBLINGS": str(count),
            "OFFERS_PORT": str(port),
            "OFFERS_COUNTS_DIRECTORY": counts,
            "PROMETHEUS_MULTIPROC_DIR": str(libraries),
        }
        workers = [_start(place, environment) for place in range(count)]
        started = [time.monotonic()] * count
        while not stopping:
            for place, worker in enumerate(workers):
                if worker.poll() is not None and time.monotonic() - started[place] > _RETRY_SECONDS:
                    _log.warning("worker_ended", worker=place, status=worker.returncode)
                    workers[place], started[place] = _start(place, environment), time.monotonic()
            time.sleep(0.1)
        _stop(workers)


def _start(place: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, *sys.orig_argv[1:]]
    return subprocess.Popen(command, env={**environment, "OFFERS_WORKER": str(place)})


def _stop(workers: list[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + _STOP_SECONDS
    for worker in workers:
        try:
            worker.wait(max(until - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
