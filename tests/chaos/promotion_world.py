"""Real processes for the tests of promotion: MLflow, Valkey, services, and callers of one of them."""

import asyncio
import base64
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from promotion_callers import KEY, Callers, Seen
from promotion_models import CANDIDATES, NAME, jobs, people, version
from promotion_processes import HERE, Process, free_port, until
from promotion_store import Store

from inference import ScoredRows
from inference.testing import FixedModel, InMemoryFeatureReader, live_model

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
SECRET = "a-webhook-secret"


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

    def publish(self, directory: Path, name: str = NAME) -> str:
        run = self.post("runs/create", experiment_id="0")["run"]["info"]
        target = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for file in directory.iterdir():
            self.client.put(f"{ARTIFACTS}/{target}/model/{file.name}", content=file.read_bytes()).raise_for_status()
        made = self.post(
            "model-versions/create", name=name, source=f"{run['artifact_uri']}/model", run_id=run["run_id"]
        )
        return str(made["model_version"]["version"])

    def move(self, number: str, alias: str = "champion", name: str = NAME) -> None:
        self.post("registered-models/alias", name=name, alias=alias, version=number)

    def tag(self, number: str, key: str, value: str) -> None:
        self.post("model-versions/set-tag", name=NAME, version=number, key=key, value=value)

    def tags(self, number: str, name: str = NAME) -> dict[str, str]:
        found = self.client.get(f"{API}/model-versions/get", params={"name": name, "version": number}).json()
        return {tag["key"]: tag["value"] for tag in found["model_version"].get("tags", [])}

    @contextmanager
    def webhook(self, name: str, url: str) -> Iterator[None]:
        """Deliver to a service. One that is gone would hold up the others: ten threads deliver, each with retries."""
        events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
        made = self.post("webhooks", name=name, url=url, events=events, secret=SECRET)
        try:
            yield
        finally:
            self.client.delete(f"{API}/webhooks/{made['webhook']['webhook_id']}").raise_for_status()


class Served:
    """A service as a process, or as several on one port."""

    def __init__(self, home: Path, name: str, settings: dict[str, str], service: str = NAME) -> None:
        home.mkdir(exist_ok=True)
        (home / "api-key").write_text(f"tests:{KEY}\n")
        self.home = home
        self.port = free_port()
        self.workers = int(settings.get("workers", "1"))
        environment = {
            "OFFERS_HOME": str(home),
            "OFFERS_PORT": str(self.port),
            "OFFERS_WEBHOOK_SECRET": SECRET,
            **{f"OFFERS_{key.upper()}": value for key, value in settings.items()},
        }
        command = [sys.executable, str(HERE / "promotion_service.py"), service]
        self.process = Process(command, environment, home / f"{name}.log")
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, headers={"X-API-Key": KEY}, timeout=10)

    def until_ready(self) -> None:
        until(lambda: len(self.ready()) == self.workers, 120, "every worker is ready")

    def ready(self) -> dict[int, dict[str, Any]]:
        """What `/readyz` of the workers says: each connection meets one, as the kernel wants."""
        found: dict[int, dict[str, Any]] = {}
        for _ in range(1 if self.workers == 1 else 8 * self.workers):
            answer = httpx.get(f"{self.url}/readyz", timeout=10)
            if answer.status_code != 200:
                return {}
            found[answer.json()["worker"]] = answer.json()
        return found

    def serves(self, number: str) -> bool:
        """Whether every worker serves a version."""
        found = [one["model"]["version"] for one in self.ready().values()]
        return found == [number] * self.workers

    def model(self) -> Any:
        return self.client.get("/v1/model").json()

    def history(self) -> list[dict[str, Any]]:
        """All moves, newest first, in pages."""
        moves: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": None}
        while not moves or page["next"]:
            before = {"before": page["next"]} if page["next"] else {}
            page = self.client.get("/v1/model/history", params={"limit": 50, **before}).json()
            moves += page["promotions"]
            if not page["promotions"]:
                break
        return moves

    def stop(self) -> None:
        self.client.close()
        self.process.stop()


