"""What scenarios stand on: data, stores, the platform's own service and the peers, started on first use."""

import contextlib
import random
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.dataset import Dataset
from bench.drive import drive
from bench.environments import PEERS, python_of
from bench.feast_repository import PROJECT, FeastRepository
from bench.load import Sample
from bench.peers import Launch, Peer, PeerPaths, uvicorn
from bench.processes import Server, free_port
from bench.registration import mlflow_server, register
from bench.valkey import valkey

__all__ = ["FULL", "PEER_ENTITIES", "QUICK", "Mode", "Stage"]

PEER_ENTITIES = 20_000
"""Entities in Feast's stock store, and the ids that every request draws from."""
HARNESS = Path(__file__).parents[1]
API_KEY_BYTES = 24


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

    def load(self, port: int, requests: Sequence[bytes], connections: int) -> Sample:
        """One round of load in this mode's times."""
        return drive(
            port,
            requests,
            connections=connections,
            warm_up_seconds=self.mode.warm_up_seconds,
            seconds=self.mode.seconds,
        )

    def entity_groups(self, groups: int, size: int) -> list[list[int]]:
        """Random groups of entity numbers, the same in every run."""
        chooser = random.Random(size)
        return [chooser.sample(range(PEER_ENTITIES), size) for _ in range(groups)]

    @cached_property
    def stock_repository(self) -> FeastRepository:
        """Feast with its stock Redis store, in the peer's environment."""
        address = self._stack.enter_context(valkey(self.home / "run" / "valkey_stock"))
        store = {"type": "redis", "connection_string": address}
        return FeastRepository("Feast", python_of("feast", self.home), self.home / "run" / "feast_stock", store, {})

    @cached_property
    def stock_materialised(self) -> dict[str, Any]:
        """Figures of the stock store's materialisation of `PEER_ENTITIES` entities."""
        return self.stock_repository.fill(self.data, PEER_ENTITIES)

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

    def our_repository(self, entities: int) -> FeastRepository:
        """Return Feast with the platform's online store, over a Valkey of its own for each number of entities."""
        store = {"type": "online_features.PackedRedisOnlineStore", "connection_string": self.our_valkey(entities)}
        options = {"batch_engine": {"type": "online_features.PackedComputeEngine"}}
        return FeastRepository("ours", Path(sys.executable), self.home / "run" / f"feast_{entities}", store, options)

    def our_valkey(self, entities: int) -> str:
        """`host:port` of the Valkey that holds the platform's store of so many entities."""
        if entities not in self._valkeys:
            self._valkeys[entities] = self._stack.enter_context(valkey(self.home / "run" / f"valkey_{entities}"))
        return self._valkeys[entities]

    @cached_property
    def _valkeys(self) -> dict[int, str]:
        return {}

    def our_materialised(self, entities: int) -> dict[str, Any]:
        """Figures of our materialisation of so many entities; done once."""
        if entities not in self._materialised:
            self._materialised[entities] = self.our_repository(entities).fill(self.data, entities)
        return self._materialised[entities]

    @cached_property
    def mlflow(self) -> str:
        """Address of the MLflow server in which the model is registered."""
        address = self._stack.enter_context(mlflow_server(self.home / "run" / "mlflow_server"))
        register(address, self.data.model(), self.home / "run" / "registered")
        return address

    @cached_property
    def api_key(self) -> str:
        """The key that requests to our service carry."""
        path = self.home / "run" / "api-key"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(API_KEY_BYTES) + "\n")
        return path.read_text().strip()

    def our_environment(self, entities: int, port: int) -> dict[str, str]:
        """Settings of our service."""
        self.our_materialised(entities)
        self.api_key  # noqa: B018  (written to its file)
        run = self.home / "run"
        return {
            "PYTHONPATH": str(HARNESS),
            "OFFERS_HOME": str(run / "ours"),
            "OFFERS_PORT": str(port),
            "OFFERS_REDIS_URL": f"redis://{self.our_valkey(entities)}/0",
            "OFFERS_MLFLOW_URL": self.mlflow,
            "OFFERS_FEAST_PROJECT": PROJECT,
            "OFFERS_API_KEYS_FILE": str(run / "api-key"),
            "OFFERS_LOG_LEVEL": "warning",
        }

    @contextlib.contextmanager
    def ours(self, entities: int | None = None) -> Iterator[Server]:
        """Run our service, with everything on, over a store of so many entities (by default the largest)."""
        port = free_port()
        folder = self.home / "run" / "ours"
        folder.mkdir(parents=True, exist_ok=True)
        with Server.running(
            "ours",
            [sys.executable, "-m", "bench.service"],
            port=port,
            ready_path="/readyz",
            log=folder / "server.log",
            cwd=folder,
            env=self.our_environment(entities or self.largest, port),
        ) as server:
            yield server
