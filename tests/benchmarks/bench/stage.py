"""What scenarios stand on: data, stores, the platform's own service and the peers, started on first use."""

import contextlib
import random
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import redis

from bench.dataset import FEATURE_SERVICE, Dataset
from bench.drive import drive
from bench.environments import PEERS, python_of
from bench.feast_repository import PROJECT, FeastRepository
from bench.load import Sample
from bench.peers import Launch, Peer, PeerPaths, uvicorn
from bench.processes import Server, free_port
from bench.registration import bench_contract, mlflow_server, register
from bench.valkey import valkey
from inference.prediction_log.streams import PREDICTIONS, stream_key

__all__ = ["FULL", "PEER_ENTITIES", "QUICK", "Mode", "Stage"]

PEER_ENTITIES = 20_000
"""Entities in Feast's stock store, and the ids that every request draws from."""
HARNESS = Path(__file__).parents[1]
API_KEY_BYTES = 24
LOGGED = ("bench", "recommendation")
"""Services that write a prediction log here."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How long to measure."""

    name: str
    rounds: int
    warm_up_seconds: float
    seconds: float
    sizes: tuple[int, ...]
    """Entities in the store, for the growth of cost; the last is what all else is measured over."""
    stream_rows: int


QUICK = Mode("quick", rounds=2, warm_up_seconds=0.5, seconds=1.5, sizes=(10_000, 100_000), stream_rows=200_000)
FULL = Mode(
    "full", rounds=5, warm_up_seconds=1.0, seconds=4.0, sizes=(10_000, 100_000, 1_000_000), stream_rows=1_000_000
)


