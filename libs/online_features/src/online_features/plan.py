"""What to read for a contract and where each value goes: made once, used at each read."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.contract import Contract, FeatureSpec
from online_features.decode import ViewDecoder
from online_features.keys import netstring, view_key_prefix
from online_features.layout import Layout
from online_features.schema_documents import SchemaDocument

__all__ = ["EntityPlan", "ReadPlan", "ViewPlan", "contract_views"]


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """One feature view of the contract."""

    prefix: str
    """Of its keys."""
    columns: slice
    """Its columns in the entity's block."""
    ttl_us: int
    """0: rows never grow stale."""
    current: ViewDecoder
    decoders: Mapping[int, ViewDecoder]
    """By head of row, older layouts included."""


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """All views that share their join keys: their rows are read by the same ids."""

    join_keys: tuple[str, ...]
    views: tuple[ViewPlan, ...]
    columns: slice
    """Columns of its block in the read order."""

    def entities(self, keys: Mapping[str, Sequence[str]], n: int) -> Sequence[str]:
        """The entity part of the keys of n rows. Raises ValueError if a join key is missing."""
        if not self.join_keys:
            return [""] * n
        missing = [key for key in self.join_keys if key not in keys]
        if missing:
            raise ValueError(f"join keys {missing} are needed")
        if len(self.join_keys) == 1:
            return keys[self.join_keys[0]]
        values = zip(*(keys[key] for key in self.join_keys), strict=True)
        return ["".join(map(netstring, entity)) for entity in values]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A contract against the store's documents."""

    width: int
    """Stored features of the contract."""
    entities: tuple[EntityPlan, ...]
    order: NDArray[np.intp] | None
    """Read order to contract order, None if they are the same."""
    packer: struct.Struct
    """A row of `width` doubles."""
    unknown_views: tuple[str, ...]
    """Views of the contract that the store does not know: their values are missing and no row is found."""

    @classmethod
    def of(
        cls,
        contract: Contract,
        project: str,
        documents: Mapping[str, SchemaDocument],
        layouts: Mapping[str, Mapping[int, Layout]],
    ) -> "ReadPlan":
        """Plan the reads of a contract."""
        wanted = _wanted(contract)
        by_keys: dict[tuple[str, ...], list[str]] = {}
        for view in wanted:
            if view in documents:
                by_keys.setdefault(documents[view].join_keys, []).append(view)
        entities: list[EntityPlan] = []
        positions: list[int] = []
        for join_keys, views in by_keys.items():
            start = len(positions)
            plans = []
            for view in views:
                features = wanted[view]
                first = len(positions) - start
                positions += [position for position, _, _ in features]
                columns = slice(first, first + len(features))
                pairs = [(name, spec) for _, name, spec in features]
                plans.append(_view_plan(project, documents[view], layouts.get(view, {}), columns, pairs))
            entities.append(EntityPlan(join_keys, tuple(plans), slice(start, len(positions))))
        unknown = tuple(view for view in wanted if view not in documents)
        positions += [position for view in unknown for position, _, _ in wanted[view]]
        in_order = positions == list(range(len(positions)))
        return cls(
            width=len(positions),
            entities=tuple(entities),
            order=None if in_order else np.argsort(np.array(positions, dtype=np.intp)),
            packer=struct.Struct(f"={len(positions)}d"),
            unknown_views=unknown,
        )


def contract_views(contract: Contract) -> tuple[str, ...]:
    """Feature views of the contract's stored features."""
    return tuple(_wanted(contract))


def _wanted(contract: Contract) -> dict[str, list[tuple[int, str, FeatureSpec]]]:
    """By view: (position among the stored features, feature, specification)."""
    wanted: dict[str, list[tuple[int, str, FeatureSpec]]] = {}
    stored = (spec for spec in contract.features if spec.source == "stored")
    for position, spec in enumerate(stored):
        view, _, feature = spec.reference.partition(":")
        wanted.setdefault(view, []).append((position, feature, spec))
    return wanted


def _view_plan(
    project: str,
    document: SchemaDocument,
    layouts: Mapping[int, Layout],
    columns: slice,
    wanted: Sequence[tuple[str, FeatureSpec]],
) -> ViewPlan:
    current = ViewDecoder.of(Layout.of(document.columns), wanted)
    decoders = {head: ViewDecoder.of(layout, wanted) for head, layout in layouts.items()}
    decoders[current.layout.head] = current
    return ViewPlan(
        prefix=view_key_prefix(project, document.view),
        columns=columns,
        ttl_us=round((document.ttl_seconds or 0) * 1_000_000),
        current=current,
        decoders=decoders,
    )
