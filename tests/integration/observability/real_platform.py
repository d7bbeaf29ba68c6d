"""The platform as `make up` starts it, on free ports and over a small marketplace."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import httpx
from deploy.local.settings import DEFAULT_PORTS, REPOSITORY, SERVICES, LocalSettings

__all__ = ["Platform", "running_platform"]


@dataclass(frozen=True, slots=True)
class Platform:
    settings: LocalSettings
    key: str

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.settings.ports[name]}"

    def score(self, client: httpx.Client, people: range) -> None:
        """A single score and a bulk request to each service."""
        ids = [f"c{person:07}" for person in people]
        for name in SERVICES:
            pair = {"job_id": "j0000001"} if name == "recommendation" else {}
            single = {"candidate_id": ids[0], **pair}
            bulk = {"pairs": [{"candidate_id": one, **pair} for one in ids]} if pair else {"candidate_ids": ids}
            for path, body in (("/v1/score", single), ("/v1/score/bulk", bulk)):
                client.post(self.url(name) + path, json=body, headers={"X-API-Key": self.key}).raise_for_status()


@contextmanager
def running_platform(directory: Path) -> Iterator[Platform]:
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket()) for name in DEFAULT_PORTS}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        ports = {name: one.getsockname()[1] for name, one in sockets.items()}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OFFERS_", "OTEL_"))},
        "OFFERS_HOME": str(directory / "home"),
        # With fewer people a model misses its gates, and its service has nothing to serve.
        "OFFERS_CANDIDATES": "3000",
        "OFFERS_JOBS": "600",
        **{f"OFFERS_PORT_{name.upper()}": str(port) for name, port in ports.items()},
    }

    def run(command: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.local", command],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    settings = LocalSettings.from_environment(environment)
    try:
        run("up")
        yield Platform(settings, (settings.home / "api-key").read_text().strip().rpartition(":")[2])
    finally:
        run("down")
