"""`PackedComputeEngine`: Feast's local compute engine with a fast way from the offline store to packed values.

feature_store.yaml:

    batch_engine:
      type: online_features.PackedComputeEngine

A plain feature view needs neither pandas nor protobuf: the offline store's latest row of each entity streams as Arrow
into the packed writer. Views with transformations, aggregations or an offline push run Feast's local engine unchanged.
"""

from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel

from online_features import feast_views
from online_features.store import PackedRedisOnlineStore

__all__ = ["PackedComputeEngine", "PackedComputeEngineConfig"]

_BATCH_ROWS = 65_536


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
        job = self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=source,
            join_key_columns=[columns.get(key, key) for key in row_source.join_keys],
            feature_name_columns=[columns.get(field.name, field.name) for field in view.features],
            timestamp_field=source.timestamp_field,
            created_timestamp_column=source.created_timestamp_column,
            start_date=task.start_time,
            end_date=task.end_time,
        )
        # Feast's CLI shows a bar of rows per view; how many come is known only at the end of the stream.
        with task.tqdm_builder(0) as bar:
            self.online_store.write_table(self.repo_config, view, _batches(job, mapping), row_source, bar.update)


def _batches(job: RetrievalJob, mapping: dict[str, str]) -> Iterator[pa.RecordBatch]:
    """The job's rows with the view's names, streamed where the offline store can (DuckDB, by way of Ibis)."""
    table: Any = getattr(job, "table", None)
    if hasattr(table, "to_pyarrow_batches"):
        batches = table.to_pyarrow_batches(chunk_size=_BATCH_ROWS)
    else:
        batches = job.to_arrow().to_batches(max_chunksize=_BATCH_ROWS)
    for batch in batches:
        yield batch.rename_columns([mapping.get(name, name) for name in batch.schema.names])
