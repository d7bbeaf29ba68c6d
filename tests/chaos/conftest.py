"""One world of real processes for all tests of a file."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from promotion_world import World  # lies beside, as the service's script does


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("promotion"))
    try:
        yield made
    finally:
        made.close()
