"""One supervised process: start, ask whether it is ready, stop."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local.log_files import open_log
from deploy.local.process_spec import ProcessSpec

__all__ = ["POLL_SECONDS", "is_ready", "start", "stop"]

POLL_SECONDS = 0.1
PROBE_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


def start(
    spec: ProcessSpec, environment: Mapping[str, str], log_file: Path, *, piped: bool = False
) -> "subprocess.Popen[bytes]":
    """Start in a process group of its own, so that one signal reaches its workers too.

    Everything it writes goes to the log; its standard output to the caller instead if `piped`.
    """
    with open_log(log_file) as log:
        return subprocess.Popen(
            spec.command,
            env={**os.environ, **environment, **spec.environment},
            cwd=spec.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509  # the supervisor has no threads
        )


async def stop(process: "subprocess.Popen[bytes]", grace_seconds: float) -> None:
    """SIGTERM to the process, then SIGKILL to what is left of its group."""
    if process.poll() is None:
        process.terminate()
        await _death(process, grace_seconds)
    end_group(process.pid)
    process.wait()


async def _death(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    deadline = time.monotonic() + seconds
    # Polled: asyncio's own child watcher of Python 3.11 is a thread a child, and `preexec_fn` wants none.
    while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)


def end_group(leader: int) -> None:
    """SIGKILL what is left of a process group. The group's number cannot be another's while a member lives."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # empty; macOS says EPERM for zombies
        os.killpg(leader, signal.SIGKILL)


async def is_ready(host: str, spec: ProcessSpec) -> bool:
    """Ask once."""
    if spec.probe is None or spec.port is None:
        return True
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, spec.port)
            try:
                writer.write(spec.probe.request)
                answer = await reader.readexactly(len(spec.probe.answers[0]))
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    return answer in spec.probe.answers


def _die_with_parent() -> Callable[[], None] | None:
    """Have the kernel send SIGTERM when the parent dies, however it dies (Linux only; `leftovers` does the rest)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return die_with_parent
