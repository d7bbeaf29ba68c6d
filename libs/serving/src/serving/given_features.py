"""Rows whose features the caller gives by name: which of the model's columns are wanting."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from inference import Contract

__all__ = ["columns_to_score", "named", "wanting_columns"]

T = TypeVar("T")


def wanting_columns(contract: Contract, given: Collection[str]) -> list[str]:
    """Name the model's columns that are neither given nor computed from what is given.

    An on-demand view is computed where all of its inputs and none of its outputs are given.
    """
    computed: set[str] = set()
    for view in contract.on_demand:
        if all(name in given for name in view.inputs) and not any(name in given for name in view.outputs):
            computed.update(view.outputs)
    return [one.name for one in contract.inputs if one.name not in given and one.name not in computed]


def columns_to_score(contract: Contract, given: Mapping[str, T]) -> dict[str, T]:
    """Keep of what is given the features of the contract."""
    return {name: column for name, column in given.items() if name in contract.position}


def named(names: Sequence[str], shown: int = 10) -> str:
    """List some names for a message."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
