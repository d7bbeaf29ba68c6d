"""Arrow IPC streams: ids in as string columns, scores out as typed columns. Importing this imports pyarrow: 40 MB."""

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inference import CellStatus, ModelVersion, ScoredRows
from inference.prediction_log.records import Ids
from serving.answers import model_used
from serving.bulk.arrow_messages import MessageCutter, malformed
from serving.bulk.forms import Keys, StreamBounds, require_ids, row_problem
from serving.prediction_ids import prediction_id_text
from serving.problems import Problem, ProblemAnswer, problem
from serving.service import Postprocess

__all__ = ["ArrowReader", "ArrowWriter"]

_STATUSES = pa.array(["ok", "degraded", "not_found"])
_ID_LENGTH = 36


class ArrowReader:
    """Reads a string column (plain, large, view or dictionary) a join key, in batches of any size."""

    def __init__(self, entities: Sequence[str], bounds: StreamBounds) -> None:
        self._entities = tuple(entities)
        self._bounds = bounds
        self._cutter = MessageCutter(bounds.part_bytes_max)
        self._context: list[bytes] = []
        self._context_bytes = 0
        self._columns: dict[str, list[str]] = {entity: [] for entity in entities}
        self._start = 0
        self._given = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """See `RowReader`."""
        for message in self._cutter.feed(data):
            if (message.kind == "schema") == bool(self._context):
                raise malformed()
            if message.kind == "rows":
                self._take(message.content)
                continue
            # Batches are read one at a time, each after the schema and the dictionaries that stood before it.
            self._context.append(message.content)
            self._context_bytes += len(message.content)
            if self._context_bytes > self._bounds.part_bytes_max:
                raise problem(Problem.TOO_LARGE, f"Dictionaries have at most {self._bounds.part_bytes_max} bytes.")
            if message.kind == "schema":
                self._check_schema(message.content)

    def end(self) -> None:
        """See `RowReader`."""
        if not self._cutter.is_between or not self._context:
            raise malformed()
        self._ended = True

    def chunk(self) -> Keys | None:
        """See `RowReader`."""
        first = self._columns[self._entities[0]]
        waiting, count = len(first) - self._start, self._bounds.rows_at_once
        if not waiting or (waiting < count and not self._ended):
            return None
        start = self._start
        stop = min(start + count, len(first))
        keys = {entity: ids[start:stop] for entity, ids in self._columns.items()}
        self._given += stop - start
        self._start = stop
        if stop == len(first):
            self._columns = {entity: [] for entity in self._entities}
            self._start = 0
        return keys

    def _check_schema(self, message: bytes) -> None:
        try:
            schema = pa.ipc.open_stream(pa.py_buffer(message)).schema
        except (pa.ArrowException, OSError, ValueError):
            raise malformed() from None
        names = schema.names
        for entity in self._entities:
            if names.count(entity) != 1:
                raise row_problem(entity, "is required, once")
        if len(names) != len(self._entities):
            raise row_problem("$", "has a column that is not declared")
        for field in schema:
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
                raise row_problem(field.name, "is a column of strings")

    def _take(self, message: bytes) -> None:
        try:
            reader = pa.ipc.open_stream(pa.py_buffer(b"".join([*self._context, message])))
            batch = reader.read_next_batch()
            # Offsets and UTF-8 come from outside: unchecked, they would read other memory.
            batch.validate(full=True)
            columns = {entity: batch.column(entity) for entity in self._entities}
            if any(column.null_count for column in columns.values()):
                raise row_problem("$", "holds no nulls")
            found = {entity: column.to_numpy(zero_copy_only=False).tolist() for entity, column in columns.items()}
        except (pa.ArrowException, OSError, ValueError):
            raise malformed() from None
        if self._start:
            self._columns = {entity: ids[self._start :] for entity, ids in self._columns.items()}
            self._start = 0
        for entity, ids in found.items():
            require_ids(ids, entity, self._given + len(self._columns[entity]))
            self._columns[entity] += ids


