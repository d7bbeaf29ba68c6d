"""From what endpoints hand over to messages; made for a thread beside the event loop."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from secrets import token_bytes
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.prediction_log.messages import Column, LoggedRows, encode_rows
from inference.prediction_log.spool_frames import Frame
from inference.scored import ScoredRows

__all__ = ["Ids", "Record", "encode_records", "record_of"]

T = TypeVar("T", bound=np.generic)

Ids = str | bytes | Sequence[str | None] | None
"""The id of one row; 36 characters a row, or None, without anything between them; or an id a row."""

_PIECE_RECORDS = 48
_PIECE_ROWS = 2048
_MESSAGE_ROWS = 8192
"""About a megabyte, which Redis takes in a few milliseconds."""
_PAUSE_SECONDS = 0.0002
_ID_BYTES = 16
_NO_ID = "0" * (2 * _ID_BYTES)
_RANDOM_MAX = 1 << 62


class Record(msgspec.Struct, frozen=True, gc=False):
    """Rows of a batch that were answered to one caller.

    A struct that the garbage collector need not look at: thousands of them live for a moment, and would cost every
    request some microseconds of collections.
    """

    batch: ScoredRows
    places: range | list[int]
    """The rows of the batch."""
    ids: bytes | list[str | None] | None
    """36 characters a row without anything between them, or an id a row; None where the answer has no place for ids."""
    caller: str
    route: str
    scored_at_us: int
    share: float = 1.0
    """Of the rows, which are to be kept."""

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.places)

    def takes(self, rows: ScoredRows, caller: str, route: str) -> bool:
        """Whether these rows, a single one, may be `add`ed."""
        return rows.batch is self.batch and rows.n == 1 and caller == self.caller and route == self.route

    def add(self, place: int, prediction_id: str) -> None:
        """Take one more row of the batch into a record that was made of one."""
        self.places.append(place)  # type: ignore[union-attr]  # a list where it was made of one row
        self.ids.append(prediction_id)  # type: ignore[union-attr]  # likewise


_Group = tuple[str, str, tuple[str, ...], tuple[str, ...]]


class _Run(NamedTuple):
    """Rows of one batch."""

    batch: ScoredRows
    places: slice | list[int] | None
    """None are all of them, as mostly."""

    def numbers(self, column: NDArray[T]) -> NDArray[T]:
        return column if self.places is None else column[self.places]

    def words(self, column: Sequence[str]) -> Sequence[str]:
        places = self.places
        if places is None:
            return column
        return column[places] if isinstance(places, slice) else [column[place] for place in places]


def record_of(rows: ScoredRows, ids: Ids, caller: str, route: str, scored_at_us: int, *, share: float = 1.0) -> Record:
    """Make a record that does not keep the slices of a batch alive."""
    batch = rows.batch or rows
    if isinstance(ids, str):
        return Record(batch, [rows.start], [ids], caller, route, scored_at_us, share)
    listed = ids if ids is None or isinstance(ids, bytes) else list(ids)
    return Record(batch, range(rows.start, rows.start + rows.n), listed, caller, route, scored_at_us, share)


def encode_records(records: Sequence[Record]) -> list[Frame]:
    """Make a message of all rows that one model version scored, in pieces.

    Pure Python would hold the interpreter's lock, and with it the event loop, for up to 5 ms: after each piece of about
    150 µs the thread rests for a moment, in which the loop has its turn.
    """
    groups: dict[_Group, list[LoggedRows]] = {}
    for piece in _pieces(records):
        for group, found in _grouped(piece).items():
            rows = _joined(found)
            if rows is not None:
                groups.setdefault(group, []).append(rows)
        time.sleep(_PAUSE_SECONDS)
    frames: list[Frame] = []
    for parts in groups.values():
        waiting: list[LoggedRows] = []
        for part in parts:
            if waiting and sum(one.n for one in waiting) + part.n > _MESSAGE_ROWS:
                frames.append(_frame(waiting))
                waiting = []
            waiting.append(part)
        frames.append(_frame(waiting))
    return frames


def _frame(parts: Sequence[LoggedRows]) -> Frame:
    rows = _concatenated(parts)
    return Frame(encode_rows(rows), rows.n)


def _pieces(records: Sequence[Record]) -> Iterator[list[Record]]:
    piece: list[Record] = []
    rows = 0
    for record in records:
        if piece and (len(piece) == _PIECE_RECORDS or rows + record.n > _PIECE_ROWS):
            yield piece
            piece, rows = [], 0
        piece.append(record)
        rows += record.n
    if piece:
        yield piece


def _grouped(records: Sequence[Record]) -> dict[_Group, list[Record]]:
    groups: dict[_Group, list[Record]] = {}
    last: ScoredRows | None = None
    found: list[Record] = []
    for record in records:
        batch = record.batch
        if batch is not last:
            last = batch
            group = (batch.model.digest, batch.model.alias, tuple(batch.keys), tuple(batch.columns))
            found = groups.setdefault(group, [])
        found.append(record)
    return groups


def _run(record: Record) -> _Run:
    """Give a slice where the rows follow each other, as they mostly do: arrays are then not copied by place."""
    batch, places = record.batch, record.places
    first, count = places[0], len(places)
    if not isinstance(places, range) and places != [*range(first, first + count)]:
        return _Run(batch, places)
    return _Run(batch, None if count == batch.n else slice(first, first + count))


def _joined(records: Sequence[Record]) -> LoggedRows | None:
    """Join records of one model version; what the store did not know, and what is not sampled, is left out."""
    first = records[0].batch
    runs = [_run(record) for record in records]
    counts = [record.n for record in records]
    ids = _joined_ids(records)
    kept = np.concatenate([run.numbers(run.batch.found) for run in runs])
    if any(record.share < 1 for record in records):
        shares = np.repeat([record.share for record in records], counts)
        kept &= _draws(ids) < shares
    everything = bool(kept.all())
    if not kept.any():
        return None
    places = None if everything else np.flatnonzero(kept).tolist()

    def numbers(arrays: list[NDArray[T]]) -> NDArray[T]:
        joined = np.concatenate(arrays)
        return joined if everything else joined[kept]

    def words(lists: Iterable[Sequence[str]]) -> list[str]:
        joined = [word for words in lists for word in words]
        return joined if places is None else [joined[place] for place in places]

    def output(name: str) -> Column:
        columns = [run.numbers(run.batch.columns[name]) for run in runs]
        if columns[0].dtype.kind in "fiub":
            return numbers([column.astype(np.float64, copy=False) for column in columns])
        return words([column.tolist() for column in columns])

    times = np.repeat(np.array([record.scored_at_us for record in records], dtype=np.int64), counts)
    return LoggedRows(
        model=first.model.name,
        version=first.model.version,
        alias=first.model.alias,
        ids=ids if everything else np.frombuffer(ids, dtype=np.uint8).reshape(-1, _ID_BYTES)[kept].tobytes(),
        scored_at_us=times if everything else times[kept],
        callers=words([record.caller] * record.n for record in records),
        routes=words([record.route] * record.n for record in records),
        keys={key: words(run.words(run.batch.keys[key]) for run in runs) for key in first.keys},
        degraded=numbers([run.numbers(run.batch.degraded) for run in runs]),
        prediction=numbers([run.numbers(run.batch.main_output) for run in runs]),
        outputs={name: output(name) for name in first.columns},
        features=[feature.name for feature in first.model.contract.features],
        values=numbers([run.numbers(run.batch.features) for run in runs]),
    )


def _concatenated(parts: Sequence[LoggedRows]) -> LoggedRows:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]

    def column(name: str) -> Column:
        columns = [part.outputs[name] for part in parts]
        if isinstance(columns[0], np.ndarray):
            return np.concatenate(columns)
        return [word for words in columns for word in words]

    def words(lists: list[Sequence[str]]) -> list[str]:
        return [word for words in lists for word in words]

    def keys() -> Mapping[str, Sequence[str]]:
        return {key: words([part.keys[key] for part in parts]) for key in first.keys}

    return LoggedRows(
        model=first.model,
        version=first.version,
        alias=first.alias,
        ids=b"".join([part.ids for part in parts]),
        scored_at_us=np.concatenate([part.scored_at_us for part in parts]),
        callers=words([part.callers for part in parts]),
        routes=words([part.routes for part in parts]),
        keys=keys(),
        degraded=np.concatenate([part.degraded for part in parts]),
        prediction=np.concatenate([part.prediction for part in parts]),
        outputs={name: column(name) for name in first.outputs},
        features=first.features,
        values=np.concatenate([part.values for part in parts]),
    )


def _joined_ids(records: Sequence[Record]) -> bytes:
    lists = [record.ids for record in records if isinstance(record.ids, list)]
    if len(lists) == len(records):
        # One conversion for all of them takes a fifth.
        return _raw(one for ids in lists for one in ids)
    return b"".join([_raw_ids(record) for record in records])


def _raw_ids(record: Record) -> bytes:
    match record.ids:
        case None:
            return _new_ids(record.n, record.scored_at_us)
        case bytes():
            return bytes.fromhex(record.ids.decode("ascii").replace("-", ""))
        case _:
            return _raw(record.ids)


def _raw(ids: Iterable[str | None]) -> bytes:
    return bytes.fromhex("".join([one or _NO_ID for one in ids]).replace("-", ""))


def _new_ids(n: int, at_us: int) -> bytes:
    """UUIDs version 7 (RFC 9562, section 5.7)."""
    raw = np.frombuffer(token_bytes(_ID_BYTES * n), dtype=np.uint8).reshape(n, _ID_BYTES).copy()
    raw[:, :6] = np.frombuffer((at_us // 1000).to_bytes(6), dtype=np.uint8)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x70
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    return raw.tobytes()


def _draws(ids: bytes) -> NDArray[np.float64]:
    """(n,) numbers in [0, 1) that follow from the ids alone: their 62 random bits."""
    low = np.frombuffer(ids, dtype=">u8")[1::2]
    return (low & np.uint64(_RANDOM_MAX - 1)).astype(np.float64) / _RANDOM_MAX
