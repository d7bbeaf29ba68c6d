"""A Feast repository over the benchmark's data, in a folder of its own, and the worker process that operates it."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.columns import View
from bench.processes import SERVER_CORE, Worker

__all__ = ["PROJECT", "FeastRepository"]

PROJECT = "bench"
HARNESS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class FeastRepository:
    """One `feature_store.yaml`: an interpreter with Feast, and an online store."""

    name: str
    python: Path
    folder: Path
    online_store: Mapping[str, Any]
    options: Mapping[str, Any]
    """Further sections, for example another batch engine."""

    def write(self) -> None:
        """Write `feature_store.yaml`, and forget an earlier registry."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "registry.db").unlink(missing_ok=True)
        configuration = {
            "project": PROJECT,
            "provider": "local",
            "registry": {"registry_type": "file", "path": str(self.folder / "registry.db")},
            "offline_store": {"type": "duckdb"},
            "online_store": dict(self.online_store),
            "entity_key_serialization_version": 3,
            "materialization": {"pull_latest_features": True},
            **self.options,
        }
        (self.folder / "feature_store.yaml").write_text(yaml.safe_dump(configuration))

    @contextlib.contextmanager
    def worker(self, core: int = SERVER_CORE) -> Iterator[Worker]:
        """Run the worker process."""
        with Worker.running(
            self.name,
            [str(self.python), "-m", "bench.feast_worker"],
            log=self.folder / "worker.log",
            cwd=self.folder,
            env={"PYTHONPATH": str(HARNESS)},
            core=core,
        ) as worker:
            yield worker

    def fill(self, sources: Mapping[View, Path], rows: int, service: str) -> dict[str, Any]:
        """Apply the views over their sources, materialise them, and return the worker's figures.

        `rows` is how many the sources hold together.
        """
        self.write()
        with self.worker() as worker:
            views = [view.described(source) for view, source in sources.items()]
            worker.ask({"do": "apply", "views": views, "service": service})
            return worker.ask({"do": "materialize", "rows": rows})
