import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inference import Contract, VersionOrigin, load_model_version
from inference.contract_checks import read_contract
from inference.errors import ArtifactError, ContractError, VersionRefusedError
from inference.on_demand import resolve_function
from inference.testing import InMemoryFeatureReader, live_model, tiny_model

change = msgspec.structs.replace
ORIGIN = VersionOrigin(name="hourly_rate", version="3", alias="champion", run_id="r")
MODULES = ("inference.testing",)


@pytest.fixture
def directory(model_directory: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(model_directory, tmp_path / "version")


def rewrite(directory: Path, edit: Callable[[Contract], Contract]) -> None:
    path = directory / "contract.json"
    path.write_bytes(msgspec.json.encode(edit(read_contract(path.read_bytes()))))


def test_a_sound_version_loads(directory: Path) -> None:
    version = load_model_version(directory, ORIGIN, on_demand_modules=MODULES)

    assert (version.name, version.version, version.alias, version.run_id) == ("hourly_rate", "3", "champion", "r")
    assert version.booster.num_features == 7
    assert version.cost.estimate(1) > 0
    assert len(version.digest) == 64


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_models_of_both_libraries_load(library: Any, tmp_path: Path) -> None:
    tiny_model(tmp_path, library=library, task="binary", entities=("job_id", "candidate_id"), model="recommendation")

    assert live_model(tmp_path).version.contract.entities == ("job_id", "candidate_id")


REFUSALS: dict[str, tuple[type[VersionRefusedError], Callable[[Path], object], str]] = {
    "no contract": (ArtifactError, lambda d: (d / "contract.json").unlink(), r"has no contract\.json"),
    "contract is a directory": (
        ArtifactError,
        lambda d: (d / "contract.json").rename(d / "old").with_name("contract.json").mkdir(),
        r"contract\.json cannot be read",
    ),
    "no booster": (ArtifactError, lambda d: (d / "model.lgb").unlink(), r"model\.lgb is missing"),
    "changed booster": (
        ArtifactError,
        lambda d: (d / "model.lgb").write_bytes((d / "model.lgb").read_bytes() + b"\n"),
        "sha256 differs",
    ),
    "another model": (
        ContractError,
        lambda d: rewrite(d, lambda c: change(c, model="residency")),
        "of registered model residency, not hourly_rate",
    ),
    "a feature less": (
        ContractError,
        lambda d: rewrite(
            d,
            lambda c: change(
                c,
                features=(change(c.features[0], model_input=False), *c.features[1:]),
                golden=change(c.golden, inputs=tuple(row[1:] for row in c.golden.inputs)),
            ),
        ),
        "the booster has 7 features, the contract 6",
    ),
    "wrong golden rows": (
        ContractError,
        lambda d: rewrite(d, lambda c: change(c, golden=change(c.golden, raw=(9.9, *c.golden.raw[1:])))),
        "1 of 16 golden rows come out wrong",
    ),
    "foreign function": (
        ContractError,
        lambda d: rewrite(d, lambda c: change(c, on_demand=(change(c.on_demand[0], function="os:system"),))),
        "not one that this service allows",
    ),
    "absent function": (
        ContractError,
        lambda d: rewrite(
            d, lambda c: change(c, on_demand=(change(c.on_demand[0], function="inference.testing:nothing"),))
        ),
        "no such public function",
    ),
    "function without its inputs": (
        ContractError,
        lambda d: rewrite(d, lambda c: change(c, on_demand=(change(c.on_demand[0], inputs=("role",)),))),
        "fails on missing values",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_version_is_refused_with_its_own_reason(directory: Path, name: str) -> None:
    kind, spoil, reason = REFUSALS[name]
    spoil(directory)

    with pytest.raises(kind, match=reason):
        load_model_version(directory, ORIGIN, on_demand_modules=MODULES)


def test_a_module_that_cannot_be_imported_is_a_contract_error() -> None:
    with pytest.raises(ContractError, match="cannot be imported"):
        resolve_function("no_such_module:f", ["no_such_module"])


async def _retire_while_in_use(directory: Path) -> list[bool]:
    import asyncio

    live = live_model(directory)
    reader = live.reader
    assert isinstance(reader, InMemoryFeatureReader)
    live.acquire()
    live.acquire()
    retiring = asyncio.create_task(live.retire())
    closed = []
    for _ in range(2):
        await asyncio.sleep(0)
        closed.append(reader.closed)
        live.release()
    await retiring
    return [*closed, reader.closed]


def test_a_retired_models_reader_closes_with_its_last_request(model_directory: Path) -> None:
    import asyncio

    assert asyncio.run(_retire_while_in_use(model_directory)) == [False, False, True]
