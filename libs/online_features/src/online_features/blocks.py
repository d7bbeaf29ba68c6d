"""From an MGET's reply to `FeatureRows`."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.features import CellStatus, FeatureRows
from online_features.decode import ViewDecoder
from online_features.few_rows import FEW, decode_few
from online_features.plan import EntityPlan, ReadPlan, ViewPlan

__all__ = ["RowsBuilder", "UnknownLayoutError"]

_NEVER = np.iinfo(np.int64).max


class UnknownLayoutError(Exception):
    """A row carries a fingerprint that the plan does not know."""


class _Block:
    """Rows of the distinct entities of one entity plan."""

    __slots__ = ("as_of", "found", "matrix", "stale")

    def __init__(self, n: int, width: int) -> None:
        # Not filled: hardly a value is missing, and whoever has none to write writes NaN.
        self.matrix = np.empty((n, width))
        self.found = np.zeros(n, dtype=np.bool_)
        self.as_of = np.full(n, _NEVER, dtype=np.int64)
        self.stale: list[tuple[slice, NDArray[np.bool_]]] = []
        """(columns, (n,) rows) whose values are older than their view's TTL."""


class RowsBuilder:
    """One read: which ids to ask for, and how the values become rows."""

    __slots__ = ("_distinct", "_lenient", "_n", "_now_us", "_plan")

    def __init__(self, plan: ReadPlan, n: int, *, lenient: bool) -> None:
        self._plan = plan
        self._n = n
        self._lenient = lenient
        self._now_us = time.time_ns() // 1000
        self._distinct: list[tuple[Sequence[str], NDArray[np.intp] | None]] = []

    def ids(self, keys: Mapping[str, Sequence[str]]) -> list[Sequence[str]]:
        """Distinct entity keys for each entity plan; an id that repeats is read once."""
        for entity in self._plan.entities:
            ids = entity.entities(keys, self._n)
            if len(ids) != self._n:
                raise ValueError("join keys have different numbers of ids")
            places: dict[str, int] = {}
            if len(ids) == 1 or len(set(ids)) == len(ids):
                self._distinct.append((ids, None))
            else:
                inverse = np.array([places.setdefault(id_, len(places)) for id_ in ids], dtype=np.intp)
                self._distinct.append((list(places), inverse))
        return [ids for ids, _ in self._distinct]

    def rows(self, values: Sequence[bytes | None]) -> FeatureRows:
        """`values` are those of each entity plan's views by ids, in the order of `ids`."""
        n, plan = self._n, self._plan
        if 0 < n <= FEW and not plan.unknown_views:
            few = decode_few(plan, self._distinct, values, n, self._now_us)
            if few is not None:
                return few
        blocks: list[_Block] = []
        start = 0
        for entity, (ids, inverse) in zip(plan.entities, self._distinct, strict=True):
            stop = start + len(ids) * len(entity.views)
            block = self._block(entity, values[start:stop], len(ids))
            blocks.append(block if inverse is None else _scatter(block, inverse))
            start = stop
        if len(blocks) == 1 and not plan.unknown_views:
            matrix, found, as_of = blocks[0].matrix, blocks[0].found, blocks[0].as_of
        else:
            matrix = np.full((n, plan.width), np.nan)
            found = np.full(n, bool(blocks) and not plan.unknown_views)
            as_of = np.full(n, _NEVER, dtype=np.int64)
            for entity, block in zip(plan.entities, blocks, strict=True):
                matrix[:, entity.columns] = block.matrix
                found &= block.found
                np.minimum(as_of, block.as_of, out=as_of)
        status = np.isnan(matrix).view(np.uint8)
        for entity, block in zip(plan.entities, blocks, strict=True):
            for columns, rows in block.stale:
                first = entity.columns.start
                status[rows, first + columns.start : first + columns.stop] = CellStatus.STALE
        as_of[as_of == _NEVER] = 0
        if plan.order is not None:
            matrix, status = matrix[:, plan.order], status[:, plan.order]
            matrix, status = np.ascontiguousarray(matrix), np.ascontiguousarray(status)
        return FeatureRows(matrix=matrix, status=status, found=found, as_of_us=as_of)

    def _block(self, entity: EntityPlan, values: Sequence[bytes | None], n: int) -> _Block:
        width = entity.columns.stop - entity.columns.start
        block = _Block(n, width)
        for number, view in enumerate(entity.views if n else ()):
            mine = values[number * n : (number + 1) * n]
            if None in mine:
                block.matrix[:, view.columns] = np.nan
                present = [value for value in mine if value is not None]
                if not present:
                    continue
                places = np.fromiter((i for i, value in enumerate(mine) if value is not None), np.intp, len(present))
                self._fill(block, view, present, places)
            else:
                self._fill(block, view, mine, None)  # type: ignore[arg-type]  # no None is in it
        return block

    def _fill(self, block: _Block, view: ViewPlan, values: Sequence[bytes], places: NDArray[np.intp] | None) -> None:
        rows = view.current.fixed(values)
        if rows is not None:
            self._fill_layout(block, view, view.current, rows, places)
            return
        block.matrix[:, view.columns] = np.nan
        by_head: dict[int, list[int]] = {}
        for i, value in enumerate(values):
            by_head.setdefault(int.from_bytes(value[:8], "little"), []).append(i)
        for head, mine in by_head.items():
            decoder = view.decoders.get(head)
            if decoder is None:
                if not self._lenient:
                    raise UnknownLayoutError
                continue
            fixed = decoder.fixed([values[i] for i in mine])
            if fixed is None:
                continue
            index = np.array(mine, dtype=np.intp)
            self._fill_layout(block, view, decoder, fixed, index if places is None else places[index])

    def _fill_layout(
        self,
        block: _Block,
        view: ViewPlan,
        decoder: ViewDecoder,
        rows: NDArray[np.void],
        places: NDArray[np.intp] | None,
    ) -> None:
        whole = places is None
        target = block.matrix[:, view.columns] if whole else np.empty((len(rows), _width(view)))
        if not decoder.complete:
            target[:] = np.nan
        decoder.fill(target, rows)
        event_us = rows["event"]
        if view.ttl_us:
            stale = event_us < self._now_us - view.ttl_us
            if stale.any():
                target[stale] = np.nan
                mask = np.zeros(len(block.found), dtype=np.bool_)
                mask[stale if places is None else places[stale]] = True
                block.stale.append((view.columns, mask))
                event_us = np.where(stale, _NEVER, event_us)
        if places is None:
            block.found[:] = True
            np.minimum(block.as_of, event_us, out=block.as_of)
        else:
            block.matrix[places, view.columns] = target
            block.found[places] = True
            block.as_of[places] = np.minimum(block.as_of[places], event_us)


def _width(view: ViewPlan) -> int:
    return int(view.columns.stop - view.columns.start)


def _scatter(block: _Block, inverse: NDArray[np.intp]) -> _Block:
    """A row for each of the caller's rows."""
    scattered = _Block(0, 0)
    scattered.matrix = block.matrix[inverse]
    scattered.found = block.found[inverse]
    scattered.as_of = block.as_of[inverse]
    scattered.stale = [(columns, rows[inverse]) for columns, rows in block.stale]
    return scattered
