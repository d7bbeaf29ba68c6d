"""A service over a real booster and a store in memory, as one process or several: `python stand_in.py <directory>`."""

import sys
from pathlib import Path

import msgspec
import numpy as np

from hourly_rate import SERVICE
from inference.contract import Contract, ReferenceBins
from inference.contract_checks import encode_contract
from inference.testing import InMemoryFeatureReader, live_model, tiny_model
from serving import create_app
from serving.logs import configure_logging
from serving.run import listening_socket, serve
from serving.settings import Settings
from serving.testing import StandingModels, standing_models
from serving.workers import run_workers

PEOPLE = 200
_OUTPUT = {
    "interval_edges": (8.0, 9.0),
    "interval_low_known": (-0.1, -0.1, -0.1),
    "interval_high_known": (0.1, 0.1, 0.1),
    "interval_low_anonymous": (-0.2, -0.2, -0.2),
    "interval_high_anonymous": (0.2, 0.2, 0.2),
    "coverage": (0.8,),
    "round_to": (100.0,),
}


def make(directory: Path) -> None:
    """Train the model and write its contract, with bins."""
    contract = tiny_model(directory, model=SERVICE.name)
    number = ReferenceBins(edges=(2.0, 4.0, 6.0, 8.0), shares=(0.2, 0.2, 0.2, 0.2, 0.2, 0.0), rows=5000)
    category = ReferenceBins(edges=(), shares=(0.25, 0.25, 0.25, 0.25, 0.0), rows=5000)
    features = tuple(
        msgspec.structs.replace(one, bins=category if one.dtype == "category" else number) for one in contract.features
    )
    output = msgspec.structs.replace(contract.output, tables=_OUTPUT, unit="JPY/hour", bins=number)
    (directory / "contract.json").write_bytes(
        encode_contract(msgspec.structs.replace(contract, features=features, output=output))
    )


def reader_of(contract: Contract) -> InMemoryFeatureReader:
    """People whose features lie anywhere in the bins; a value in ten is missing, one in ten stale."""
    rng = np.random.default_rng(0)
    reader = InMemoryFeatureReader(contract)
    for person in range(PEOPLE):
        values: dict[str, object] = {}
        for feature in contract.stored:
            if rng.random() < 0.1:
                continue
            number = int(rng.integers(0, 10))
            values[feature.name] = feature.categories[number % 4] if feature.categories else number
        stale = [feature.name for feature in contract.stored if rng.random() < 0.1]
        reader.put((f"c{person:07}",), values, stale=stale, as_of_us=1_790_000_000_000_000)
    return reader


def main(directory: Path) -> None:
    """Serve."""
    settings = Settings()
    assert settings.port is not None
    configure_logging(SERVICE.name, settings.log_level, settings.worker)
    with listening_socket(settings.host, settings.port) as listener:
        if settings.workers > 1:
            run_workers(settings.workers, listener.getsockname()[1])
            return
        contract = msgspec.json.decode((directory / "contract.json").read_bytes(), type=Contract)
        live = live_model(directory, reader_of(contract))
        app = create_app(SERVICE, settings, open_models=standing_models(StandingModels(SERVICE.name, live)))
        serve(app, listener, settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
