"""NDJSON: a JSON object a line."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from inference import ModelVersion, ScoredRows
from inference.prediction_log.records import Ids
from serving.answers import Answers, model_used
from serving.bulk.forms import Keys, StreamBounds
from serving.problems import FieldError, Problem, ProblemAnswer, ProblemError, problem
from serving.request_bodies import decode_lines

__all__ = ["JsonWriter", "NdjsonReader", "NdjsonWriter"]

_ROW = re.compile(r"^\[(\d+)\]\.?")
_encoder = msgspec.json.Encoder()


class NdjsonReader:
    """Reads lines such as `{"candidate_id": "c0000001"}`; empty lines say nothing."""

    def __init__(self, entities: Sequence[str], row: type[msgspec.Struct], bounds: StreamBounds) -> None:
        self._entities = tuple(entities)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(row)
        self._bounds = bounds
        self._rest = b""
        self._lines: list[bytes] = []
        self._given = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """See `RowReader`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self._bounds.part_bytes_max:
            raise problem(Problem.TOO_LARGE, f"A line has at most {self._bounds.part_bytes_max} bytes.")
        self._lines += [line for line in lines if line and not line.isspace()]

    def end(self) -> None:
        """See `RowReader`."""
        self.feed(b"\n")
        self._ended = True

    def chunk(self) -> Keys | None:
        """See `RowReader`."""
        count = self._bounds.rows_at_once
        if not self._lines or (len(self._lines) < count and not self._ended):
            return None
        lines, self._lines = self._lines[:count], self._lines[count:]
        rows = self._decoded(lines)
        self._given += len(rows)
        return {entity: [getattr(row, entity) for row in rows] for entity in self._entities}

    def _decoded(self, lines: list[bytes]) -> list[Any]:
        try:
            rows = decode_lines(self._decoder, b"\n".join(lines))
        except ProblemError as error:
            raise self._with_row(error) from None
        if len(rows) != len(lines):
            raise problem(Problem.MALFORMED, "A line is not one JSON object.")
        return rows

    def _with_row(self, error: ProblemError) -> ProblemError:
        """Name the row in the stream, not in the chunk."""

        def named(one: FieldError) -> FieldError:
            at = _ROW.match(one.field)
            if at is None:
                return one
            field = f"rows.{self._given + int(at.group(1))}.{one.field[at.end() :]}"
            return FieldError(field.rstrip("."), one.rule)

        answer = msgspec.structs.replace(error.answer, errors=tuple(map(named, error.answer.errors)))
        return ProblemError(answer, error.headers)


class NdjsonWriter:
    """Writes a line with `model`, then a line a row; a stream that fails ends with a line with `problem`."""

    def __init__(self, answers: Answers, model: ModelVersion) -> None:
        self._answers = answers
        self._model = model

    @property
    def last_ids(self) -> Ids:
        """See `RowWriter`."""
        return self._answers.last_ids

    def head(self) -> bytes:
        """See `RowWriter`."""
        return b'{"model":%b}\n' % _encoder.encode(model_used(self._model))

    def rows(self, rows: ScoredRows) -> bytes:
        """See `RowWriter`."""
        return _encoder.encode_lines(self._answers.bulk_rows(rows))

    def tail(self) -> bytes:
        """See `RowWriter`."""
        return b""

    def failure(self, answer: ProblemAnswer) -> bytes | None:
        """See `RowWriter`."""
        return b'{"problem":%b}\n' % _encoder.encode(answer)


class JsonWriter:
    """Writes the one JSON document, as it comes about."""

    def __init__(self, answers: Answers, model: ModelVersion) -> None:
        self._answers = answers
        self._model = model
        self._written = False

    @property
    def last_ids(self) -> Ids:
        """See `RowWriter`."""
        return self._answers.last_ids

    def head(self) -> bytes:
        """See `RowWriter`."""
        return b'{"model":%b,"rows":[' % _encoder.encode(model_used(self._model))

    def rows(self, rows: ScoredRows) -> bytes:
        """See `RowWriter`."""
        comma = b"," if self._written else b""
        self._written = True
        return comma + _encoder.encode(self._answers.bulk_rows(rows))[1:-1]

    def tail(self) -> bytes:
        """See `RowWriter`."""
        return b"]}"

    def failure(self, _: ProblemAnswer) -> bytes | None:
        """See `RowWriter`."""
        return None