class Stage:
    """Starts things once, on first use, and stops them all at the end."""

    def __init__(self, home: Path, mode: Mode, stack: contextlib.ExitStack) -> None:
        self.home = home
        self.mode = mode
        self.data = Dataset(home / "data")
        self._stack = stack
        self._materialised: dict[int, dict[str, Any]] = {}

    @property
    def largest(self) -> int:
        """Entities in our store unless a scenario says otherwise."""
        return self.mode.sizes[-1]

    def load(self, server: Server, requests: Sequence[bytes], connections: int) -> Sample:
        """One round of load in this mode's times."""
        self._empty_prediction_logs()
        before = server.processor_seconds()
        sample = drive(
            server.port,
            requests,
            connections=connections,
            warm_up_seconds=self.mode.warm_up_seconds,
            seconds=self.mode.seconds,
        )
        return replace(sample, server_seconds=(server.processor_seconds() - before) / sample.answers)

    def entity_groups(self, groups: int, size: int) -> list[list[int]]:
        """Random groups of entity numbers, the same in every run."""
        chooser = random.Random(size)
        return [chooser.sample(range(PEER_ENTITIES), size) for _ in range(groups)]

    def _empty_prediction_logs(self) -> None:
        """Do a follower's work before a round, since one at work would share a core with the load."""
        for address in self._valkeys.values():
            with redis.Redis.from_url(f"redis://{address}/0") as client:
                client.delete(*(stream_key(PROJECT, PREDICTIONS, service) for service in LOGGED))

    @cached_property
    def stock_repository(self) -> FeastRepository:
        """Feast with its stock Redis store, in the peer's environment."""
        store = {"type": "redis", "connection_string": self.valkey("stock")}
        return FeastRepository("Feast", python_of("feast", self.home), self.home / "run" / "feast_stock", store, {})

    @cached_property
    def stock_materialised(self) -> dict[str, Any]:
        """Figures of the stock store's materialisation of `PEER_ENTITIES` entities."""
        sources = self.data.sources(PEER_ENTITIES)
        return self.stock_repository.fill(sources, PEER_ENTITIES * len(sources), FEATURE_SERVICE)

    @cached_property
    def paths(self) -> PeerPaths:
        """What peers read from disk."""
        self.stock_materialised  # noqa: B018  (peers read from it)
        return PeerPaths(
            home=self.home,
            model=self.data.model(),
            mlflow_model=self.home / "run" / "mlflow_model",
            feast_repository=self.stock_repository.folder,
        )

    @contextlib.contextmanager
    def peer(self, peer: Peer) -> Iterator[Server]:
        """Run a peer. Raises `EnvironmentFailedError` or `StartError` where it cannot."""
        folder = self.home / "run" / peer.environment
        folder.mkdir(parents=True, exist_ok=True)
        launch = Launch(peer.python(self.home), folder, free_port(), self.paths)
        peer.prepare(launch)
        with Server.running(
            peer.name,
            peer.command(launch),
            port=launch.port,
            ready_path=peer.ready_path,
            log=folder / "server.log",
            cwd=folder,
            env=peer.env(launch),
        ) as server:
            yield server

    @contextlib.contextmanager
    def echo(self) -> Iterator[Server]:
        """Run the empty FastAPI endpoint under the project's own uvicorn."""
        port = free_port()
        folder = self.home / "run" / "echo"
        with Server.running(
            "empty FastAPI endpoint",
            uvicorn(Path(sys.executable), PEERS / "echo", port),
            port=port,
            ready_path="/ready",
            log=folder / "server.log",
            cwd=PEERS,
            env={},
        ) as server:
            yield server

    def our_repository(self, name: str) -> FeastRepository:
        """Return Feast with the platform's online store, over a Valkey of its own for each name."""
        store = {"type": "online_features.PackedRedisOnlineStore", "connection_string": self.valkey(name)}
        options = {"batch_engine": {"type": "online_features.PackedComputeEngine"}}
        return FeastRepository("ours", Path(sys.executable), self.home / "run" / name, store, options)

    def valkey(self, name: str) -> str:
        """`host:port` of the Valkey of this name, started on first use."""
        if name not in self._valkeys:
            self._valkeys[name] = self._stack.enter_context(valkey(self.home / "run" / f"valkey_{name}"))
        return self._valkeys[name]

    def our_redis_url(self, entities: int) -> str:
        """URL of the platform's store of so many entities."""
        self.our_materialised(entities)
        return f"redis://{self.valkey(f'ours_{entities}')}/0"

    @cached_property
    def _valkeys(self) -> dict[str, str]:
        return {}

    def our_materialised(self, entities: int) -> dict[str, Any]:
        """Figures of our materialisation of so many entities; done once."""
        if entities not in self._materialised:
            sources = self.data.sources(entities)
            repository = self.our_repository(f"ours_{entities}")
            self._materialised[entities] = repository.fill(sources, entities * len(sources), FEATURE_SERVICE)
        return self._materialised[entities]

    @cached_property
    def mlflow(self) -> str:
        """Address of the MLflow server in which the model is registered."""
        address = self._stack.enter_context(mlflow_server(self.home / "run" / "mlflow_server"))
        model = self.data.model()
        register(address, bench_contract(model), model, self.home / "run" / "registered")
        return address

    @cached_property
    def api_key(self) -> str:
        """The key that requests to our service carry."""
        path = self.home / "run" / "api-key"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(API_KEY_BYTES) + "\n")
        return path.read_text().strip()

    @contextlib.contextmanager
    def ours(self, entities: int | None = None) -> Iterator[Server]:
        """Run our service, with everything on, over a store of so many entities (by default the largest)."""
        url = self.our_redis_url(entities or self.largest)
        with self.service("bench.service", url) as server:
            yield server

    @contextlib.contextmanager
    def service(self, module: str, redis_url: str) -> Iterator[Server]:
        """Run one of the platform's services over a store."""
        self.api_key  # noqa: B018  (written to its file)
        port = free_port()
        run = self.home / "run"
        folder = run / module
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "PYTHONPATH": str(HARNESS),
            "OFFERS_HOME": str(folder),
            "OFFERS_PORT": str(port),
            "OFFERS_REDIS_URL": redis_url,
            "OFFERS_MLFLOW_URL": self.mlflow,
            "OFFERS_FEAST_PROJECT": PROJECT,
            "OFFERS_API_KEYS_FILE": str(run / "api-key"),
            "OFFERS_LOG_LEVEL": "warning",
        }
        with Server.running(
            "ours",
            [sys.executable, "-m", module],
            port=port,
            ready_path="/readyz",
            log=folder / "server.log",
            cwd=folder,
            env=settings,
        ) as server:
            yield server
