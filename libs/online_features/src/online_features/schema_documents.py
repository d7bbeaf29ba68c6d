"""What the online store says of itself: schema documents and layouts, in two Redis hashes (see `keys`).

A schema document is the view as of the last `feast apply`: join keys, columns, TTL, fingerprint. Layouts are only ever
added, one for each fingerprint that rows may carry, until the view is deleted.
"""

from collections.abc import Mapping

import msgspec

from inference.features import ViewSchema
from online_features.layout import Layout

__all__ = ["SchemaDocument", "decode_columns", "decode_documents", "decode_layouts", "encode_columns", "layout_field"]


class SchemaDocument(msgspec.Struct, frozen=True):
    """One view, as stored (JSON)."""

    view: str
    join_keys: tuple[str, ...]
    """Sorted; `()` for a view without entities."""
    columns: tuple[tuple[str, str], ...]
    """(feature, Feast value type name) in the view's order."""
    ttl_seconds: float | None
    """None: rows never grow stale."""
    fingerprint: str
    format: int = 1

    def encode(self) -> bytes:
        """As stored."""
        return msgspec.json.encode(self)

    def view_schema(self) -> ViewSchema:
        """As the data plane sees it."""
        return ViewSchema(
            name=self.view,
            join_keys=self.join_keys,
            columns=dict(self.columns),
            ttl_seconds=self.ttl_seconds,
            fingerprint=self.fingerprint,
        )


def layout_field(view: str, fingerprint: str) -> str:
    """Field of the layouts hash."""
    return f"{view}/{fingerprint}"


def encode_columns(layout: Layout) -> bytes:
    """Value of the layouts hash."""
    return msgspec.json.encode([(column.name, column.type) for column in layout.columns])


def decode_columns(raw: bytes) -> Layout:
    """The layout that a value of the layouts hash stands for."""
    return Layout.of(msgspec.json.decode(raw, type=list[tuple[str, str]]))


def decode_documents(raw: Mapping[bytes, bytes]) -> dict[str, SchemaDocument]:
    """The schemas hash by view."""
    return {view.decode(): msgspec.json.decode(document, type=SchemaDocument) for view, document in raw.items()}


def decode_layouts(raw: Mapping[bytes, bytes]) -> dict[str, dict[int, Layout]]:
    """The layouts hash by view and head of row."""
    layouts: dict[str, dict[int, Layout]] = {}
    for name, columns in raw.items():
        layout = decode_columns(columns)
        layouts.setdefault(name.decode().rsplit("/", 1)[0], {})[layout.head] = layout
    return layouts
