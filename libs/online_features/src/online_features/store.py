"""`PackedRedisOnlineStore`: Feast's online-store plug-in.

feature_store.yaml:

    online_store:
      type: online_features.PackedRedisOnlineStore
      connection_string: localhost:6379,db=0,password=…,ssl=true
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
from feast import Entity, FeatureView, RepoConfig
from feast.infra.infra_object import InfraObject
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from pydantic import StrictStr

from online_features import feast_views, store_reads
from online_features.keys import layouts_key, pool_key, schemas_key, view_key_pattern
from online_features.layout import Layout
from online_features.packing import RowSource
from online_features.protos import CREATED, ENTITY, EVENT, Row, encode_protos, proto_batch
from online_features.schema_documents import encode_columns, layout_field
from online_features.sync_links import ClientSender, RedisType, Server
from online_features.writer import PackedWriter

__all__ = ["PackedRedisOnlineStore", "PackedRedisOnlineStoreConfig"]

_DELETE_KEYS = 1000


class PackedRedisOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast is untyped
    """Settings; the names are those of Feast's Redis store."""

    type: Literal["online_features.PackedRedisOnlineStore", "online_features.store.PackedRedisOnlineStore"] = (
        "online_features.PackedRedisOnlineStore"
    )
    redis_type: RedisType = RedisType.redis
    """redis, redis_cluster or redis_sentinel."""
    sentinel_master: StrictStr = "mymaster"
    connection_string: StrictStr = "localhost:6379"
    """`host:port[,host:port…][,db=0][,password=…][,ssl=true][,unix_socket_path=…]`"""
    key_ttl_seconds: int | None = None
    """Redis drops a row so long after it was last written. None: never. Feature views' own TTL is applied on reads."""
    full_scan_for_deletion: bool = True
    """Whether deleting a view scans for its keys."""

    @property
    def server(self) -> Server:
        """Where the online store is."""
        return Server(self.connection_string, self.redis_type, self.sentinel_master)


