"""No feature service may reach an attribute that the law keeps out (職業安定法 5条の5, 告示141号).

A service is refused if one of its features is named or tagged as prohibited, or if a prohibited source column flows
into it through the SQL of the warehouse, be it into the value or into a condition on the way.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from marketplace.tables import PROHIBITED
from pipelines.warehouse.lineage_file import CONDITIONS, LINEAGE_FILE

__all__ = ["ProhibitedFeatureError", "prohibited_features", "refuse_prohibited"]

TAG = "prohibited"
"""A field or feature view with this tag must not be used."""


class ProhibitedFeatureError(Exception):
    """A feature service reaches a prohibited attribute; the message says which service, feature and column."""


def refuse_prohibited(services: Iterable[Any], warehouse: Path) -> None:
    """Raise ProhibitedFeatureError if one of the Feast feature services reaches a prohibited attribute.

    `warehouse` is the folder with the lineage file; before the first build only names and tags are checked.
    """
    file = warehouse / LINEAGE_FILE
    lineage = json.loads(file.read_text()) if file.exists() else {}
    found = [
        f"{service.name} reaches {reason}"
        for service in services
        for reason in prohibited_features(service.feature_view_projections, lineage)
    ]
    if found:
        raise ProhibitedFeatureError("; ".join(found))


def prohibited_features(
    projections: Iterable[Any], lineage: Mapping[str, Mapping[str, Sequence[str]]]
) -> Iterator[str]:
    """Yield `view:feature (why)` for each feature of Feast's projections that is prohibited."""
    for projection in projections:
        columns = lineage.get(projection.name, {})
        for field in projection.features:
            name = f"{projection.name}:{field.name}"
            if field.name in PROHIBITED:
                yield f"{name} (by name)"
            if TAG in (field.tags or {}):
                yield f"{name} (tagged)"
            for source in columns.get(field.name, ()):
                if source.rpartition(".")[2] in PROHIBITED:
                    yield f"{name} (from {source})"
        for source in columns.get(CONDITIONS, ()):
            if source.rpartition(".")[2] in PROHIBITED:
                yield f"{projection.name} (conditions on {source})"
