"""Reads a contract and holds it to its own rules, and to the online store's schemas."""

import math
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from inference.contract import CONTRACT_VERSION, Contract, FeatureSpec, ReferenceBins
from inference.errors import ContractError, RefusalCode
from inference.features import ViewSchema

__all__ = ["check_contract", "check_schemas", "encode_contract", "read_contract"]

_NUMBERS: Final = frozenset({"Double", "Float", "Int64", "Int32"})
_STORE_TYPES: Final[Mapping[str, Collection[str]]] = {
    "float": _NUMBERS,
    "int": _NUMBERS,
    "bool": _NUMBERS | {"Bool"},
    "category": _NUMBERS | {"String"},
    "timestamp": {"UnixTimestamp", "Int64"},
}
"""Which Feast value types may stand behind a contract's type."""


def read_contract(content: bytes) -> Contract:
    """Parse and check `contract.json`. Raises `ContractError` with the exact reason."""
    try:
        contract = msgspec.json.decode(content, type=Contract)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError(f"the contract cannot be read: {error}") from error
    check_contract(contract)
    return contract


def encode_contract(contract: Contract) -> bytes:
    """Give the bytes of `contract.json`, indented for people. Raises `ContractError` on one that contradicts itself."""
    check_contract(contract)
    return msgspec.json.format(msgspec.json.encode(contract), indent=1)


def check_contract(contract: Contract) -> None:
    """Raise `ContractError` where a contract contradicts itself."""
    if contract.contract_version != CONTRACT_VERSION:
        raise ContractError(f"contract version {contract.contract_version}; this reader knows {CONTRACT_VERSION}")
    if not contract.entities:
        raise ContractError("the contract names no entity")
    if not contract.inputs:
        raise ContractError("no feature is a model input")
    _check_names(contract)
    _check_on_demand(contract)
    for feature in contract.features:
        _check_feature(feature)
    if contract.output.bins is not None:
        _check_bins("output", contract.output.bins, contract.output.bins.edges)
    _check_golden(contract)


def check_schemas(contract: Contract, schemas: Mapping[str, ViewSchema]) -> None:
    """Raise `ContractError` where the online store as it stands cannot give what the contract reads."""
    for feature in contract.stored:
        mismatch = _mismatch(contract, feature, schemas)
        if mismatch is not None:
            raise ContractError(f"feature {feature.name}: {mismatch}", RefusalCode.SCHEMA_MISMATCH)


def _mismatch(contract: Contract, feature: FeatureSpec, schemas: Mapping[str, ViewSchema]) -> str | None:
    view_name, _, column = feature.reference.partition(":")
    view = schemas.get(view_name)
    if view is None:
        return f"the online store has no view {view_name}"
    if column not in view.columns:
        return f"view {view_name} has no column {column}"
    if view.columns[column] not in _STORE_TYPES[feature.dtype]:
        return (
            f"{view_name}:{column} is {view.columns[column]} in the online store, "
            f"which cannot be read as {feature.dtype}"
        )
    unknown = set(view.join_keys) - set(contract.entities)
    if unknown:
        return f"view {view_name} is joined by {sorted(unknown)}"
    return None


def _check_names(contract: Contract) -> None:
    names = [feature.name for feature in contract.features]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ContractError(f"features named twice: {sorted(twice)}")
    sources = [feature.source for feature in contract.features]
    if sources != sorted(sources, key=("stored", "on_demand").index):
        raise ContractError("stored features must stand before on-demand features")


def _check_on_demand(contract: Contract) -> None:
    stored = {feature.name for feature in contract.stored}
    computed = {feature.name for feature in contract.features} - stored
    outputs: set[str] = set()
    for view in contract.on_demand:
        missing = set(view.inputs) - stored
        if missing:
            raise ContractError(f"on-demand view {view.view}: inputs that are no stored features: {sorted(missing)}")
        unknown = set(view.outputs) - computed
        if unknown:
            raise ContractError(f"on-demand view {view.view}: outputs that are no features: {sorted(unknown)}")
        if outputs & set(view.outputs):
            raise ContractError(f"on-demand view {view.view}: outputs of another view too")
        outputs |= set(view.outputs)
    if computed - outputs:
        raise ContractError(f"on-demand features that no view computes: {sorted(computed - outputs)}")


def _check_feature(feature: FeatureSpec) -> None:
    where = f"feature {feature.name}"
    view, separator, column = feature.reference.partition(":")
    if not (view and separator and column):
        raise ContractError(f"{where}: the reference must be view:feature")
    if (feature.dtype == "category") != bool(feature.categories):
        raise ContractError(f"{where}: categories belong to the type category, and to no other")
    if len(set(feature.categories)) != len(feature.categories):
        raise ContractError(f"{where}: a category stands twice")
    if feature.minimum is not None and feature.maximum is not None and feature.minimum > feature.maximum:
        raise ContractError(f"{where}: the minimum is above the maximum")
    if feature.bins is not None:
        _check_bins(where, feature.bins, feature.categories or feature.bins.edges)


def _check_bins(where: str, bins: ReferenceBins, steps: Collection[object]) -> None:
    categorical = not bins.edges and bool(steps)
    # k edges make k + 1 bins, k categories k; one more counts missing values.
    expected = len(steps) + (1 if categorical else 2)
    if len(bins.shares) != expected:
        raise ContractError(f"{where}: {len(bins.shares)} reference shares for {expected} bins")
    if list(bins.edges) != sorted(bins.edges):
        raise ContractError(f"{where}: the edges of the reference bins do not rise")
    if bins.rows <= 0 or not math.isclose(sum(bins.shares), 1.0, abs_tol=1e-6):
        raise ContractError(f"{where}: reference shares must add up to 1 over at least one row")


def _check_golden(contract: Contract) -> None:
    golden, columns = contract.golden, len(contract.inputs)
    if not golden.inputs:
        raise ContractError("the contract has no golden rows")
    if len(golden.raw) != len(golden.inputs):
        raise ContractError(f"{len(golden.inputs)} golden rows with {len(golden.raw)} expected outputs")
    widths = {len(row) for row in golden.inputs}
    if widths != {columns}:
        raise ContractError(f"golden rows of {sorted(widths)} values for {columns} model inputs")
