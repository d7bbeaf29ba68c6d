"""`deploy` is a folder of the repository and not an installed package; the stand-ins lie beside the tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[3]), str(Path(__file__).parent)]

# After the path is set.
from deploy.local.lifecycle import stop_supervisor  # noqa: E402
from deploy.local.settings import LocalSettings  # noqa: E402
from platform_stand_ins import Platform  # noqa: E402


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A supervisor over stand-ins, stopped at the end of the test."""
    running = Platform(LocalSettings(home=tmp_path / "home", host="127.0.0.1", ports={}))
    yield running
    stop_supervisor(running.settings)
