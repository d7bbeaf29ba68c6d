"""Runs the load generator as a process of its own on the load's core."""

import base64
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.load import LoadError, Sample
from bench.processes import LOAD_CORE

__all__ = ["drive"]


def drive(port: int, requests: Sequence[bytes], *, connections: int, warm_up_seconds: float, seconds: float) -> Sample:
    """Send the requests in a circle over so many connections. Raises `LoadError` with the generator's last words."""
    job = {
        "port": port,
        "requests": [base64.b64encode(each).decode() for each in requests],
        "connections": connections,
        "warm_up_seconds": warm_up_seconds,
        "seconds": seconds,
        "core": LOAD_CORE,
    }
    command = [sys.executable, "-S", str(Path(__file__).with_name("load.py"))]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LoadError(done.stderr.strip().splitlines()[-1] if done.stderr else "the load generator died")
    return Sample(**json.loads(done.stdout))
