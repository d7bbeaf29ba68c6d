"""Processes of the benchmark: pinned to a core, waited for until ready, measured, stopped by process group."""

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

__all__ = ["LOAD_CORE", "PIN", "SERVER_CORE", "Server", "StartError", "Worker", "free_port", "tail"]

SERVER_CORE, LOAD_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
"""The server under test has one core; the load generator, Valkey and MLflow share the other."""

STOP_SECONDS = 10.0
READY_SECONDS = 120.0
PIN = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); "
    "os.sched_setaffinity(0, {int(sys.argv[1])}); os.execvp(sys.argv[2], sys.argv[2:])"
)
"""Bound to a core, and ended (SIGTERM) by the kernel when the benchmark is killed."""
QUIET = {
    "FEAST_USAGE": "False",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "",
}
"""One thread a predict call for everyone, and no reports to anybody."""


class StartError(Exception):
    """A process ended, or was not ready in time."""


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def start(
    command: Sequence[str], *, core: int, log: Path, cwd: Path, env: Mapping[str, str], pipes: bool = False
) -> subprocess.Popen[str]:
    """Start a command pinned to one core in a process group of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with log.open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-S", "-c", PIN, str(core), *command],
            cwd=cwd,
            env={**inherited, **QUIET, **env},
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else output,
            stderr=output,
            text=True,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[str]) -> None:
    """Stop the process and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a process and its children."""

    resident: int
    peak: int


def memory(pid: int) -> Memory:
    """Resident and peak resident bytes, summed over a process and its children."""
    resident = peak = 0
    parent = psutil.Process(pid)
    for process in (parent, *parent.children(recursive=True)):
        resident += process.memory_info().rss
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak += next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return Memory(resident, peak)


class Server:
    """A pinned server process that answers `ready_path` with 200 when it can work."""

    def __init__(self, name: str, process: subprocess.Popen[str], port: int, ready_seconds: float) -> None:
        self.name = name
        self.port = port
        self.ready_seconds = ready_seconds
        """Process start to the first 200 on the ready path."""
        self._process = process

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        ready_path: str,
        log: Path,
        cwd: Path,
        env: Mapping[str, str],
        core: int = SERVER_CORE,
        ready_seconds: float = READY_SECONDS,
    ) -> Iterator[Self]:
        """Start, wait until ready, and stop at the end. Raises `StartError` with the end of the log."""
        started = time.perf_counter()
        process = start(command, core=core, log=log, cwd=cwd, env=env)
        try:
            while not answers(port, ready_path):
                if process.poll() is not None:
                    raise StartError(f"{name} ended with {process.returncode}:\n{tail(log)}")
                if time.perf_counter() - started > ready_seconds:
                    raise StartError(f"{name} was not ready within {ready_seconds:.0f} s:\n{tail(log)}")
                time.sleep(0.01)
            yield cls(name, process, port, time.perf_counter() - started)
        finally:
            stop(process)

    def processor_seconds(self) -> float:
        """Processor time that the server with all its processes has used so far."""
        parent = psutil.Process(self._process.pid)
        times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))

    def memory(self) -> Memory:
        """Memory of the server with all its processes."""
        return memory(self._process.pid)


def answers(port: int, path: str) -> bool:
    """Whether a GET answers 200 now."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Worker:
    """A resident pinned process that measures in itself: a JSON line in, a JSON line out."""

    def __init__(self, name: str, process: subprocess.Popen[str], log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, name: str, command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str], core: int = SERVER_CORE
    ) -> Iterator[Self]:
        """Start the worker and stop it at the end."""
        process = start(command, core=core, log=log, cwd=cwd, env=env, pipes=True)
        try:
            yield cls(name, process, log)
        finally:
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            stop(process)

    def ask(self, question: Mapping[str, Any], *, timeout_seconds: float = 1800.0) -> dict[str, Any]:
        """Ask and wait for the answer. Raises `StartError` with the end of the log when the worker dies."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise StartError(f"{self._name} has no pipes")
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and select.select([stdout], [], [], deadline - time.monotonic())[0]:
            line = stdout.readline()
            if not line:
                raise StartError(f"{self._name} ended:\n{tail(self._log)}")
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise StartError(f"{self._name} did not answer within {timeout_seconds:.0f} s:\n{tail(self._log)}")

    def memory(self) -> Memory:
        """Memory of the worker."""
        return memory(self._process.pid)
