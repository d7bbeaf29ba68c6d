"""A running service, and Prometheus' own binaries."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import httpx
import pytest

ROOT = Path(__file__).parents[3]
_HERE = Path(__file__).parent


def binary(name: str) -> str:
    """Find a binary of Debian's package prometheus; in CI it must be there."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing: install Debian's package prometheus")
        pytest.skip(f"no {name} on this machine")
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    return binary("promtool")


@pytest.fixture(scope="session")
def prometheus_binary() -> str:
    return binary("prometheus")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not _holds(condition):
        assert time.monotonic() < until, "not in time"
        time.sleep(0.1)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except httpx.HTTPError:
        return False


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    key: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        headers = {"X-API-Key": self.key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=20)

    def events(self, name: str) -> list[dict[str, object]]:
        """Log events of one name."""
        events = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [event for event in events if event["event"] == name]


@contextmanager
def process(
    command: list[str], environment: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        errors = None if log is None else stack.enter_context(log.open("wb"))
        started = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stderr=errors)
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


Serving = Callable[..., AbstractContextManager[Served]]


@contextmanager
def serving(directory: Path, workers: int = 1, **environment: str) -> Iterator[Served]:
    sys.path.insert(0, str(_HERE))
    try:
        import stand_in
    finally:
        sys.path.remove(str(_HERE))
    stand_in.make(directory / "model")
    key, port = "k" * 32, free_port()
    (directory / "api-key").write_text(key)
    (directory / "api-key").chmod(0o600)
    environment |= {"OFFERS_HOME": str(directory), "OFFERS_PORT": str(port), "OFFERS_WORKERS": str(workers)}
    # Nothing listens there: the log stays in its spool.
    environment.setdefault("OFFERS_REDIS_URL", "redis://127.0.0.1:1/0")
    url, log = f"http://127.0.0.1:{port}", directory / "log"
    last = f'scoring_model_ready{{service="hourly_rate",worker="{workers - 1}"}} 1.0'
    with process([sys.executable, str(_HERE / "stand_in.py"), str(directory / "model")], environment, log) as started:
        wait_for(lambda: last in httpx.get(f"{url}/metrics").text)
        yield Served(url, key, started, log)


@pytest.fixture(name="serving")
def serving_in(tmp_path: Path) -> Serving:
    """Start the stand-in service with a number of workers and further environment variables."""
    return partial(serving, tmp_path)


@pytest.fixture
def served(serving: Serving) -> Iterator[Served]:
    """Four workers on one port."""
    with serving(workers=4) as served:
        yield served


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[str]:
    """The follower of the prediction log, without a Redis to follow; gives host and port of its metrics."""
    port = free_port()
    environment = {"OFFERS_HOME": str(tmp_path), "OFFERS_REDIS_URL": "redis://127.0.0.1:1/0"}
    with process([sys.executable, "-m", "pipelines", "follow", "--port", str(port)], environment):
        address = f"127.0.0.1:{port}"
        wait_for(lambda: "scoring_follow_redis_up" in httpx.get(f"http://{address}/metrics").text)
        yield address


@pytest.fixture
def exported(tmp_path: Path) -> Iterator[str]:
    """The figures of a prediction log with outcomes, exported by a process of their own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with process([sys.executable, str(_HERE / "quality_stand_in.py"), str(tmp_path / "watched"), str(port)]):
        wait_for(lambda: "scoring_performance_figure" in httpx.get(f"{url}/metrics").text)
        yield url


@contextmanager
def prometheus(directory: Path, configuration: str) -> Iterator[str]:
    """A Prometheus over `directory / data`; gives its address."""
    program, port = binary("prometheus"), free_port()
    file = directory / "prometheus.yml"
    file.write_text(configuration)
    command = [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=10y",
        "--log.level=warn",
    ]
    url = f"http://127.0.0.1:{port}"
    with process(command):
        wait_for(lambda: httpx.get(f"{url}/-/ready").status_code == 200)
        yield url


@pytest.fixture(name="prometheus")
def prometheus_over(tmp_path: Path) -> Callable[[str], AbstractContextManager[str]]:
    """Start a Prometheus over the test's directory with a configuration."""
    return partial(prometheus, tmp_path)


@pytest.fixture(name="wait_for")
def waiting() -> Callable[..., None]:
    return wait_for


@pytest.fixture
def load() -> Callable[[Path], ModuleType]:
    """Import a script by its path."""

    def loaded(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"deployed_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return loaded
