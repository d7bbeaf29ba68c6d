"""`POST /v1/score` and `POST /v1/score/bulk` as plain ASGI endpoints: bytes in, typed structs, bytes out."""

import asyncio
import time
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from inference import Predictor, ScoredRows
from serving.answers import Answers, model_used
from serving.problems import Problem, problem
from serving.request_bodies import decode_json, read_body
from serving.runtime import Shell
from serving.settings import Settings
from serving.wire import Explanation, Wire

__all__ = ["BulkEndpoint", "ScoreEndpoint", "explanation_of", "send_json"]

_encoder = msgspec.json.Encoder()
_ENCODED_AT_ONCE = 512
"""Rows encoded before others get their turn: about half a millisecond."""


async def send_json(send: Send, body: bytes) -> None:
    """Answer 200 with JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def explanation_of(predictor: Predictor, rows: ScoredRows) -> Explanation:
    """Explain the first row."""
    (values,) = (await predictor.explain(rows, [0])).tolist()
    names = [feature.name for feature in rows.model.contract.inputs]
    return Explanation(base=values[-1], contributions=dict(zip(names, values[:-1], strict=True)))


class ScoreEndpoint:
    """Scores one entity."""

    def __init__(self, shell: Shell, settings: Settings, wire: Wire, entities: tuple[str, ...]) -> None:
        self._shell = shell
        self._body_bytes_max = settings.body_bytes_max
        self._entities = entities
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(wire.score_request)
        self._answers = Answers(wire)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what `problem_of` maps."""
        body = await read_body(receive, self._body_bytes_max)
        runtime, predictor = self._shell.runtime, self._shell.runtime.predictor
        started = time.perf_counter()
        request = decode_json(self._decoder, body)
        runtime.counts.parse.observe(time.perf_counter() - started)
        keys = {entity: (getattr(request, entity),) for entity in self._entities}
        rows = await predictor.score(keys, request.features or None)
        if not rows.found[0]:
            raise problem(Problem.UNKNOWN_ENTITY)
        explanation = await explanation_of(predictor, rows) if request.explain else None
        started = time.perf_counter()
        answer = _encoder.encode(self._answers.single(rows, [ids[0] for ids in keys.values()], explanation))
        runtime.counts.serialise.observe(time.perf_counter() - started)
        await send_json(send, answer)


class BulkEndpoint:
    """Scores a list of entities; an unknown one does not fail its neighbours."""

    def __init__(self, shell: Shell, settings: Settings, wire: Wire) -> None:
        self._shell = shell
        self._settings = settings
        self._wire = wire
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(wire.bulk_request)
        self._answers = Answers(wire)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what `problem_of` maps."""
        runtime = self._shell.runtime
        request = decode_json(self._decoder, await read_body(receive, self._settings.body_bytes_max))
        keys = self._wire.keys_of(request)
        count = len(next(iter(keys.values())))
        if count > self._settings.bulk_rows_max:
            raise problem(Problem.TOO_LARGE, f"At most {self._settings.bulk_rows_max} rows.")
        if count == 0:
            model = model_used(runtime.models.current().version)
            await send_json(send, _encoder.encode(self._wire.bulk_answer(model, [])))
            return
        rows = await runtime.predictor.score(keys)
        await send_json(send, await self._encoded(rows))

    async def _encoded(self, rows: ScoredRows) -> bytes:
        """Encode as `bulk_answer` does, a slice at a time."""
        parts: list[bytes] = []
        for start in range(0, rows.n, _ENCODED_AT_ONCE):
            part = rows.slice(start, min(start + _ENCODED_AT_ONCE, rows.n))
            parts.append(_encoder.encode(self._answers.bulk_rows(part))[1:-1])
            if rows.n > _ENCODED_AT_ONCE:
                await asyncio.sleep(0)
        model = _encoder.encode(model_used(rows.model))
        return b'{"model":%b,"rows":[%b]}' % (model, b",".join(parts))
