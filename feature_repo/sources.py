"""Where feature tables are read: the Parquet snapshots that the warehouse publishes."""

from feast import FileSource
from feast.data_format import ParquetFormat

from pipelines.warehouse.settings import offers_home


def feature_source(view: str) -> FileSource:
    """Return the published table of a feature view.

    `created_timestamp` is the time as of which a row was computable, so that filtering by it keeps late data out.
    """
    return FileSource(
        name=view,
        path=str(offers_home() / "warehouse" / "features" / f"{view}.parquet"),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
