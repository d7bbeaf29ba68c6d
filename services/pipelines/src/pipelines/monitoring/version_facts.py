"""What MLflow knows of a model version: contract, feature importance, naive figures; kept, since versions never change.

<home>/monitoring/versions/<model>/<version>.json
"""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from inference.contract import CONTRACT_FILE, Contract
from inference.contract_checks import read_contract
from inference.errors import RegistryError, VersionRefusedError
from inference.registry import RegistryClient
from pipelines.monitoring.errors import MonitoringError
from pipelines.monitoring.tracking import tracking_client

__all__ = ["VersionFacts", "champion_of", "version_facts"]

_NAIVE = "naive_"


class VersionFacts(msgspec.Struct, frozen=True):
    """A version's contract and what was measured when it was made."""

    contract: Contract
    importance: dict[str, float]
    """Gain by feature; empty where the run has none."""
    naive: dict[str, float]
    """Figures of the naive baseline on the test slice."""
    run_id: str


@dataclass(frozen=True, slots=True)
class _Place:
    home: Path
    model: str
    version: str

    @property
    def file(self) -> Path:
        directory = self.home / "monitoring" / "versions" / quote(self.model, safe="")
        return directory / f"{quote(self.version, safe='')}.json"


def version_facts(home: Path, mlflow_url: str, model: str, version: str) -> VersionFacts:
    """Return the facts, from this home if they were asked before. Raises MonitoringError if nobody knows them."""
    place = _Place(home, model, version)
    try:
        return msgspec.json.decode(place.file.read_bytes(), type=VersionFacts)
    except (OSError, msgspec.MsgspecError):
        pass  # not there, or written by another version of this code: ask again
    from mlflow.exceptions import MlflowException

    try:
        facts = _fetch(mlflow_url, model, version)
    except (MlflowException, RegistryError, VersionRefusedError) as error:
        raise MonitoringError(f"{model} version {version}: MLflow does not give its contract: {error}") from error
    place.file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.file.with_suffix(".unfinished")
    unfinished.write_bytes(msgspec.json.encode(facts))
    unfinished.replace(place.file)
    return facts


def champion_of(mlflow_url: str, model: str) -> str | None:
    """Return the version that `champion` names; None where it names none, or MLflow is away."""
    from mlflow.exceptions import MlflowException

    try:
        return str(tracking_client(mlflow_url).get_model_version_by_alias(model, "champion").version)
    except MlflowException:
        return None


def _fetch(mlflow_url: str, model: str, version: str) -> VersionFacts:
    client = tracking_client(mlflow_url)
    run_id = client.get_model_version(model, version).run_id
    metrics: Mapping[str, float] = client.get_run(run_id).data.metrics
    return VersionFacts(
        contract=_contract(mlflow_url, model, version),
        importance=_importance(client, run_id),
        naive={name.removeprefix(_NAIVE): value for name, value in metrics.items() if name.startswith(_NAIVE)},
        run_id=run_id,
    )


def _contract(mlflow_url: str, model: str, version: str) -> Contract:
    """Fetch it as a service does, so that what is watched is what serves."""
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(_download(mlflow_url, model, version, Path(scratch)))
        return read_contract(Path(scratch, CONTRACT_FILE).read_bytes())


async def _download(mlflow_url: str, model: str, version: str, directory: Path) -> None:
    registry = RegistryClient(mlflow_url)
    try:
        await registry.download(await registry.by_version(model, version), directory)
    finally:
        await registry.close()


def _importance(client: Any, run_id: str) -> dict[str, float]:
    from mlflow.exceptions import MlflowException

    try:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(client.download_artifacts(run_id, "importance.json", scratch))
            return {name: float(value) for name, value in json.loads(file.read_bytes()).items()}
    except (MlflowException, OSError, ValueError):
        return {}  # a version made elsewhere need not have logged it
