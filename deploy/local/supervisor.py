"""Keeps the platform's processes running.

Own code and not a library: circus brings ZeroMQ and Tornado, supervisord knows no readiness and
leaves orphans when it is killed itself, honcho does not restart.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import child, log_files
from deploy.local.leftovers import RUN_ID_VARIABLE, end_leftovers
from deploy.local.pid_lock import holder, pid_lock
from deploy.local.process_spec import ProcessSpec, fingerprint
from deploy.local.state import PlatformState, ProcessState, Status, read_state, write_state

__all__ = ["GO_ON", "Supervisor", "backoff_seconds", "supervisor_lock_file"]

GO_ON = signal.SIGUSR1
"""Tells a supervisor to start the processes of stage 1."""

_PROBE_EVERY_SECONDS = 0.3
_PROBE_READY_EVERY_SECONDS = 5.0


def supervisor_lock_file(home: Path) -> Path:
    """Held by the supervisor of a home."""
    return home / "run" / "supervisor.lock"


def backoff_seconds(deaths_in_a_row: int) -> float:
    """Wait before the next start: 0.2 s after the first death, doubled by each further one, at most 10 s."""
    return float(min(0.2 * 2 ** max(0, deaths_in_a_row - 1), 10.0))


@dataclass(slots=True)
class _Watched:
    """A process and what became of it."""

    spec: ProcessSpec
    status: Status = "waiting"
    process: "subprocess.Popen[bytes] | None" = None
    restarts: int = 0
    deaths_in_a_row: int = 0
    last_exit: int | None = None
    started_at: float | None = None

    def state(self) -> ProcessState:
        return ProcessState(
            name=self.spec.name,
            status=self.status,
            port=self.spec.port,
            pid=self.process.pid if self.process and self.process.poll() is None else None,
            restarts=self.restarts,
            deaths_in_a_row=self.deaths_in_a_row,
            last_exit=self.last_exit,
            started_at=self.started_at,
        )


@dataclass(slots=True)
class Supervisor:
    """Runs `specs` until SIGTERM or SIGINT; exactly one a home."""

    specs: Sequence[ProcessSpec]
    home: Path
    host: str = "127.0.0.1"
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _watched: list[_Watched] = field(init=False)
    _started_at: float = field(init=False, default_factory=time.time)
    _last_state: PlatformState | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._watched = [_Watched(spec) for spec in self.specs]

    def run(self) -> None:
        """Block until told to stop. Raises `LockHeldError` if another supervisor runs in this home."""
        # A reader of the lock holds it for a moment; a supervisor holds it for good.
        with pid_lock(supervisor_lock_file(self.home), patience_seconds=1.0):
            stale = read_state(self._run_directory)
            if stale is not None:
                end_leftovers(stale.run_id)
            asyncio.run(self._supervise())

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        stop, go_on = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(GO_ON, go_on.set)
        self._publish()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep(watched, go_on)) for watched in self._watched]
            tasks.append(group.create_task(self._look_after_home(stop)))
            await stop.wait()
            for task in tasks:
                task.cancel()
        await self._stop_all()

    async def _keep(self, watched: _Watched, go_on: asyncio.Event) -> None:
        if watched.spec.stage > 0:
            await go_on.wait()
        while True:
            await self._run_once(watched)
            watched.deaths_in_a_row += 1
            self._set(watched, "backoff")
            await asyncio.sleep(backoff_seconds(watched.deaths_in_a_row))
            watched.restarts += 1

    async def _run_once(self, watched: _Watched) -> None:
        """Start, watch until death, clear away what the process leaves behind."""
        log_file = self._log_file(watched.spec)
        try:
            process = child.start(watched.spec, {RUN_ID_VARIABLE: self.run_id}, log_file)
        except OSError as error:
            with log_files.open_log(log_file) as log:
                log.write(f"cannot start {watched.spec.command[0]}: {error}\n".encode())
            return
        watched.process, watched.started_at = process, time.time()
        self._set(watched, "starting")
        probe_at = 0.0
        while process.poll() is None:
            if time.monotonic() >= probe_at:
                await self._probe(watched)
                pause = _PROBE_READY_EVERY_SECONDS if watched.status == "ready" else _PROBE_EVERY_SECONDS
                probe_at = time.monotonic() + pause
            await asyncio.sleep(child.POLL_SECONDS)
        watched.last_exit = process.returncode
        child.end_group(process.pid)

    async def _probe(self, watched: _Watched) -> None:
        ready = await child.is_ready(self.host, watched.spec)
        if ready:
            watched.deaths_in_a_row = 0
        self._set(watched, "ready" if ready else "starting")

    async def _look_after_home(self, stop: asyncio.Event) -> None:
        """Keep logs small; stop when the home was removed, since nobody could find this supervisor any more."""
        while self._lock_is_ours():
            for watched in self._watched:
                log_files.bound(self._log_file(watched.spec))
            await asyncio.sleep(1.0)
        stop.set()

    def _lock_is_ours(self) -> bool:
        return holder(supervisor_lock_file(self.home)) == os.getpid()

    async def _stop_all(self) -> None:
        """One by one, the last started first: services before the stores that they use."""
        for stage in sorted({watched.spec.stage for watched in self._watched}, reverse=True):
            await asyncio.gather(
                *(self._stop(watched) for watched in reversed(self._watched) if watched.spec.stage == stage)
            )

    async def _stop(self, watched: _Watched) -> None:
        if watched.process is not None:
            await child.stop(watched.process, watched.spec.grace_seconds)
            watched.last_exit = watched.process.returncode
        self._set(watched, "stopped")

    def _set(self, watched: _Watched, status: Status) -> None:
        watched.status = status
        self._publish()

    def _publish(self) -> None:
        state = PlatformState(
            run_id=self.run_id,
            pid=os.getpid(),
            fingerprint=fingerprint(self.specs),
            started_at=self._started_at,
            processes=tuple(watched.state() for watched in self._watched),
        )
        if state != self._last_state:
            with contextlib.suppress(FileNotFoundError):  # the home was removed: `_look_after_home` stops
                write_state(self._run_directory, state)
            self._last_state = state

    @property
    def _run_directory(self) -> Path:
        return self.home / "run"

    def _log_file(self, spec: ProcessSpec) -> Path:
        return self.home / "log" / f"{spec.name}.log"
