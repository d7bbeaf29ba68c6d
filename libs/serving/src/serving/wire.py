"""The JSON of scoring, as typed structs: what stands in OpenAPI is what is decoded and encoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from serving.service import Service

__all__ = ["EntityId", "Explanation", "FeaturesUsed", "ModelUsed", "Override", "RowStatus", "Wire", "wire_of"]

EntityId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Override = float | int | str | bool | None
RowStatus = Literal["ok", "not_found", "degraded"]


class ModelUsed(msgspec.Struct, frozen=True):
    """The model version that scored."""

    name: str
    version: str
    alias: str


class FeaturesUsed(msgspec.Struct, frozen=True):
    """What the score was made of."""

    as_of: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})] | None
    """Oldest event time of the features used; null if there were none."""
    missing: tuple[str, ...]
    """Features without a value."""
    stale: tuple[str, ...]
    """Features whose value is older than its view's time to live, and was not used."""


class Explanation(msgspec.Struct, frozen=True):
    """How the booster's raw output comes about: `base` plus all contributions (SHAP values)."""

    base: float
    contributions: dict[str, float]


@dataclass(frozen=True, slots=True)
class Wire:
    """The structs of one service."""

    entities: tuple[str, ...]
    score_request: type[msgspec.Struct]
    score_answer: type[msgspec.Struct]
    bulk_request: type[msgspec.Struct]
    bulk_answer: type[msgspec.Struct]
    bulk_row: type[msgspec.Struct]
    entity_keys: type[msgspec.Struct]
    """A line of an NDJSON bulk request."""
    prediction: type[msgspec.Struct]
    prediction_fields: tuple[str, ...]
    keys_of: Callable[[Any], dict[str, Sequence[str]]]
    """Join keys of a decoded bulk request, by name."""


def wire_of(service: Service) -> Wire:
    """Build the structs of a service from its declaration."""
    keys = [(entity, EntityId) for entity in service.entities]
    bulk_row = msgspec.defstruct(
        "BulkRow",
        [
            ("prediction_id", str | None),
            *keys,
            ("status", RowStatus),
            ("prediction", service.prediction | None),
            ("features", FeaturesUsed | None),
        ],
        frozen=True,
    )
    pair = msgspec.defstruct("EntityKeys", keys, frozen=True, forbid_unknown_fields=True)
    single = len(service.entities) == 1
    return Wire(
        entities=service.entities,
        score_request=msgspec.defstruct(
            "ScoreRequest",
            [*keys, ("explain", bool, False), ("features", dict[str, Override], msgspec.field(default_factory=dict))],
            frozen=True,
            forbid_unknown_fields=True,
        ),
        score_answer=msgspec.defstruct(
            "ScoreAnswer",
            [
                ("prediction_id", str),
                *keys,
                ("prediction", service.prediction),
                ("model", ModelUsed),
                ("features", FeaturesUsed),
                ("degraded", bool),
                ("explanation", Explanation | None),
            ],
            frozen=True,
        ),
        bulk_request=msgspec.defstruct(
            "BulkRequest",
            [(service.bulk_key, list[EntityId] if single else list[pair])],  # type: ignore[valid-type]  # a struct made here
            frozen=True,
            forbid_unknown_fields=True,
        ),
        bulk_answer=msgspec.defstruct(
            "BulkAnswer",
            [("model", ModelUsed), ("rows", list[bulk_row])],  # type: ignore[valid-type]  # a struct made here
            frozen=True,
        ),
        bulk_row=bulk_row,
        entity_keys=pair,
        prediction=service.prediction,
        prediction_fields=service.prediction.__struct_fields__,
        keys_of=_ids_of(service) if single else _pairs_of(service),
    )


def _ids_of(service: Service) -> Callable[[Any], dict[str, Sequence[str]]]:
    (entity,) = service.entities

    def keys_of(request: Any) -> dict[str, Sequence[str]]:
        return {entity: getattr(request, service.bulk_key)}

    return keys_of


def _pairs_of(service: Service) -> Callable[[Any], dict[str, Sequence[str]]]:
    def keys_of(request: Any) -> dict[str, Sequence[str]]:
        pairs = getattr(request, service.bulk_key)
        return {entity: [getattr(pair, entity) for pair in pairs] for entity in service.entities}

    return keys_of
