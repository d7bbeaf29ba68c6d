"""Calls that wait for their rows, and the batch that they make together."""

import asyncio
from collections.abc import Mapping, Sequence

from inference.assembly import Override
from inference.errors import ContractViolationError
from inference.model import ModelVersion
from inference.scored import ScoredRows
from inference.values import encode_overrides

__all__ = ["Call", "check_keys", "count_rows", "fail", "merge"]


class Call:
    """A caller that waits for its rows."""

    __slots__ = ("answer", "keys", "overrides", "rows")

    def __init__(
        self,
        keys: Mapping[str, Sequence[str]],
        rows: int,
        overrides: Mapping[str, object] | None,
        answer: asyncio.Future[ScoredRows],
    ) -> None:
        self.keys = keys
        self.rows = rows
        self.overrides = overrides
        self.answer = answer


def count_rows(keys: Mapping[str, Sequence[str]]) -> int:
    """Give the number of ids, which must be the same for each join key."""
    counts = {len(ids) for ids in keys.values()}
    if len(counts) != 1:
        raise ValueError("keys must map each join key to the same number of ids")
    return counts.pop()


def check_keys(version: ModelVersion, keys: Mapping[str, Sequence[str]]) -> None:
    """Raise `ContractViolationError` where the keys are not the version's join keys."""
    for entity in version.contract.entities:
        if entity not in keys:
            raise ContractViolationError(entity, "is a join key of this model, and must be given")
    if len(keys) != len(version.contract.entities):
        raise ContractViolationError("keys", "hold more than the join keys of this model")


def merge(
    version: ModelVersion, calls: Sequence[Call]
) -> tuple[list[Call], Mapping[str, Sequence[str]], list[Override]]:
    """Join calls into one batch; a call that the contract forbids is answered so, and left out."""
    accepted: list[Call] = []
    overrides: list[Override] = []
    start = 0
    for call in calls:
        try:
            check_keys(version, call.keys)
            if call.overrides:
                values = encode_overrides(version.contract, call.overrides)
                overrides.append(Override(start, start + call.rows, values))
        except ContractViolationError as error:
            fail([call], error)
            continue
        accepted.append(call)
        start += call.rows
    if len(accepted) == 1:
        return accepted, accepted[0].keys, overrides
    keys = {key: [identity for call in accepted for identity in call.keys[key]] for key in version.contract.entities}
    return accepted, keys, overrides


def fail(calls: Sequence[Call], error: BaseException) -> None:
    """Give the error to those that still wait; what is no `Exception` cancels them."""
    for call in calls:
        if not call.answer.done():
            if isinstance(error, Exception):
                call.answer.set_exception(error)
            else:
                call.answer.cancel()
