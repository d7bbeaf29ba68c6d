"""When the data ends: the time of everybody's last snapshot."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

from pipelines.warehouse.errors import WarehouseError
from pipelines.warehouse.settings import WarehouseSettings, offers_home

__all__ = ["current_settings", "source_end"]


def source_end(home: Path) -> datetime:
    """Return the end of the data (UTC, without zone): as the generator's manifest says, else after the last login.

    Raises WarehouseError if there is neither.
    """
    manifest = home / "source" / "marketplace.json"
    if manifest.exists():
        spec = json.loads(manifest.read_text())
        start = date.fromisoformat(spec["start"])
        return datetime(start.year + spec["years"], start.month, start.day)
    files = str(home / "source" / "logins" / "*.parquet")
    import duckdb

    with duckdb.connect() as connection:
        row = connection.execute("SELECT epoch(max(logged_in_at)) FROM read_parquet(?)", [files]).fetchone()
    if row is None or row[0] is None:
        msg = "there are no logins: the end of the data is unknown"
        raise WarehouseError(msg)
    midnight_seconds = (int(row[0]) // 86_400 + 1) * 86_400
    return datetime.fromtimestamp(midnight_seconds, UTC).replace(tzinfo=None)


def current_settings() -> WarehouseSettings:
    """Return the settings of the warehouse under `OFFERS_HOME` as its source tables are now."""
    home = offers_home()
    return WarehouseSettings.from_env(home=home, snapshot_end=source_end(home))
