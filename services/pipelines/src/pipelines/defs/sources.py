"""Source tables as assets."""

import time
from collections.abc import Iterator

import dagster as dg

from marketplace.tables import SOURCE_TABLES
from pipelines.warehouse.generation import generate_sources, spec_from_env
from pipelines.warehouse.settings import offers_home

__all__ = ["source_assets"]


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            ["source", table],
            group_name="sources",
            kinds={"parquet"},
            metadata={"dagster/column_schema": dg.TableSchema([dg.TableColumn(f.name, str(f.type)) for f in schema])},
        )
        for table, schema in SOURCE_TABLES.items()
    ],
    name="source_tables",
)
def source_tables() -> Iterator[dg.MaterializeResult[None]]:
    """Generate the sample marketplace; in production the exports of the product and its neighbours stand here."""
    started = time.perf_counter()
    tables = generate_sources(offers_home(), spec_from_env(offers_home()))
    seconds = time.perf_counter() - started
    for table in tables:
        yield dg.MaterializeResult(
            asset_key=["source", table.name],
            metadata={"dagster/row_count": table.rows, "bytes": table.bytes, "seconds": seconds / len(tables)},
        )


source_assets = [source_tables]