class ArrowWriter:
    """Writes `prediction_id`, the keys, `status`, the prediction's columns, `as_of`, `missing`, `stale`.

    What the JSON form gives as null is null. The schema's metadata hold the model as JSON under `model`.
    """

    def __init__(
        self, entities: Sequence[str], fields: Sequence[str], postprocess: Postprocess, model: ModelVersion
    ) -> None:
        self._entities = tuple(entities)
        self._fields = tuple(fields)
        contract = model.contract
        # The types are those that the post-processing gives no rows, so that they hold for all.
        columns = postprocess(np.empty(0), contract.output)
        self._types = {name: _arrow_type(columns[name]) for name in self._fields}
        self._names = pa.array([feature.name for feature in contract.stored], pa.string())
        names_type = pa.list_(pa.dictionary(pa.int16(), pa.string()))
        self._schema = pa.schema(
            [
                ("prediction_id", pa.string()),
                *((entity, pa.string()) for entity in self._entities),
                ("status", pa.dictionary(pa.int8(), pa.string())),
                *self._types.items(),
                ("as_of", pa.timestamp("us", "UTC")),
                ("missing", names_type),
                ("stale", names_type),
            ],
            metadata={"model": msgspec.json.encode(model_used(model))},
        )
        self.last_ids: Ids = None
        self._sink = io.BytesIO()
        self._writer = pa.ipc.new_stream(self._sink, self._schema)

    def head(self) -> bytes:
        """See `RowWriter`. The schema comes with the first bytes of the writer."""
        return b""

    def rows(self, rows: ScoredRows) -> bytes:
        """See `RowWriter`."""
        unknown = None if rows.found.all() else ~rows.found
        codes = rows.degraded.astype(np.int8)
        if unknown is not None:
            codes[unknown] = 2
        no_time = rows.as_of_us == 0
        self.last_ids = ids = prediction_id_text(rows.n)
        columns = [
            _prediction_ids(ids, unknown),
            *(pa.array(rows.keys[entity], pa.string()) for entity in self._entities),
            pa.DictionaryArray.from_arrays(pa.array(codes), _STATUSES),
            *(pa.array(rows.columns[name], kind, mask=unknown, from_pandas=True) for name, kind in self._types.items()),
            pa.array(rows.as_of_us, pa.timestamp("us", "UTC"), mask=no_time if unknown is None else no_time | unknown),
            self._named(rows.status, CellStatus.MISSING, unknown),
            self._named(rows.status, CellStatus.STALE, unknown),
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        return self._written()

    def tail(self) -> bytes:
        """See `RowWriter`."""
        self._writer.close()
        return self._written()

    def failure(self, _: ProblemAnswer) -> bytes | None:
        """See `RowWriter`."""
        return None

    def _written(self) -> bytes:
        """Take what the writer has written so far."""
        content = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return content

    def _named(self, status: NDArray[np.uint8], kind: CellStatus, unknown: NDArray[np.bool_] | None) -> Any:
        cells = status == kind
        if unknown is not None:
            cells[unknown] = False
        offsets = np.zeros(len(cells) + 1, dtype=np.int32)
        np.cumsum(np.count_nonzero(cells, axis=1), out=offsets[1:])
        positions = np.nonzero(cells)[1].astype(np.int16)
        names = pa.DictionaryArray.from_arrays(pa.array(positions), self._names)
        mask = None if unknown is None else pa.array(unknown)
        return pa.ListArray.from_arrays(pa.array(offsets), names, mask=mask)


def _prediction_ids(ids: bytes, unknown: NDArray[np.bool_] | None) -> Any:
    n = len(ids) // _ID_LENGTH
    offsets = np.arange(0, _ID_LENGTH * (n + 1), _ID_LENGTH, dtype=np.int32)
    bitmap = None if unknown is None else pa.py_buffer(np.packbits(~unknown, bitorder="little"))
    buffers = [bitmap, pa.py_buffer(offsets), pa.py_buffer(ids)]
    return pa.Array.from_buffers(pa.string(), n, buffers)


def _arrow_type(column: NDArray[Any]) -> pa.DataType:
    return pa.string() if column.dtype.kind in "OU" else pa.from_numpy_dtype(column.dtype)
