from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketplace import MarketplaceSpec, generate

Table = Callable[[str], pa.Table]


@pytest.fixture(scope="session")
def spec() -> MarketplaceSpec:
    return MarketplaceSpec(candidates=5000, jobs=500, companies=40, seed=7, part_size=2500)


@pytest.fixture(scope="session")
def marketplace_home(tmp_path_factory: pytest.TempPathFactory, spec: MarketplaceSpec) -> Path:
    home = tmp_path_factory.mktemp("marketplace")
    generate(home / "source", home / "truth", spec)
    return home


@pytest.fixture(scope="session")
def source(marketplace_home: Path) -> Table:
    """Read a source table."""
    return lambda name: pq.read_table(marketplace_home / "source" / name)


@pytest.fixture(scope="session")
def truth(marketplace_home: Path) -> Table:
    """Read a truth table."""
    return lambda name: pq.read_table(marketplace_home / "truth" / name)
