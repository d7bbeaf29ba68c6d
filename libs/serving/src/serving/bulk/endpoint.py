"""`POST /v1/score/bulk` as a plain ASGI endpoint: chooses the forms, and serves JSON at once or a stream."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from inference import ModelVersion, PredictorLimits, ScoredRows
from serving.answers import Answers, model_used
from serving.bulk.encodings import folding_of, unfold, unfolding_of
from serving.bulk.forms import Form, Keys, RowReader, RowWriter, StreamBounds, answer_form, request_form
from serving.bulk.ndjson import JsonWriter, NdjsonReader, NdjsonWriter
from serving.bulk.stream import PinnedModel, Stream
from serving.deadlines import Deadline
from serving.problems import Problem, problem, problem_of
from serving.request_bodies import decode_json, read_body
from serving.runtime import CALLER, Shell
from serving.service import Service
from serving.settings import Settings
from serving.wire import Wire

__all__ = ["BulkEndpoint"]

_encoder = msgspec.json.Encoder()
_ROUTE = "/v1/score/bulk"
_ENCODED_AT_ONCE = 512
"""Rows encoded before others get their turn: about half a millisecond."""
_STREAM_ROWS = 2048
"""Rows of a chunk: decoding its features takes about 3 ms, in which single rows wait."""
_PART_BYTES_MAX = 16 * 1024 * 1024
_LINE_BYTES_MAX = 64 * 1024
_LIMITS = PredictorLimits(batch_rows=_STREAM_ROWS)
_TURNS = 4
"""Chunks of all streams that are scored at once."""


class BulkEndpoint:
    """Scores many entities; an unknown one does not fail its neighbours."""

    def __init__(self, shell: Shell, settings: Settings, service: Service, wire: Wire) -> None:
        self._shell = shell
        self._settings = settings
        self._service = service
        self._wire = wire
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(wire.bulk_request)
        self._answers = Answers(wire)
        self._deadline = Deadline(settings.bulk_deadline_seconds)
        self._turns = asyncio.Semaphore(_TURNS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what `problem_of` maps."""
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        form = request_form(headers)
        answer = answer_form(headers, form)
        if form is not Form.JSON:
            await self._serve_stream(scope, form, answer, receive, send)
            return
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._settings.body_bytes_max:
            raise problem(Problem.TOO_LARGE, f"At most {self._settings.body_bytes_max} bytes.")
        await self._deadline.hold(self._serve_json(headers, answer, scope[CALLER], receive, send))

    async def _serve_json(
        self, headers: Mapping[bytes, bytes], form: Form, caller: str, receive: Receive, send: Send
    ) -> None:
        runtime = self._shell.runtime
        bytes_max = self._settings.body_bytes_max
        body = await read_body(receive, bytes_max)
        if b"content-encoding" in headers:
            body = unfold(body, unfolding_of(headers), bytes_max)
        started = time.perf_counter()
        keys = self._wire.keys_of(decode_json(self._decoder, body))
        runtime.counts.parse.observe(time.perf_counter() - started)
        count = len(next(iter(keys.values())))
        if count > self._settings.bulk_rows_max:
            raise problem(Problem.TOO_LARGE, f"At most {self._settings.bulk_rows_max} rows.")
        if form is not Form.JSON:
            await self._send_written(keys, count, form, caller, send)
        elif count == 0:
            model = model_used(runtime.models.current().version)
            await _send(send, Form.JSON, _encoder.encode(self._wire.bulk_answer(model, [])))
        else:
            rows = await runtime.predictor.score(keys)
            started = time.perf_counter()
            encoded = await self._encoded(rows, caller)
            runtime.counts.serialise.observe(time.perf_counter() - started)
            await _send(send, Form.JSON, encoded)

    async def _send_written(self, keys: Keys, count: int, form: Form, caller: str, send: Send) -> None:
        """Answer a JSON request in another form."""
        rows = await self._shell.runtime.predictor.score(keys) if count else None
        version = self._shell.runtime.models.current().version if rows is None else rows.model
        writer = self._writer(form, version)
        body = writer.head() + (b"" if rows is None else writer.rows(rows)) + writer.tail()
        if rows is not None:
            self._shell.runtime.log.record_bulk(rows, writer.last_ids, caller, _ROUTE)
        await _send(send, form, body)

    async def _serve_stream(self, scope: Scope, form: Form, answer: Form, receive: Receive, send: Send) -> None:
        runtime = self._shell.runtime
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        caller = scope[CALLER]
        unfolding, folding = unfolding_of(headers), folding_of(headers)
        live = runtime.models.current()
        pinned = PinnedModel(live, runtime.predictor.spare_of(live))
        predictor = runtime.predictor.beside(pinned, spare=pinned.spare, limits=_LIMITS)
        stream = Stream(
            receive,
            send,
            predictor=predictor,
            pinned=pinned,
            turns=self._turns,
            step_seconds=self._settings.bulk_deadline_seconds,
            log=lambda rows, ids: runtime.log.record_bulk(rows, ids, caller, _ROUTE),
        )
        try:
            await stream.run(self._reader(form), unfolding, partial(self._writer, answer), answer, folding)
        except ClientDisconnect:
            raise
        except Exception as error:
            if stream.is_answering:
                failure = problem_of(error, retry_after_seconds=self._settings.retry_after_seconds)
                await stream.fail(failure.answer, folding)
            raise
        finally:
            await predictor.close()
            pinned.close()

    def _reader(self, form: Form) -> RowReader:
        if form is Form.NDJSON:
            bounds = StreamBounds(_LINE_BYTES_MAX, _STREAM_ROWS)
            return NdjsonReader(self._wire.entities, self._wire.entity_keys, bounds)
        # pyarrow takes 40 MB and 0.2 s: only who sends Arrow pays for it.
        from serving.bulk.arrow import ArrowReader

        return ArrowReader(self._wire.entities, StreamBounds(_PART_BYTES_MAX, _STREAM_ROWS))

    def _writer(self, form: Form, version: ModelVersion) -> RowWriter:
        if form is Form.ARROW:
            from serving.bulk.arrow import ArrowWriter

            fields = self._wire.prediction_fields
            return ArrowWriter(self._wire.entities, fields, self._service.postprocess, version)
        kind = NdjsonWriter if form is Form.NDJSON else JsonWriter
        return kind(self._answers, version)

    async def _encoded(self, rows: ScoredRows, caller: str) -> bytes:
        """Encode as `bulk_answer` does, a slice at a time."""
        parts: list[bytes] = []
        for start in range(0, rows.n, _ENCODED_AT_ONCE):
            part = rows.slice(start, min(start + _ENCODED_AT_ONCE, rows.n))
            parts.append(_encoder.encode(self._answers.bulk_rows(part))[1:-1])
            self._shell.runtime.log.record_bulk(part, self._answers.last_ids, caller, _ROUTE)
            if rows.n > _ENCODED_AT_ONCE:
                await asyncio.sleep(0)
        model = _encoder.encode(model_used(rows.model))
        return b'{"model":%b,"rows":[%b]}' % (model, b",".join(parts))


async def _send(send: Send, form: Form, body: bytes) -> None:
    headers = [(b"content-type", form.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