class World:
    """MLflow with three good versions, the store, a service that follows, and what each version must answer."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.expected: dict[str, dict[str, float]] = {}
        with ExitStack() as stack:
            self.mlflow = Mlflow(home)
            stack.callback(self.mlflow.close)
            self.mlflow.start()
            self.store = Store(home)
            stack.callback(self.store.close)
            self.store.fill()
            self.mlflow.post("registered-models/create", name=NAME)
            self.good = [self.publish(version(home / f"good-{trees}", trees=trees)) for trees in (12, 13, 14)]
            self.mlflow.move(self.good[0])
            self.served = self.serve("service")
            stack.callback(self.served.stop)
            self.served.until_ready()
            self._opened = stack.pop_all()

    def serve(self, name: str, home: Path | None = None, *, service: str = NAME, **settings: str) -> Served:
        """Start a service; one with the home of another is its restart, one with a home of its own a replica."""
        chosen = {
            "mlflow_url": self.mlflow.url,
            "redis_url": self.store.url,
            "guard_window_seconds": "4",
            "guard_min_rows": "200",
            "challenger_share": "0.5",
            **settings,
        }
        return Served(home or self.home, name, chosen, service)

    def publish(self, directory: Path) -> str:
        number = self.mlflow.publish(directory)
        self.expected[number] = estimates(directory)
        return number

    def publish_spoilt(self, name: str, spoil: Callable[[Path], object]) -> str:
        directory = shutil.copytree(self.home / "good-13", self.home / name)
        spoil(directory)
        return self.publish_bad(directory)

    def publish_bad(self, directory: Path) -> str:
        """Publish a version of which no answer is right."""
        number = self.mlflow.publish(directory)
        self.expected[number] = {}
        return number

    @contextmanager
    def calling(self, served: Served, rate: float) -> Iterator[Seen]:
        seen = Seen(self.expected)
        callers = Callers(served.port, seen, rate)
        failures: list[BaseException] = []

        def call() -> None:
            try:
                asyncio.run(callers.run())
            except BaseException as error:  # noqa: BLE001  # shown by the test's thread
                failures.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        try:
            until(lambda: seen.told or failures, 30, "the first answer")
            yield seen
        finally:
            callers.stop()
            thread.join(60)
        assert not failures, failures

    def move(self, number: str, seen: Seen) -> float:
        """Move the alias; gives the seconds until the last caller had an answer of another version."""
        started, first = time.monotonic(), len(seen.told)
        self.mlflow.move(number)
        until(lambda: seen.latest == number, 60, f"an answer of version {number}")
        # Another worker may still answer by the version before: half a second without such an answer is convergence.
        until(lambda: time.monotonic() - _last_of_others(seen.told[first:], number) > 0.5, 60, "convergence")
        told = seen.told[first:]
        appeared = next((at for at, which in told if which == number), started)
        return max(appeared, _last_of_others(told, number)) - started

    def close(self) -> None:
        self._opened.close()


def _last_of_others(told: Sequence[tuple[float, str]], number: str) -> float:
    return max((at for at, which in told if which != number), default=0.0)


def estimates(directory: Path) -> dict[str, float]:
    """What a version must answer, by candidate: scored here, over a store in memory."""
    from hourly_rate import SERVICE
    from inference import Predictor

    async def score() -> ScoredRows:
        live = live_model(directory)
        reader = live.reader
        assert isinstance(reader, InMemoryFeatureReader)
        for key, values in people().items():
            reader.put(key, values)
        predictor = Predictor(FixedModel(live), SERVICE.postprocess)
        rows = await predictor.score({"candidate_id": CANDIDATES})
        await predictor.close()
        return rows

    rows = asyncio.run(score())
    return dict(zip(CANDIDATES, rows.columns["estimate"].tolist(), strict=True))


def match_scores(directory: Path, job: str) -> dict[str, float]:
    """What a version that ranks must answer for a job, by candidate."""
    from inference import Predictor
    from recommendation import SERVICE

    async def score() -> ScoredRows:
        live = live_model(directory)
        reader = live.reader
        assert isinstance(reader, InMemoryFeatureReader)
        for (candidate,), values in people().items():
            reader.put((job, candidate), {**values, **jobs()[job]})
        predictor = Predictor(FixedModel(live), SERVICE.postprocess)
        rows = await predictor.score({"job_id": [job] * len(CANDIDATES), "candidate_id": CANDIDATES})
        await predictor.close()
        return rows

    rows = asyncio.run(score())
    return dict(zip(CANDIDATES, rows.columns["score"].tolist(), strict=True))
