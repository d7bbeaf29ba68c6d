"""`POST /v1/score` as a plain ASGI endpoint: bytes in, typed structs, bytes out."""

import time
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from inference import ScoredRows
from serving.answers import Answers
from serving.problems import Problem, problem
from serving.request_bodies import decode_json, read_body
from serving.runtime import CALLER, RowScorer, Shell
from serving.settings import Settings
from serving.wire import Explanation, Wire

__all__ = ["ScoreEndpoint", "explanation_of", "send_json"]

_encoder = msgspec.json.Encoder()


async def send_json(send: Send, body: bytes) -> None:
    """Answer 200 with JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def explanation_of(predictor: RowScorer, rows: ScoredRows) -> Explanation:
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
        single = self._answers.single(rows, [ids[0] for ids in keys.values()], explanation)
        prediction_ids = self._answers.last_ids
        answer = _encoder.encode(single)
        runtime.counts.serialise.observe(time.perf_counter() - started)
        await send_json(send, answer)
        runtime.log.record(rows, prediction_ids, scope[CALLER], "/v1/score")
