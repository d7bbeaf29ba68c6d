"""Start and stop the supervisor of a home, and wait for what it runs."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from deploy.local.leftovers import end_leftovers
from deploy.local.log_files import open_log
from deploy.local.pid_lock import holder
from deploy.local.process_spec import ProcessSpec, fingerprint
from deploy.local.screen import StepFailedError
from deploy.local.settings import REPOSITORY, LocalSettings
from deploy.local.state import PlatformState, ProcessState, read_state
from deploy.local.supervisor import GO_ON, supervisor_lock_file

__all__ = ["SUPERVISE", "ensure_supervisor", "go_on", "running_state", "stop_supervisor", "wait_ready"]

SUPERVISE = (sys.executable, "-m", "deploy.local", "supervise")

_POLL_SECONDS = 0.1
_DEATHS_UNTIL_GIVEN_UP = 3


def running_state(settings: LocalSettings) -> PlatformState | None:
    """Return the state of the supervisor that runs now; None if none does."""
    pid = holder(supervisor_lock_file(settings.home))
    state = read_state(settings.run_directory)
    return state if state is not None and state.pid == pid else None


def ensure_supervisor(
    settings: LocalSettings, specs: Sequence[ProcessSpec], command: Sequence[str] = SUPERVISE
) -> PlatformState:
    """Return the running supervisor's state; start one if none runs, or if the one that runs has other specs."""
    state = running_state(settings)
    if state is not None:
        if state.fingerprint == fingerprint(specs):
            return state
        stop_supervisor(settings)
    elif (stale := read_state(settings.run_directory)) is not None:
        end_leftovers(stale.run_id)
    _require_free_ports(settings.host, specs)
    log_file = settings.log_directory / "supervisor.log"
    with open_log(log_file) as log:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C and the end of the terminal are not for it
        )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (state := running_state(settings)) is not None:
            process.returncode = 0  # it outlives this process, and Popen need not warn of that
            return state
        if process.poll() is not None:
            raise StepFailedError(f"the supervisor ended with {process.returncode}", log_file)
        time.sleep(_POLL_SECONDS)
    raise StepFailedError("the supervisor did not come up within 20 s", log_file)


def go_on(settings: LocalSettings) -> None:
    """Have the supervisor start stage 1; nothing happens if it has."""
    state = running_state(settings)
    if state is None:
        raise StepFailedError("the supervisor has ended", settings.log_directory / "supervisor.log")
    os.kill(state.pid, GO_ON)


def stop_supervisor(settings: LocalSettings) -> int:
    """Stop everything that belongs to this home and nothing else; return how many processes that were."""
    lock_file = supervisor_lock_file(settings.home)
    state = read_state(settings.run_directory)
    pid = holder(lock_file)
    stopped = 0
    if pid is not None and state is not None:
        stopped = sum(process.pid is not None for process in state.processes)
        _signal(pid, signal.SIGTERM)
        if not _released(lock_file, seconds=30):
            _signal(pid, signal.SIGKILL)
            _released(lock_file, seconds=5)
    if state is not None:
        stopped += end_leftovers(state.run_id)
    (settings.run_directory / "state.json").unlink(missing_ok=True)
    return stopped


def wait_ready(settings: LocalSettings, name: str, seconds: float = 90.0) -> ProcessState:
    """Wait until a process is ready. Raises `StepFailedError` if it keeps dying or takes longer than `seconds`."""
    log_file = settings.log_directory / f"{name}.log"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = running_state(settings)
        if state is None:
            raise StepFailedError("the supervisor has ended", settings.log_directory / "supervisor.log")
        process = next(process for process in state.processes if process.name == name)
        if process.status == "ready":
            return process
        if process.deaths_in_a_row >= _DEATHS_UNTIL_GIVEN_UP:
            raise StepFailedError(f"it dies at start, the last time with {process.last_exit}", log_file)
        time.sleep(_POLL_SECONDS)
    raise StepFailedError(f"not ready after {seconds:.0f} s", log_file)


def _require_free_ports(host: str, specs: Sequence[ProcessSpec], patience_seconds: float = 3.0) -> None:
    """Ports of processes that were just stopped may take a moment."""
    deadline = time.monotonic() + patience_seconds
    for spec in specs:
        while spec.port is not None and not _is_free(host, spec.port):
            if time.monotonic() >= deadline:
                raise StepFailedError(
                    f"port {spec.port} for {spec.name} is taken{_taken_by(spec.port)}; end that, or set "
                    f"OFFERS_PORT_{spec.name.upper()} (or OFFERS_PORT_OFFSET, which moves all ports)"
                )
            time.sleep(_POLL_SECONDS)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _taken_by(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:  # macOS tells root only
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            return f" by process {connection.pid}"
    return ""


def _released(lock_file: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while holder(lock_file) is not None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
