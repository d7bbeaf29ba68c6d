"""The published tables as assets."""

from collections.abc import Iterator

import dagster as dg

from pipelines.warehouse.publish import FEATURE_TABLES, LABEL_TABLES, publish_tables
from pipelines.warehouse.source_end import current_settings

__all__ = ["published_assets"]


@dg.multi_asset(
    specs=[
        dg.AssetSpec([f"published_{schema}", name], deps=[[schema, name]], group_name="published", kinds={"parquet"})
        for schema, names in (("features", FEATURE_TABLES), ("labels", LABEL_TABLES))
        for name in names
    ],
    name="published",
)
def published() -> Iterator[dg.MaterializeResult[None]]:
    """Write the Parquet snapshots that Feast and training read."""
    for table in publish_tables(current_settings()):
        yield dg.MaterializeResult(
            asset_key=[f"published_{table.schema}", table.name],
            metadata={"dagster/row_count": table.rows, "seconds": table.seconds, "file": table.path.name},
        )


published_assets = [published]
