"""Every service that exists, over a tiny real model and a feature store in memory."""

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from inference import FeatureSpec, LiveModel, OutputSpec
from inference.testing import InMemoryFeatureReader, live_model, tiny_model
from marketplace.on_demand import PAIR_FIT_INPUTS
from marketplace.vocabulary import ENGLISH_LEVELS, ROLES
from serving import Service, Settings, create_app
from serving.testing import StandingModels, standing_models

KEY = "a-secret-key"
AS_OF_US = 1_790_000_000_000_000
SERVICES = sorted(path.name for path in (Path(__file__).parents[2] / "services").iterdir() if path.name != "pipelines")

_EXPERIENCE = {"score_x": (7.0, 10.0), "score_y": (0.0, 100.0), "percentile_x": tuple(8 + i / 100 for i in range(101))}
_TABLES: dict[str, dict[str, tuple[float, ...]]] = {
    "binary": {
        "calibration_x": (0.0, 1.0),
        "calibration_y": (0.05, 0.95),
        "review_low": (0.3,),
        "review_high": (0.7,),
    },
    "regression": {
        **_EXPERIENCE,
        "interval_edges": (8.4, 8.6),
        "interval_low_known": (-0.1, -0.2, -0.3),
        "interval_high_known": (0.1, 0.2, 0.3),
        "interval_low_anonymous": (-0.4, -0.4, -0.4),
        "interval_high_anonymous": (0.4, 0.4, 0.4),
        "coverage": (0.8,),
        "round_to": (100.0,),
    },
}


def _feature(name: str, view: str, dtype: Any = "int", **more: Any) -> FeatureSpec:
    return FeatureSpec(name=name, reference=f"{view}:{name}", source="stored", dtype=dtype, **more)


def _features(entities: tuple[str, ...]) -> tuple[FeatureSpec, ...]:
    features = [
        _feature("role", "candidate_profile", "category", categories=ROLES),
        _feature("years_experience", "candidate_profile", "float", required=True, minimum=0, maximum=60),
        _feature("english_level", "candidate_profile", "category", categories=ENGLISH_LEVELS),
        _feature("desired_rate_yen", "candidate_profile", minimum=0, maximum=100_000),
        _feature("desired_hours_week", "candidate_profile", minimum=0, maximum=168),
        _feature("has_github", "candidate_profile", "bool"),
        _feature("skill_mask", "candidate_skills", minimum=0),
        _feature("skill_count", "candidate_skills", minimum=0),
        _feature("articles_90d", "candidate_activity", minimum=0, default=0.0),
    ]
    if "job_id" in entities:
        features += [
            _feature(name, "job_profile", "category", categories=ROLES)
            if name == "job_role"
            else _feature(name, "job_profile", minimum=0)
            for name in PAIR_FIT_INPUTS
            if name.startswith("job_")
        ]
    return tuple(features)


def _row(number: int) -> dict[str, object]:
    """A candidate; number 1 lacks what is required, number 2 something else."""
    row: dict[str, object] = {
        "role": ROLES[number % len(ROLES)],
        "years_experience": float(number % 20) if number != 1 else None,
        "english_level": ENGLISH_LEVELS[number % len(ENGLISH_LEVELS)],
        "desired_rate_yen": 3000 + 10 * number if number != 2 else None,
        "desired_hours_week": 20,
        "has_github": number % 2 == 0,
        "skill_mask": number % 64,
        "skill_count": (number % 64).bit_count(),
        "articles_90d": 1,
    }
    return row


def _job() -> dict[str, object]:
    return {"job_role": ROLES[0], "job_rate_max_yen": 5000, "job_hours_week": 20, "job_skill_mask": 7}


@dataclass
class Served:
    """One service under test."""

    service: Service
    settings: Settings
    app: FastAPI
    models: StandingModels
    live: LiveModel
    reader: InMemoryFeatureReader
    pool: list[str]
    headers: dict[str, str] = field(default_factory=lambda: {"X-API-Key": KEY})

    def client(self, **more: Any) -> httpx.AsyncClient:
        """A client with the key; the application must have been started."""
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://service", headers=self.headers, **more)

    @asynccontextmanager
    async def started(self) -> AsyncIterator[httpx.AsyncClient]:
        """The application started, and a client of it."""
        async with self.app.router.lifespan_context(self.app), self.client() as client:
            yield client

    def key(self, number: int = 3) -> dict[str, str]:
        """Join keys of a candidate (and a job)."""
        ids = {"candidate_id": f"c{number:07}", "job_id": "j0000001"}
        return {entity: ids[entity] for entity in self.service.entities}

    def bulk(self, numbers: list[int] | range) -> dict[str, list[Any]]:
        """A bulk request."""
        keys = [self.key(number) for number in numbers]
        rows: list[Any] = [key["candidate_id"] for key in keys] if len(self.service.entities) == 1 else [*keys]
        return {self.service.bulk_key: rows}


Serve = Callable[..., Served]


@pytest.fixture(scope="session", params=SERVICES)
def declared(request: pytest.FixtureRequest) -> Service:
    service = importlib.import_module(request.param).SERVICE
    assert isinstance(service, Service)
    return service


@pytest.fixture(scope="session")
def model_directory(declared: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp(declared.name)
    # A service of rates or ratings reads a regression; the others read a probability.
    task: Any = "regression" if {"estimate", "percentile"} & {*declared.prediction.__struct_fields__} else "binary"
    output = OutputSpec(name="output", unit="JPY/hour", tables=_TABLES[task])
    features = _features(declared.entities)
    tiny_model(directory, model=declared.name, task=task, entities=declared.entities, output=output, features=features)
    return directory


@pytest.fixture
def serve(declared: Service, model_directory: Path, tmp_path: Path) -> Serve:
    """Make the service's application, with settings that a test may change."""

    def make(*, ready: bool = True, **settings: Any) -> Served:
        (tmp_path / "api-key").write_text(f"tests:{KEY}\n")
        # Nothing listens there: the log must not reach a platform that runs on this machine.
        chosen = Settings(home=tmp_path, **{"redis_url": "redis://127.0.0.1:1/0", **settings})
        live = live_model(model_directory)
        reader = live.reader
        assert isinstance(reader, InMemoryFeatureReader)
        pool = [f"c{number:07}" for number in range(1, 31)]
        for number, candidate in enumerate(pool, start=1):
            if len(declared.entities) == 1:
                reader.put((candidate,), _row(number), as_of_us=AS_OF_US)
            else:
                reader.put(("j0000001", candidate), _row(number) | _job(), as_of_us=AS_OF_US)
                reader.put(("-", candidate), _row(number), as_of_us=AS_OF_US)
        reader.put(("j0000001", "-"), _job(), as_of_us=AS_OF_US)
        models = StandingModels(declared.name, live if ready else None)

        async def read_pool(_: Settings, __: str) -> list[str]:
            return pool

        app = create_app(declared, chosen, open_models=standing_models(models), read_pool=read_pool)
        return Served(declared, chosen, app, models, live, reader, pool)

    return make


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
