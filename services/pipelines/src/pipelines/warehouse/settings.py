"""What a build of the warehouse depends on."""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Self

__all__ = ["WarehouseSettings", "offers_home"]

SnapshotUnit = Literal["day", "week"]

_REPOSITORY = Path(__file__).resolve().parents[5]


def offers_home() -> Path:
    """Return `OFFERS_HOME`, by default `.local` in the repository."""
    given = os.environ.get("OFFERS_HOME")
    return Path(given).resolve() if given else _REPOSITORY / ".local"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseSettings:
    """Where the warehouse lives and as of which times it computes features.

    Features exist as of the start of the unit (day or week) of each label, which is all that training joins, and as
    of the end of the data for everybody, which is what the online store gets. `grid_weeks` adds a regular grid for
    everybody: 20,000 candidates by 156 weeks are 3 million rows a view against some 200,000 without it.
    """

    home: Path
    snapshot_end: datetime
    """End of the data, UTC without zone: the last snapshot; what came later does not count."""
    snapshot_unit: SnapshotUnit = "day"
    grid_weeks: int = 0
    """0 for no regular grid."""
    memory_limit_mb: int = 3000
    """DuckDB spills to disk beyond it."""
    threads: int = 2

    @classmethod
    def from_env(cls, *, home: Path, snapshot_end: datetime) -> Self:
        """Read `OFFERS_SNAPSHOT_GRID_WEEKS`, `OFFERS_WAREHOUSE_MEMORY_MB` and `OFFERS_WAREHOUSE_THREADS`."""
        return cls(
            home=home,
            snapshot_end=snapshot_end,
            grid_weeks=int(os.environ.get("OFFERS_SNAPSHOT_GRID_WEEKS", "0")),
            memory_limit_mb=int(os.environ.get("OFFERS_WAREHOUSE_MEMORY_MB", "3000")),
            threads=int(os.environ.get("OFFERS_WAREHOUSE_THREADS", str(min(4, os.cpu_count() or 2)))),
        )

    @property
    def source(self) -> Path:
        """Folder of the source tables, one folder of Parquet files each."""
        return self.home / "source"

    @property
    def directory(self) -> Path:
        """Folder of the warehouse."""
        return self.home / "warehouse"

    @property
    def database(self) -> Path:
        """The DuckDB file, replaced as a whole by each build."""
        return self.directory / "warehouse.duckdb"

    def snapshot_grid(self) -> tuple[datetime, ...]:
        """Times as of which everybody has features, the end of the data last; the grid reaches three years back."""
        if self.grid_weeks == 0:
            return (self.snapshot_end,)
        step = timedelta(weeks=self.grid_weeks)
        count = timedelta(weeks=156) // step
        return tuple(self.snapshot_end - step * back for back in range(count, -1, -1))
