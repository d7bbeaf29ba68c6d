"""The vectorised reader: all views of all rows in one MGET, decoded by numpy into the model's matrix."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence

from inference.contract import Contract
from inference.errors import FeatureStoreError
from inference.features import FeatureReader, FeatureRows, ViewSchema
from online_features.blocks import RowsBuilder, UnknownLayoutError
from online_features.keys import layouts_key, schemas_key
from online_features.links import KeyRun, Link, open_link
from online_features.plan import ReadPlan, contract_views
from online_features.schema_documents import decode_documents, decode_layouts

__all__ = ["PackedFeatureReader", "open_reader"]

_REFRESH_SECONDS = 30.0
_UNKNOWN_VIEW_SECONDS = 1.0


class PackedFeatureReader:
    """A `FeatureReader` over packed values. Safe for concurrent use on one event loop.

    Schema documents are read when the reader opens, again every 30 s in the background, and at once when a row
    carries a layout that is not known yet.
    """

    def __init__(self, link: Link, contract: Contract, project: str) -> None:
        self._link = link
        self._contract = contract
        self._project = project
        self._views = contract_views(contract)
        self._plan = ReadPlan.of(contract, project, {}, {})
        self._refreshed = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    async def read(self, keys: Mapping[str, Sequence[str]]) -> FeatureRows:
        """Read n rows; see `FeatureReader`. Raises `FeatureStoreError`, and ValueError for a missing join key."""
        self._refresh_when_due()
        if self._plan.unknown_views and time.monotonic() - self._refreshed > _UNKNOWN_VIEW_SECONDS:
            await self.refresh()
        try:
            return await self._read(keys, lenient=False)
        except UnknownLayoutError:
            # A view has changed since the documents were read.
            await self.refresh()
            return await self._read(keys, lenient=True)

    async def schemas(self) -> Mapping[str, ViewSchema]:
        """The contract's views as the store describes them now; a view that it does not know is absent."""
        documents = decode_documents(await self._link.hgetall(schemas_key(self._project)))
        return {view: documents[view].view_schema() for view in self._views if view in documents}

    async def refresh(self) -> None:
        """Read the schema documents and plan again. Raises `FeatureStoreError`."""
        documents = decode_documents(await self._link.hgetall(schemas_key(self._project)))
        layouts = decode_layouts(await self._link.hgetall(layouts_key(self._project)))
        self._plan = ReadPlan.of(self._contract, self._project, documents, layouts)
        self._refreshed = time.monotonic()

    async def close(self) -> None:
        """Release connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            with contextlib.suppress(asyncio.CancelledError, FeatureStoreError):
                await self._refreshing
        await self._link.close()

    async def _read(self, keys: Mapping[str, Sequence[str]], *, lenient: bool) -> FeatureRows:
        plan = self._plan
        n = len(next(iter(keys.values()), ()))
        builder = RowsBuilder(plan, n, lenient=lenient)
        runs = [
            KeyRun(view.prefix, ids)
            for entity, ids in zip(plan.entities, builder.ids(keys), strict=True)
            for view in entity.views
        ]
        values = await self._link.mget(runs) if n and runs else []
        return builder.rows(values)

    def _refresh_when_due(self) -> None:
        if time.monotonic() - self._refreshed < _REFRESH_SECONDS:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh_quietly())

    async def _refresh_quietly(self) -> None:
        # Reads report a store that is away; the next read tries again.
        with contextlib.suppress(FeatureStoreError):
            await self.refresh()


async def open_reader(redis_url: str, contract: Contract, project: str) -> FeatureReader:
    """Open a reader of one contract (URL forms: see `links`). Raises `FeatureStoreError` when the store is away."""
    reader = PackedFeatureReader(open_link(redis_url), contract, project)
    try:
        await reader.refresh()
    except BaseException:
        await reader.close()
        raise
    return reader
