"""A serving process as the log meets it in operation, and callers that remember every id they got."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

__all__ = ["Load", "Serving", "until"]

STAND_IN = Path(__file__).parents[1] / "observability" / "stand_in.py"
KEY = "k" * 32


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Poll until true; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Serving:
    """hourly_rate over a feature store in memory; only its log needs Redis."""

    home: Path
    redis_url: str
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        (self.home / "api-key").write_text(f"tests:{KEY}\n")
        own = {
            "OFFERS_HOME": str(self.home),
            "OFFERS_PORT": str(self.port),
            "OFFERS_REDIS_URL": self.redis_url,
        }
        command = [sys.executable, str(STAND_IN), str(self.home / "model")]
        self.process = subprocess.Popen(command, env={**os.environ, **own, **self.environment})
        until(self._is_ready)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def metric(self, name: str) -> float:
        """Sum of a family's series."""
        found = re.findall(rf"(?m)^{name}(?:\{{[^}}]*\}})? (\S+)$", self.call("GET", "/metrics")[1].decode())
        return sum(map(float, found))

    def call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _is_ready(self) -> bool:
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False


class Load:
    """Callers that score without a pause until told to stop."""

    def __init__(self, serving: Serving, callers: int = 4) -> None:
        self._serving = serving
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]
        self._stopping = threading.Event()
        self.answered: dict[str, float] = {}
        """Prediction id to the time of its answer (time.monotonic)."""
        self.failures: list[object] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answered) + count
        until(lambda: len(self.answered) >= wanted or self.failures)

    def _call(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._serving.port, timeout=20)
        headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
        person = 0
        while not self._stopping.is_set():
            person = (person + 1) % 200
            try:
                connection.request("POST", "/v1/score", json.dumps({"candidate_id": f"c{person:07}"}), headers)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, HTTPException) as error:
                self.failures.append(error)
                break
            if answer.status == 200:
                self.answered[json.loads(body)["prediction_id"]] = time.monotonic()
            else:
                self.failures.append(answer.status)
        connection.close()
