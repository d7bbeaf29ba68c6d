"""Waiting for a process of the platform to be ready."""

import asyncio
import subprocess
import time
from pathlib import Path

from deploy.local import child
from deploy.local.process_spec import ProcessSpec

from real_data.dataset import RealDataError

__all__ = ["wait_ready"]

_READY_SECONDS = 90.0


def wait_ready(process: "subprocess.Popen[bytes]", host: str, spec: ProcessSpec, log: Path) -> None:
    """Return when the process is ready. Raises `RealDataError` with the end of its log where it is not."""
    deadline = time.monotonic() + _READY_SECONDS
    while not asyncio.run(child.is_ready(host, spec)):
        if process.poll() is not None or time.monotonic() > deadline:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise RealDataError(f"{spec.name} is not ready:\n{end}")
        time.sleep(child.POLL_SECONDS)
