"""Which snapshots everybody gets, and where the data ends."""

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from planted_marketplace import at, write_sources

from pipelines.warehouse.errors import WarehouseError
from pipelines.warehouse.settings import WarehouseSettings
from pipelines.warehouse.source_end import source_end

END = datetime(2024, 11, 1)


def test_without_a_grid_only_the_end_is_a_snapshot_of_everybody(tmp_path: Path) -> None:
    assert WarehouseSettings(home=tmp_path, snapshot_end=END).snapshot_grid() == (END,)


def test_grid_goes_back_from_the_end_in_whole_weeks(tmp_path: Path) -> None:
    grid = WarehouseSettings(home=tmp_path, snapshot_end=END, grid_weeks=4).snapshot_grid()

    assert len(grid) == 40
    assert grid[-1] == END
    assert {(later - earlier).days for earlier, later in pairwise(grid)} == {28}


def test_data_ends_at_the_midnight_after_the_last_login(tmp_path: Path) -> None:
    login = {"candidate_id": "c0000001", "logged_in_at": at("2024-05-05", 3), "ingested_at": at("2024-05-06")}
    write_sources(tmp_path, {"logins": [login]})

    assert source_end(tmp_path) == datetime(2024, 5, 6)


def test_manifest_says_where_the_data_ends(tmp_path: Path) -> None:
    write_sources(tmp_path, {})
    (tmp_path / "source" / "marketplace.json").write_text('{"start": "2023-11-01", "years": 3}')

    assert source_end(tmp_path) == datetime(2026, 11, 1)


def test_no_login_and_no_manifest_is_an_error(tmp_path: Path) -> None:
    write_sources(tmp_path, {})

    with pytest.raises(WarehouseError, match="end of the data is unknown"):
        source_end(tmp_path)
