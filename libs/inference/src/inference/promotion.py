"""What became of each move of an alias, as the processes of a service saw it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from inference.errors import RefusalCode

__all__ = ["UNKNOWN", "Outcome", "Promotion", "PromotionListener", "merge"]

Outcome = Literal["live", "refused", "rolled_back"]
UNKNOWN = "unknown"
_SAME_SECONDS = 600.0
"""Processes of a service see a move within a poll of each other; a replica that was away may take longer."""


class Promotion(msgspec.Struct, frozen=True):
    """One move of an alias, as this service saw it."""

    at: datetime
    """When the outcome was known here; the registry does not keep when an alias moved."""
    model: str
    alias: str
    from_version: str | None
    """What served before; None at a first start."""
    to_version: str
    """What the alias points to."""
    outcome: Outcome
    """`live`: it serves. `refused`: it stayed out. `rolled_back`: it served, and `from_version` serves again."""
    code: RefusalCode | None = None
    reason: str = ""
    moved_by: str = UNKNOWN
    """From the version's tag `promoted_by`; MLflow itself does not keep who moves an alias."""
    registered_by: str = UNKNOWN
    """The version's user in MLflow."""
    from_metrics: dict[str, float] | None = None
    """Evaluation figures of the contract, for the version before and the new one; None where it was not read."""
    to_metrics: dict[str, float] | None = None
    seen_by: tuple[str, ...] = ()
    """Processes that told it, the first one first."""

    @property
    def id(self) -> str:
        """Names the move; ids of one model rise with the time."""
        microseconds = round((self.at - _EPOCH).total_seconds() * 1e6)
        return f"{microseconds:016x}-{self.seen_by[0] if self.seen_by else ''}"


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PromotionListener = Callable[[Promotion], None]
"""Is told of each move on the event loop; must be quick."""


def merge(told: Sequence[Promotion]) -> list[Promotion]:
    """Make one of what several processes told of one move; oldest first.

    A process tells each of its moves once, so what it tells again is another move. One that missed a move between
    tells another one than the rest.
    """
    moves: list[Promotion] = []
    recent: dict[tuple[str, str | None, str, str], list[int]] = {}
    for one in sorted(told, key=lambda each: each.at):
        places = recent.setdefault((one.alias, one.from_version, one.to_version, one.outcome), [])
        while places and (one.at - moves[places[0]].at).total_seconds() > _SAME_SECONDS:
            places.pop(0)
        place = next((each for each in places if _is_same(moves[each], one)), None)
        if place is None:
            places.append(len(moves))
            moves.append(one)
            continue
        known = moves[place]
        # The process that found the reason knows more than those that follow it.
        better = one if known.code is RefusalCode.ROLLED_BACK_ELSEWHERE else known
        moves[place] = msgspec.structs.replace(better, at=known.at, seen_by=known.seen_by + one.seen_by)
    return moves


def _is_same(known: Promotion, one: Promotion) -> bool:
    codes = {known.code, one.code} - {RefusalCode.ROLLED_BACK_ELSEWHERE}
    return len(codes) <= 1 and bool(one.seen_by) and not {*known.seen_by} & {*one.seen_by}
