"""What a Feast feature view means to the store: its columns, join keys, TTL and stored name."""

from typing import Any

from feast import RepoConfig
from feast.feature_view import DUMMY_ENTITY_ID
from feast.infra.online_stores.helpers import compute_versioned_name

from online_features.layout import Layout
from online_features.packing import RowSource
from online_features.protos import type_name
from online_features.schema_documents import SchemaDocument

__all__ = ["document_of", "is_stored", "join_keys_of", "layout_of", "row_source_of", "stored_name"]

# Feast's views share no public type: feature views, stream feature views, on-demand feature views that are written.
View = Any


def columns_of(view: View) -> tuple[tuple[str, str], ...]:
    """(feature, value type name) in the view's order."""
    return tuple((field.name, type_name(field.dtype.to_value_type())) for field in view.features)


def layout_of(view: View) -> Layout:
    """How the view's rows are packed now."""
    return Layout.of(columns_of(view))


def join_keys_of(view: View) -> tuple[str, ...]:
    """Sorted; empty for a view without entities."""
    keys = sorted(column.name for column in view.entity_columns)
    return () if keys == [DUMMY_ENTITY_ID] else tuple(keys)


def stored_name(config: RepoConfig, view: View) -> str:
    """The view's name, with its version where Feast's registry keeps versions apart online."""
    return str(compute_versioned_name(view, config.registry.enable_online_feature_view_versioning))


def is_stored(view: View) -> bool:
    """Whether the view has rows of its own online."""
    return bool(getattr(view, "online", True)) and bool(getattr(view, "write_to_online_store", True))


def document_of(config: RepoConfig, view: View) -> SchemaDocument:
    """The view's schema document."""
    ttl = getattr(view, "ttl", None)
    return SchemaDocument(
        view=stored_name(config, view),
        join_keys=join_keys_of(view),
        columns=columns_of(view),
        # Feast: no TTL and a TTL of zero both mean that rows never grow stale.
        ttl_seconds=ttl.total_seconds() if ttl else None,
        fingerprint=layout_of(view).fingerprint,
    )


def row_source_of(view: View) -> RowSource:
    """The columns of the view's materialised table, after Feast has mapped fields."""
    source = view.batch_source
    mapping = source.field_mapping or {}
    created = source.created_timestamp_column
    return RowSource(
        join_keys=join_keys_of(view),
        event_timestamp=mapping.get(source.timestamp_field, source.timestamp_field),
        created_timestamp=mapping.get(created, created) if created else None,
        nan_is_null=True,
    )
