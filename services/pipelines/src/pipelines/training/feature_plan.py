"""From a Feast feature service and a declaration to the features of a contract."""

import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.contract import FeatureSpec, OnDemandSpec, ValueType
from pipelines.training.declaration import FeatureHint, ModelDeclaration, OnDemandFunction
from pipelines.training.errors import FeatureError, ProhibitedFeatureError

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["FeaturePlan", "StoredView", "plan_features"]

_VALUE_TYPES: Mapping[str, ValueType] = {
    "Float32": "float",
    "Float64": "float",
    "Int32": "int",
    "Int64": "int",
    "Bool": "bool",
    "String": "category",
    "UnixTimestamp": "timestamp",
}


@dataclass(frozen=True, slots=True)
class StoredView:
    """A feature view that the plan reads."""

    name: str
    join_keys: tuple[str, ...]
    path: str
    """Parquet file, directory or glob of its source; empty where the source is no file."""
    timestamp_field: str
    created_field: str


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """Features of a contract before training: no bins yet, categories empty where the data must say them."""

    stored: tuple[FeatureSpec, ...]
    computed: tuple[FeatureSpec, ...]
    on_demand: tuple[OnDemandSpec, ...]
    views: tuple[StoredView, ...]

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """Stored features first, as in the contract."""
        return (*self.stored, *self.computed)


def plan_features(store: "FeatureStore", declaration: ModelDeclaration) -> FeaturePlan:
    """Read the feature service; inputs of on-demand views that it does not list are added, not as model inputs.

    Raises:
        ProhibitedFeatureError: a feature is tagged `prohibited` or bears the name of a prohibited attribute.
        FeatureError: a type that no matrix holds, or an on-demand view without its function.
    """
    service = store.get_feature_service(declaration.feature_service)
    on_demand_views = {view.name: view for view in store.list_on_demand_feature_views()}
    fields: dict[tuple[str, str], Any] = {}
    functions: list[tuple[OnDemandFunction, Any]] = []
    for projection in service.feature_view_projections:
        if projection.name in on_demand_views:
            found = _function_of(on_demand_views[projection.name], declaration)
            if found is not None:
                functions.append((found, projection))
        else:
            fields |= {(projection.name, feature.name): feature for feature in projection.features}
    served = set(fields)
    for function, projection in functions:
        fields |= _missing_inputs(function, on_demand_views[projection.name], fields)
    _refuse_prohibited(fields.values(), declaration)

    stored = tuple(_stored_spec(key, fields[key], declaration, served=key in served) for key in fields)
    names = [feature.name for feature in stored]
    if len(set(names)) != len(names):
        raise FeatureError(f"{declaration.name}: two views give a feature of one name: {sorted(names)}")
    computed = tuple(
        _spec(f"{function.view}:{feature.name}", feature, declaration, source="on_demand")
        for function, projection in functions
        for feature in projection.features
    )
    specs = tuple(
        OnDemandSpec(
            view=function.view,
            function=function.function,
            inputs=function.inputs,
            outputs=tuple(feature.name for feature in projection.features),
        )
        for function, projection in functions
    )
    views = tuple(_view(store, name) for name in dict.fromkeys(view for view, _ in fields))
    return FeaturePlan(stored=stored, computed=computed, on_demand=specs, views=views)


def _function_of(view: Any, declaration: ModelDeclaration) -> OnDemandFunction | None:
    for function in declaration.on_demand:
        if function.view == view.name:
            return function
    if not view.source_feature_view_projections:
        return None  # a request source only: the service computes it before it asks the model
    tags = view.tags or {}
    if "function" not in tags or "inputs" not in tags:
        raise FeatureError(f"on-demand view {view.name}: tags `function` and `inputs` must name what the service calls")
    inputs = tuple(name.strip() for name in tags["inputs"].split(",") if name.strip())
    return OnDemandFunction(view=view.name, function=tags["function"], inputs=inputs)


def _missing_inputs(function: OnDemandFunction, view: Any, known: Mapping[tuple[str, str], Any]) -> dict[Any, Any]:
    have = {name for _, name in known}
    sources = {
        field.name: (projection.name, field)
        for projection in view.source_feature_view_projections.values()
        for field in projection.features
    }
    added: dict[tuple[str, str], Any] = {}
    for name in function.inputs:
        if name in have:
            continue
        if name not in sources:
            raise FeatureError(f"on-demand view {function.view}: input {name} is in none of its source views")
        source, field = sources[name]
        added[source, name] = field
    return added


def _refuse_prohibited(fields: Iterable[Any], declaration: ModelDeclaration) -> None:
    for field in fields:
        tagged = (field.tags or {}).get("prohibited", "").lower() in {"true", "1", "yes"}
        if tagged or field.name.lower() in declaration.prohibited:
            raise ProhibitedFeatureError(f"{declaration.name}: feature {field.name} must not be used by any model")


def _stored_spec(key: tuple[str, str], field: Any, declaration: ModelDeclaration, *, served: bool) -> FeatureSpec:
    return _spec(f"{key[0]}:{key[1]}", field, declaration, source="stored", served=served)


def _spec(
    reference: str, field: Any, declaration: ModelDeclaration, *, source: Any, served: bool = True
) -> FeatureSpec:
    tags: Mapping[str, str] = field.tags or {}
    hint = declaration.hints.get(field.name, FeatureHint())
    dtype = _VALUE_TYPES.get(type(field.dtype).__name__) or _VALUE_TYPES.get(str(field.dtype))
    if dtype is None:
        raise FeatureError(f"feature {reference}: {field.dtype} is no scalar that a model can eat")
    model_input = tags.get("model_input", "true").lower() != "false" if hint.model_input is None else hint.model_input
    unit = hint.unit if hint.unit is not None else tags.get("unit", "")
    minimum, maximum = _bounds(hint, tags, declaration.unit_bounds.get(unit, (None, None)))
    return FeatureSpec(
        name=field.name,
        reference=reference,
        source=source,
        dtype=dtype,
        unit=unit,
        categories=hint.categories if hint.categories is not None else _words(tags.get("categories", "")),
        required=hint.required if hint.required is not None else tags.get("required", "").lower() == "true",
        default=hint.default,
        minimum=minimum,
        maximum=maximum,
        model_input=model_input and served,
    )


def _bounds(
    hint: FeatureHint, tags: Mapping[str, str], of_unit: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    low = next((value for value in (hint.minimum, _number(tags.get("minimum")), of_unit[0]) if value is not None), None)
    high = next(
        (value for value in (hint.maximum, _number(tags.get("maximum")), of_unit[1]) if value is not None), None
    )
    return low, high


def _words(tag: str) -> tuple[str, ...]:
    """Read `module:ATTRIBUTE` or a JSON list of words."""
    if not tag:
        return ()
    if tag.startswith("["):
        return tuple(str(word) for word in json.loads(tag))
    module, _, attribute = tag.partition(":")
    if not attribute:
        raise FeatureError(f"tag categories={tag!r} is neither module:ATTRIBUTE nor a JSON list")
    return tuple(str(word) for word in getattr(importlib.import_module(module), attribute))


def _number(tag: str | None) -> float | None:
    return float(tag) if tag else None


def _view(store: "FeatureStore", name: str) -> StoredView:
    view = store.get_feature_view(name)
    source = view.batch_source
    return StoredView(
        name=name,
        join_keys=tuple(column.name for column in view.entity_columns),
        path=getattr(source, "path", "") or "",
        timestamp_field=source.timestamp_field,
        created_field=source.created_timestamp_column or "",
    )
