"""Fixtures of the prediction log over a real Valkey."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from inference.prediction_log import Frame
from pipelines.prediction_log.settings import LogSettings

sys.path.insert(0, str(Path(__file__).parent))
from log_world import SERVICE, Send, Valkey


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    # Socket paths must be short, pytest's temporary folders are not.
    with tempfile.TemporaryDirectory(prefix="vk") as folder:
        server = Valkey(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Any]:
    connection = redis.Redis.from_url(valkey.url)
    yield connection
    connection.close()


@pytest.fixture
def settings(valkey: Valkey, tmp_path: Path) -> LogSettings:
    # The rows of the tests have a time of their own.
    return LogSettings(home=tmp_path, redis_url=valkey.url, services=(SERVICE,), retention_days=36_500)


@pytest.fixture
def send(client: Any) -> Send:
    def sent(frame: Frame, kind: str = "predictions") -> None:
        client.xadd(f"offers:{kind}:{SERVICE}", {"m": frame.message, "n": str(frame.rows)})

    return sent