class PackedRedisOnlineStore(OnlineStore):  # type: ignore[misc]  # Feast is untyped
    """One packed value a (view, entity); see `layout` and `keys`.

    Differences from Feast's Redis store, all on purpose: a view's TTL is applied on reads (null values, status
    OUTSIDE_MAX_AGE); an entity without a row is NOT_FOUND; of two rows with one event timestamp, that with the later
    created timestamp wins, and an equal one overwrites.
    """

    def __init__(self) -> None:
        self._client: Any = None
        self._client_async: Any = None
        self._described: set[tuple[str, str, str]] = set()

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Reads have an asyncio path; asynchronous pushes run the blocking writer in a thread."""
        return SupportedAsyncMethods(read=True, write=True)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write Feast's rows. The newest event timestamp of an entity wins, also under concurrent writers."""
        if data:
            layout = feast_views.layout_of(table)
            source = RowSource((ENTITY,), EVENT, CREATED, nan_is_null=False)
            self.writer(config, table, layout).write([proto_batch(layout, data)], source, progress)

    async def online_write_batch_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """`online_write_batch` in a thread."""
        import asyncio

        await asyncio.to_thread(self.online_write_batch, config, table, data, progress)

    def write_table(
        self,
        config: RepoConfig,
        table: FeatureView,
        batches: Sequence[pa.RecordBatch] | pa.RecordBatchReader,
        source: RowSource,
        progress: Callable[[int], Any] | None = None,
    ) -> int:
        """Write Arrow record batches; return how many rows were the newest of their entity."""
        layout = feast_views.layout_of(table)
        return self.writer(config, table, layout).write(batches, source, progress)

    def writer(self, config: RepoConfig, table: FeatureView, layout: Layout) -> PackedWriter:
        """A writer of a view's rows, whose layout the store knows from then on."""
        settings = _settings(config)
        client = self.client(config)
        view = feast_views.stored_name(config, table)
        seen = (config.project, view, layout.fingerprint)
        if seen not in self._described:
            document = feast_views.document_of(config, table)
            client.hsetnx(layouts_key(config.project), layout_field(view, layout.fingerprint), encode_columns(layout))
            client.hsetnx(schemas_key(config.project), view, document.encode())
            self._described.add(seen)
        return PackedWriter(
            sender=ClientSender(client, cluster=settings.server.cluster),
            project=config.project,
            view=view,
            layout=layout,
            key_ttl_seconds=settings.key_ttl_seconds or 0,
            encode=encode_protos,
        )

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Rows by entity: (None, None) where there is none, (event timestamp, None) where it is older than the TTL."""
        return self._read(config, [store_reads.ViewRead.of(config, table, entity_keys, requested_features)])[0]

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """`online_read` over asyncio."""
        return (
            await self._read_async(config, [store_reads.ViewRead.of(config, table, entity_keys, requested_features)])
        )[0]

    def _read(self, config: RepoConfig, reads: Sequence[store_reads.ViewRead]) -> list[store_reads.ReadRows]:
        keys = [key for read in reads for key in read.keys]
        client = self.client(config)
        mget = client.mget_nonatomic if _settings(config).server.cluster else client.mget
        values = mget(keys) if keys else []
        raw = client.hgetall(layouts_key(config.project)) if store_reads.needs_layouts(reads, values) else {}
        return store_reads.rows(reads, values, raw)

    async def _read_async(
        self, config: RepoConfig, reads: Sequence[store_reads.ViewRead]
    ) -> list[store_reads.ReadRows]:
        keys = [key for read in reads for key in read.keys]
        client = self.client_async(config)
        mget = client.mget_nonatomic if _settings(config).server.cluster else client.mget
        values = await mget(keys) if keys else []
        raw = await client.hgetall(layouts_key(config.project)) if store_reads.needs_layouts(reads, values) else {}
        return store_reads.rows(reads, values, raw)

    def _read_features_per_fv(self, config: RepoConfig, grouped_refs: Any, *request: Any) -> None:
        # All views in one round trip, and the status OUTSIDE_MAX_AGE, which Feast sets on no other path.
        join_key_values, join_keys_by_entity, response, full_names, with_versions = request
        reads = store_reads.online_request(config, grouped_refs, join_key_values, join_keys_by_entity)
        answers = self._read(config, [read for read, _, _ in reads])
        store_reads.respond(reads, answers, response, full_names=full_names, with_versions=with_versions)

    async def _read_features_per_fv_async(self, config: RepoConfig, grouped_refs: Any, *request: Any) -> None:
        join_key_values, join_keys_by_entity, response, full_names, with_versions = request
        reads = store_reads.online_request(config, grouped_refs, join_key_values, join_keys_by_entity)
        answers = await self._read_async(config, [read for read, _, _ in reads])
        store_reads.respond(reads, answers, response, full_names=full_names, with_versions=with_versions)

    def update(  # noqa: PLR0917 (Feast's signature)
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],  # noqa: ARG002 (rows belong to views)
        entities_to_keep: Sequence[Entity],  # noqa: ARG002
        partial: bool,  # noqa: ARG002
    ) -> None:
        """Delete rows and documents of views that are gone, describe those that stay."""
        client = self.client(config)
        for table in tables_to_delete:
            self._delete_view(config, feast_views.stored_name(config, table))
        for table in tables_to_keep:
            if not feast_views.is_stored(table):
                continue
            document = feast_views.document_of(config, table)
            layout = feast_views.layout_of(table)
            field = layout_field(document.view, document.fingerprint)
            client.hsetnx(layouts_key(config.project), field, encode_columns(layout))
            client.hset(schemas_key(config.project), document.view, document.encode())

    def plan(self, config: RepoConfig, desired_registry_proto: Registry) -> list[InfraObject]:  # noqa: ARG002
        """No infrastructure of its own: keys come with the first rows."""
        return []

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:  # noqa: ARG002
        """Delete the rows and documents of all views of the project, and its pools."""
        client = self.client(config)
        for view in {feast_views.stored_name(config, table) for table in tables}:
            self._delete_view(config, view, scan=True)
        _unlink(client, pool_key(config.project, "") + "*")
        client.delete(schemas_key(config.project))
        client.delete(layouts_key(config.project))
        client.close()
        self._client = None
        self._described.clear()

    def _delete_view(self, config: RepoConfig, view: str, *, scan: bool = False) -> None:
        client = self.client(config)
        if scan or _settings(config).full_scan_for_deletion:
            _unlink(client, view_key_pattern(config.project, view))
        client.hdel(schemas_key(config.project), view)
        fields = [field for field in client.hkeys(layouts_key(config.project)) if _view_of(field) == view]
        if fields:
            client.hdel(layouts_key(config.project), *fields)
        self._described = {seen for seen in self._described if seen[:2] != (config.project, view)}

    def client(self, config: RepoConfig) -> Any:
        """The blocking redis-py client."""
        if self._client is None:
            self._client = _settings(config).server.client()
        return self._client

    def client_async(self, config: RepoConfig) -> Any:
        """The asyncio redis-py client."""
        if self._client_async is None:
            self._client_async = _settings(config).server.async_client()
        return self._client_async

    async def close(self) -> None:
        """Close the asyncio client."""
        if self._client_async is not None:
            await self._client_async.aclose()
            self._client_async = None


def _settings(config: RepoConfig) -> PackedRedisOnlineStoreConfig:
    settings = config.online_store
    if not isinstance(settings, PackedRedisOnlineStoreConfig):
        raise TypeError(f"the online store is configured as {type(settings).__name__}")
    return settings


def _view_of(field: bytes) -> str:
    return field.decode().rsplit("/", 1)[0]


def _unlink(client: Any, pattern: str) -> None:
    batch: list[bytes] = []
    for key in client.scan_iter(pattern, count=_DELETE_KEYS):
        batch.append(key)
        if len(batch) == _DELETE_KEYS:
            _unlink_keys(client, batch)
            batch = []
    if batch:
        _unlink_keys(client, batch)


def _unlink_keys(client: Any, keys: list[bytes]) -> None:
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.unlink(key)
        pipe.execute()
