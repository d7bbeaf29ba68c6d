"""`PackedComputeEngine`: Feast's local compute engine with a fast way from the offline store to packed values.

feature_store.yaml:

    batch_engine:
      type: online_features.PackedComputeEngine

A plain feature view needs neither pandas nor protobuf: the offline store's latest rows of each entity stream as Arrow
into the packed writer. Views with transformations, aggregations or an offline push run Feast's local engine unchanged.
"""

from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
from feast import FileSource
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.offline_stores.offline_store import OfflineStore
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel

from online_features import feast_views
from online_features.store import PackedRedisOnlineStore

__all__ = ["PackedComputeEngine", "PackedComputeEngineConfig"]

_BATCH_ROWS = 65_536
_LATEST = "__latest_event_timestamp"


class PackedComputeEngineConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast is untyped
    """Settings."""

    type: Literal["online_features.PackedComputeEngine", "online_features.engine.PackedComputeEngine"] = (
        "online_features.PackedComputeEngine"
    )
    backend: str | None = None
    """DataFrame backend of Feast's local engine, for views that need it."""


class PackedComputeEngine(LocalComputeEngine):  # type: ignore[misc]  # Feast is untyped
    """Materialises into a `PackedRedisOnlineStore`."""

    def _materialize_one(
        self,
        registry: BaseRegistry,
        task: MaterializationTask,
        **options: Any,
    ) -> LocalMaterializationJob:
        if not self._streams(task.feature_view):
            return super()._materialize_one(registry, task, **options)
        job_id = f"{task.feature_view.name}-{task.start_time}-{task.end_time}"
        try:
            self._stream(task)
        except Exception as error:  # noqa: BLE001 (Feast's jobs hold their error, the provider raises it)
            return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.ERROR, error=error)
        return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)

    def _streams(self, view: Any) -> bool:
        plain = not (
            getattr(view, "feature_transformation", None)
            or getattr(view, "aggregations", None)
            or getattr(view, "source_views", None)
            or getattr(view, "filter", None)
        )
        stored = view.online and not view.offline and view.batch_source is not None
        return plain and stored and isinstance(self.online_store, PackedRedisOnlineStore)

    def _stream(self, task: MaterializationTask) -> None:
        view = task.feature_view
        source = view.batch_source
        mapping = source.field_mapping or {}
        columns = {mapped: column for column, mapped in mapping.items()}
        row_source = feast_views.row_source_of(view)
        request = {
            "config": self.repo_config,
            "data_source": source,
            "join_key_columns": [columns.get(key, key) for key in row_source.join_keys],
            "feature_name_columns": [columns.get(field.name, field.name) for field in view.features],
            "timestamp_field": source.timestamp_field,
            "created_timestamp_column": source.created_timestamp_column,
            "start_date": task.start_time,
            "end_date": task.end_time,
        }
        with task.tqdm_builder(0) as bar:
            rows = _latest_streamed(self.offline_store, request)
            batches = _batches(_latest(self.offline_store, request) if rows is None else rows)
            renamed = (
                batch.rename_columns([mapping.get(name, name) for name in batch.schema.names]) for batch in batches
            )
            self.online_store.write_table(self.repo_config, view, renamed, row_source, bar.update)


def _latest(offline_store: OfflineStore, request: dict[str, Any]) -> pa.Table:
    """The latest row of each entity as the offline store finds it."""
    return offline_store.pull_latest_from_table_or_query(**request).to_arrow()


def _latest_streamed(offline_store: OfflineStore, request: dict[str, Any]) -> Any:  # an Ibis table or None
    """The latest rows of each entity as a lazy Ibis table, where the offline store works through Ibis (DuckDB).

    Feast's own query ranks whole rows in a window, which holds all of them in memory. Here only the latest time of
    each entity is held, and rows stream past it. Rows of one entity and one time remain double: the writer keeps the
    one that was created last.
    """
    if not request["join_key_columns"]:
        return None
    if not isinstance(request["data_source"], FileSource):
        return None
    table: Any = getattr(offline_store.pull_all_from_table_or_query(**request), "table", None)
    if not hasattr(table, "to_pyarrow_batches"):
        return None
    keys, time = request["join_key_columns"], request["timestamp_field"]
    # A request of its own: DuckDB holds a common subexpression of both sides in memory, with all features.
    times: Any = offline_store.pull_all_from_table_or_query(**request | {"feature_name_columns": []})
    latest = times.table.group_by(keys).aggregate(**{_LATEST: times.table[time].max()})
    conditions = [table[key] == latest[key] for key in keys]
    return table.semi_join(latest, [*conditions, table[time] == latest[_LATEST]])


def _batches(rows: Any) -> Iterator[pa.RecordBatch]:  # an Ibis table or an Arrow table
    if isinstance(rows, pa.Table):
        yield from rows.to_batches(max_chunksize=_BATCH_ROWS)
        return
    import ibis  # type: ignore[import-untyped]  # published without types

    backend = ibis.get_backend(rows)
    if backend.name == "duckdb":
        # Ibis's own `to_pyarrow_batches` executes first, which holds the whole result in memory; a DuckDB relation
        # is computed as it is read.
        yield from backend.con.sql(backend.compile(rows)).to_arrow_reader(_BATCH_ROWS)
    else:
        yield from rows.to_pyarrow_batches(chunk_size=_BATCH_ROWS)
