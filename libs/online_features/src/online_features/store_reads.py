"""`get_online_features` over packed values: keys out, protobuf rows in, Feast's statuses."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feast import RepoConfig, utils
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from online_features import feast_views
from online_features.keys import KEY_END, view_key_prefix
from online_features.layout import Layout, event_time_us
from online_features.protos import entity_of, event_datetime, row_protos
from online_features.schema_documents import decode_layouts

__all__ = ["ReadRows", "ViewRead", "needs_layouts", "online_request", "respond", "rows"]

ReadRows = list[tuple[datetime | None, dict[str, Value] | None]]


@dataclass(frozen=True, slots=True)
class ViewRead:
    """Rows of one view to read."""

    view: Any
    name: str
    """As stored."""
    layout: Layout
    ttl_us: int
    keys: tuple[bytes, ...]
    features: tuple[str, ...]

    @classmethod
    def of(
        cls,
        config: RepoConfig,
        view: Any,
        entity_keys: Sequence[EntityKey],
        features: Sequence[str] | None,
    ) -> "ViewRead":
        """All features where none are named."""
        name = feast_views.stored_name(config, view)
        prefix = view_key_prefix(config.project, name)
        ttl = getattr(view, "ttl", None)
        return cls(
            view=view,
            name=name,
            layout=feast_views.layout_of(view),
            ttl_us=round(ttl.total_seconds() * 1_000_000) if ttl else 0,
            keys=tuple(f"{prefix}{entity_of(key)}{KEY_END}".encode(errors="surrogateescape") for key in entity_keys),
            features=tuple(features) if features else tuple(field.name for field in view.features),
        )


def needs_layouts(reads: Sequence[ViewRead], values: Sequence[bytes | None]) -> bool:
    """Whether any row was written under another schema than its view has now."""
    heads = (read.layout.head.to_bytes(8, "little") for read in reads for _ in read.keys)
    return any(value is not None and value[:8] != head for value, head in zip(values, heads, strict=True))


def rows(
    reads: Sequence[ViewRead], values: Sequence[bytes | None], raw_layouts: Mapping[bytes, bytes]
) -> list[ReadRows]:
    """Rows of each read. A row of a schema that nobody described is as if it were not there."""
    older = decode_layouts(raw_layouts)
    now_us = time.time_ns() // 1000
    answers: list[ReadRows] = []
    start = 0
    for read in reads:
        layouts = {**older.get(read.name, {}), read.layout.head: read.layout}
        mine = values[start : start + len(read.keys)]
        answers.append([_row(read, layouts, value, now_us) for value in mine])
        start += len(read.keys)
    return answers


def _row(
    read: ViewRead, layouts: Mapping[int, Layout], value: bytes | None, now_us: int
) -> tuple[datetime | None, dict[str, Value] | None]:
    if value is None:
        return None, None
    layout = layouts.get(int.from_bytes(value[:8], "little"))
    if layout is None:
        return None, None
    event_us = event_time_us(value)
    event = event_datetime(event_us)
    if read.ttl_us and event_us + read.ttl_us < now_us:
        return event, None
    return event, row_protos(layout, value, read.features)


ReadPlace = tuple[ViewRead, Sequence[Sequence[int]], int]
"""A read, the response rows of each of its entities, and the number of response rows."""


def online_request(
    config: RepoConfig,
    grouped_refs: Sequence[tuple[Any, list[str]]],
    join_key_values: Any,
    join_keys_by_entity: Mapping[str, str],
) -> list[ReadPlace]:
    """The reads behind one `get_online_features`."""
    places = []
    for view, features in grouped_refs:
        entities, indexes, length = utils._get_unique_entities(view, join_key_values, join_keys_by_entity)  # noqa: SLF001 (as Feast's own stores)
        keys = utils._get_entity_key_protos(entities)  # noqa: SLF001
        places.append((ViewRead.of(config, view, keys, features), indexes, length))
    return places


def respond(
    reads: Sequence[ReadPlace],
    answers: Sequence[ReadRows],
    response: Any,
    *,
    full_names: bool,
    with_versions: bool,
) -> None:
    """Fill Feast's response; values older than the TTL are null with status OUTSIDE_MAX_AGE."""
    for (read, indexes, length), answer in zip(reads, answers, strict=True):
        first = len(response.results)
        utils._populate_response_from_feature_data(  # noqa: SLF001
            list(read.features), answer, indexes, response, full_names, read.view, length, with_versions
        )
        stale = [
            place
            for (event, values), places in zip(answer, indexes, strict=True)
            if event is not None and values is None
            for place in places
        ]
        for vector in response.results[first:]:
            for place in stale:
                vector.statuses[place] = FieldStatus.OUTSIDE_MAX_AGE
