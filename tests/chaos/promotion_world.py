"""Real processes for the tests of promotion: MLflow, the service, and callers at a steady rate."""

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from promotion_models import CANDIDATES, NAME

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
KEY = "a-key"
SECRET = "a-webhook-secret"
HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Process:
    """A process of its own group, that this test started and alone ends."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                cwd=HERE.parents[1],
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self.log = log

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 15)
            self.process.wait(30)


def until(condition: Any, seconds: float = 120, what: str = "") -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = condition()
        except httpx.TransportError:
            found = None
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Mlflow:
    """A real MLflow server that may be stopped and started again on the same port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.process: Process | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "deploy.local.mlflow_server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--database", f"sqlite:///{self.home}/mlflow.db", "--artifacts", str(self.home / "artifacts")]
        environment = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            # Webhooks go to public HTTPS addresses only unless this is said.
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(b"k" * 32).decode(),
            "MLFLOW_WEBHOOK_CACHE_TTL": "1",
        }
        self.process = Process(command, environment, self.home / "mlflow.log")
        until(lambda: self.client.get("/health").status_code == 200, 240, "MLflow is up")

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def close(self) -> None:
        self.client.close()
        self.stop()

    def post(self, path: str, **body: Any) -> Any:
        response = self.client.post(f"{API}/{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    def publish(self, directory: Path) -> str:
        run = self.post("runs/create", experiment_id="0")["run"]["info"]
        target = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for file in directory.iterdir():
            self.client.put(f"{ARTIFACTS}/{target}/model/{file.name}", content=file.read_bytes()).raise_for_status()
        made = self.post(
            "model-versions/create", name=NAME, source=f"{run['artifact_uri']}/model", run_id=run["run_id"]
        )
        return str(made["model_version"]["version"])

    def move(self, version: str, alias: str = "champion") -> None:
        self.post("registered-models/alias", name=NAME, alias=alias, version=version)

    def tags(self, version: str) -> dict[str, str]:
        found = self.client.get(f"{API}/model-versions/get", params={"name": NAME, "version": version}).json()
        return {tag["key"]: tag["value"] for tag in found["model_version"].get("tags", [])}

    def register_webhook(self, url: str) -> None:
        events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
        self.post("webhooks", name="serving", url=url, events=events, secret=SECRET)


class Served:
    """The service in a process of its own."""

    def __init__(self, home: Path, mlflow_url: str, name: str, **settings: str) -> None:
        (home / "api-key").write_text(f"tests:{KEY}\n")
        self.port = free_port()
        environment = {
            "OFFERS_HOME": str(home),
            "OFFERS_PORT": str(self.port),
            "OFFERS_MLFLOW_URL": mlflow_url,
            "OFFERS_WEBHOOK_SECRET": SECRET,
            **{f"OFFERS_{key.upper()}": value for key, value in settings.items()},
        }
        command = [sys.executable, str(HERE / "promotion_service.py")]
        self.process = Process(command, environment, home / f"{name}.log")
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, headers={"X-API-Key": KEY}, timeout=10)

    def until_ready(self) -> None:
        until(lambda: self.client.get("/readyz").status_code == 200, 120, "the service is ready")

    def model(self) -> Any:
        return self.client.get("/v1/model").json()

    def history(self) -> list[dict[str, Any]]:
        promotions: list[dict[str, Any]] = self.client.get("/v1/model/history").json()["promotions"]
        return promotions

    def stop(self) -> None:
        self.client.close()
        self.process.stop()


@dataclass
class Seen:
    """What callers got."""

    expected: dict[str, dict[str, float]]
    """Version to candidate to estimate."""
    answered: Counter[str] = field(default_factory=Counter)
    """By version."""
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    latest: str = ""
    seconds: list[float] = field(default_factory=list)

    def take(self, candidate: str, status: int, body: bytes, seconds: float) -> None:
        if status != 200:
            self.failed.append(f"{status}: {body[:200]!r}")
            return
        self.seconds.append(seconds)
        answer = json.loads(body)
        version = answer["model"]["version"]
        self.answered[version] += 1
        self.latest = version
        known = self.expected.get(version, {}).get(candidate)
        if known is not None and abs(answer["prediction"]["estimate"] - known) > 1e-6 * known:
            self.wrong.append(f"{version} {candidate} {answer['prediction']}")
        elif known is None:
            self.wrong.append(f"an answer of version {version}")


class Callers:
    """Single scores at a steady rate over kept connections, in the background of a test."""

    def __init__(self, port: int, seen: Seen, rate: float, connections: int = 8) -> None:
        self._port = port
        self._seen = seen
        self._rate = rate
        self._connections = connections
        self._stopping = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._connections):
                group.create_task(self._call(number))

    def stop(self) -> None:
        self._stopping = True

    async def _call(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        pause = self._connections / self._rate
        due = time.monotonic() + pause * number / self._connections
        turn = number
        while not self._stopping:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            due += pause
            candidate = CANDIDATES[turn * 7 % len(CANDIDATES)]
            turn += self._connections + 1
            body = json.dumps({"candidate_id": candidate}).encode()
            started = time.monotonic()
            writer.write(
                b"POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-api-key: %b\r\n"
                b"content-length: %d\r\n\r\n%b" % (KEY.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            content = await reader.readexactly(length)
            self._seen.take(candidate, int(head.split()[1]), content, time.monotonic() - started)
        writer.close()
        await writer.wait_closed()
