"""The warehouse that is built once from the hand-made marketplace, which lies beside the tests."""

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent))

with warnings.catch_warnings():
    # SQLMesh's own models use what Pydantic has deprecated.
    warnings.simplefilter("ignore")
    import sqlmesh  # noqa: F401

# After the path is set.
from planted_marketplace import ROWS, build_from


@pytest.fixture(autouse=True)
def _their_warnings() -> Iterator[None]:
    """SQLMesh evaluates `@min_v IS NOT NULL` as Python, which warns of `is not` with a literal."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message='"is not" with', category=SyntaxWarning)
        yield


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Settings and models of the warehouse built from ROWS."""
    return build_from(tmp_path_factory.mktemp("warehouse"), ROWS)


@pytest.fixture(scope="session")
def query(built: Any) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    settings, _ = built
    with duckdb.connect(str(settings.database), read_only=True) as connection:

        def run(sql: str) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = connection.execute(sql).to_arrow_table().to_pylist()
            return rows

        yield run
