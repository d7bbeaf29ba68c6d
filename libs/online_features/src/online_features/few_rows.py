"""A few rows without numpy calls for each view: a numpy call costs as much as a few Python values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.features import CellStatus, FeatureRows
from online_features.plan import EntityPlan, ReadPlan

__all__ = ["FEW", "decode_few"]

FEW = 4
_NEVER = 2**63 - 1
_NAN = float("nan")

Stale = tuple[int, int]
"""First and last column + 1 of values that are older than their view's TTL."""
Cells = tuple[Sequence[float], bool, int, list[Stale]]
"""Values of one entity, whether any view has a row of it, its oldest fresh event time, and what is stale."""


def decode_few(
    plan: ReadPlan,
    distinct: Sequence[tuple[Sequence[str], NDArray[np.intp] | None]],
    values: Sequence[bytes | None],
    n: int,
    now_us: int,
) -> FeatureRows | None:
    """n rows one by one; None if a row is of another layout than its view's current one.

    `distinct` are the ids of each entity plan with the id of each row (None: row i has id i).
    """
    decoded: list[list[Cells]] = []
    start = 0
    for entity, (ids, _) in zip(plan.entities, distinct, strict=True):
        rows: list[Cells] = []
        for i in range(len(ids)):
            cells = _entity_cells(entity, values, start + i, len(ids), now_us)
            if cells is None:
                return None
            rows.append(cells)
        decoded.append(rows)
        start += len(ids) * len(entity.views)
    # Packing floats by struct into a buffer costs a third of np.array over a list.
    packed = bytearray(8 * plan.width * n)
    found: list[bool] = []
    as_of: list[int] = []
    stale: list[tuple[int, int, int]] = []
    for i in range(n):
        row: list[float] = []
        row_found, row_as_of = True, _NEVER
        for rows, (_, inverse) in zip(decoded, distinct, strict=True):
            mine, entity_found, entity_as_of, entity_stale = rows[i if inverse is None else inverse[i]]
            stale += [(i, len(row) + first, len(row) + last) for first, last in entity_stale]
            row += mine
            row_found = row_found and entity_found
            row_as_of = min(row_as_of, entity_as_of)
        plan.packer.pack_into(packed, 8 * plan.width * i, *row)
        found.append(row_found)
        as_of.append(0 if row_as_of == _NEVER else row_as_of)
    filled = np.frombuffer(packed, dtype=np.float64).reshape(n, plan.width)
    status = np.isnan(filled).view(np.uint8)
    for i, first, last in stale:
        status[i, first:last] = CellStatus.STALE
    if plan.order is not None:
        filled, status = filled.take(plan.order, axis=1), status.take(plan.order, axis=1)
    return FeatureRows(
        matrix=filled,
        status=status,
        found=np.array(found, dtype=np.bool_),
        as_of_us=np.array(as_of, dtype=np.int64),
    )


def _entity_cells(
    entity: EntityPlan, values: Sequence[bytes | None], place: int, step: int, now_us: int
) -> Cells | None:
    row: list[float] = []
    found, as_of = False, _NEVER
    stale: list[Stale] = []
    for view in entity.views:
        value = values[place]
        place += step
        decoder = view.current
        if value is None:
            row += [_NAN] * decoder.width
            continue
        if not decoder.complete or len(value) < decoder.layout.fixed_bytes:
            return None
        head, event_us, cells = decoder.row(value)
        if head != decoder.layout.head:
            return None
        found = True
        if view.ttl_us and event_us + view.ttl_us < now_us:
            stale.append((view.columns.start, view.columns.stop))
            cells = [_NAN] * decoder.width
        elif event_us < as_of:
            as_of = event_us
        row += cells
    return row, found, as_of, stale
