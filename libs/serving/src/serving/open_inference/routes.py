"""The routes of the Open Inference Protocol (version 2, REST), with its model repository and binary tensor extensions.

Success is exactly 200, a failure `{"error": "…"}`, and what does not fit the model is 400, not 422.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from inference.errors import FeatureStoreError, InferenceError, NoModelError
from serving.foreign_protocols import ForeignAnswer, ForeignRequest, ForeignRoute, decode_any_json
from serving.open_inference.answers import Outputs
from serving.open_inference.messages import IndexEntry, IndexRequest, ModelMetadata, ServerMetadata
from serving.open_inference.models import InferenceModel, ModelByKey, ModelOfFeatures
from serving.open_inference.requests import read_inference
from serving.problems import Problem, ProblemError, problem
from serving.runtime import Runtime
from serving.service import Service

__all__ = ["OpenInference"]

_MODEL = r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?"
_TEMPLATE = "/v2/models/{model}"
_EXTENSIONS = ("binary_tensor_data", "model_repository")
_encoder = msgspec.json.Encoder()

_Handler = Callable[[ForeignRequest], Awaitable[ForeignAnswer]]


@dataclass(frozen=True, slots=True)
class _Path:
    pattern: re.Pattern[str]
    template: str
    method: str
    handle: _Handler
    is_open: bool = False
    scores: bool = False


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    kind: InferenceModel
    outputs: Outputs


class OpenInference:
    """Speaks the protocol for one service."""

    def __init__(self, service: Service) -> None:
        self._service = service.name
        self._models = {
            service.name: _Model(service.name, ModelOfFeatures(), Outputs(service.prediction, has_status=False)),
        }
        by_id = f"{service.name}_by_id"
        self._models[by_id] = _Model(by_id, ModelByKey(), Outputs(service.prediction, has_status=True))
        self._paths = (
            _Path(re.compile(f"{_MODEL}/infer"), f"{_TEMPLATE}/infer", "POST", self._infer, scores=True),
            _Path(re.compile("/v2/health/live"), "/v2/health/live", "GET", self._live, is_open=True),
            _Path(re.compile("/v2/health/ready"), "/v2/health/ready", "GET", self._ready, is_open=True),
            _Path(re.compile("/v2/?"), "/v2", "GET", self._server),
            _Path(re.compile(_MODEL), _TEMPLATE, "GET", self._metadata),
            _Path(re.compile(f"{_MODEL}/ready"), f"{_TEMPLATE}/ready", "GET", self._model_ready),
            _Path(re.compile("/v2/repository/index"), "/v2/repository/index", "POST", self._index),
            _Path(
                re.compile("/v2/repository/models/(?P<model>[^/]+)/(?:un)?load"),
                "/v2/repository/models/{model}/load",
                "POST",
                self._load,
            ),
        )

    def owns(self, path: str) -> bool:
        """Everything under /v2."""
        return path.startswith("/v2/") or path == "/v2"

    def route(self, path: str) -> ForeignRoute | None:
        """Find the route of a path."""
        for one in self._paths:
            found = one.pattern.fullmatch(path)
            if found is not None:
                parameters = {name: value for name, value in found.groupdict().items() if value is not None}
                return ForeignRoute(one.template, one.method, one.handle, one.is_open, one.scores, parameters)
        return None

    def failure(self, error: ProblemError) -> ForeignAnswer:
        """Put a problem into the one field that the protocol has for it."""
        answer = error.answer
        message = answer.detail or answer.title
        if answer.errors:
            message = "; ".join(f"{one.field}: {one.rule}" for one in answer.errors)
        status = 400 if answer.status == 422 else answer.status
        return ForeignAnswer(_encoder.encode({"error": message}), headers=error.headers, status=status)

    async def _server(self, _: ForeignRequest) -> ForeignAnswer:
        return _json(ServerMetadata(f"offers-{self._service}", "1", _EXTENSIONS))

    async def _live(self, _: ForeignRequest) -> ForeignAnswer:
        return _json({"live": True})

    async def _ready(self, request: ForeignRequest) -> ForeignAnswer:
        await _require_ready(request.runtime)
        return _json({"ready": True, "live": True})

    async def _model_ready(self, request: ForeignRequest) -> ForeignAnswer:
        model = self._model(request)
        await _require_ready(request.runtime)
        return _json({"name": model.name, "ready": True})

    async def _metadata(self, request: ForeignRequest) -> ForeignAnswer:
        model = self._model(request)
        version = request.runtime.models.current().version
        contract = version.contract
        inputs = model.kind.inputs(contract)
        platform = f"offers_{contract.booster.library}"
        return _json(ModelMetadata(model.name, (version.version,), platform, inputs, model.outputs.metadata))

    async def _index(self, request: ForeignRequest) -> ForeignAnswer:
        try:
            wanted = msgspec.convert(decode_any_json(request.body or b"{}"), IndexRequest)
        except msgspec.ValidationError:
            raise problem(Problem.MALFORMED, "The body is not a request for the index.") from None
        version, state, reason = "", "READY", ""
        try:
            version = request.runtime.models.current().version.version
            await request.runtime.can_score()
        except NoModelError:
            state, reason = "UNAVAILABLE", "No model version is loaded."
        except (InferenceError, TimeoutError):
            state, reason = "UNAVAILABLE", "The feature store does not answer."
        if wanted.ready and state != "READY":
            return _json([])
        return _json([IndexEntry(name, version, state, reason) for name in self._models])

    async def _load(self, request: ForeignRequest) -> ForeignAnswer:
        self._model(request)
        raise problem(Problem.MALFORMED, "A version is loaded by moving its alias in the model registry.")

    async def _infer(self, request: ForeignRequest) -> ForeignAnswer:
        model = self._model(request)
        inference = read_inference(request)
        wanted = model.outputs.wanted(inference)
        contract = request.runtime.models.current().version.contract
        async with asyncio.timeout(inference.timeout_seconds):
            rows = await model.kind.score(request.runtime, contract, inference.tensors)
        # The alias may have moved while the rows waited.
        if request.parameters.get("version", rows.model.version) != rows.model.version:
            raise _unknown()
        answer = model.outputs.answer(model.name, inference, wanted, rows)
        request.runtime.log.record_bulk(rows, None, request.caller, request.route)
        return answer

    def _model(self, request: ForeignRequest) -> _Model:
        model = self._models.get(request.parameters["model"])
        if model is None:
            raise _unknown()
        wanted = request.parameters.get("version")
        if wanted is not None and wanted != request.runtime.models.current().version.version:
            raise _unknown()
        return model


async def _require_ready(runtime: Runtime) -> None:
    retry_after_seconds = runtime.settings.retry_after_seconds
    try:
        await runtime.can_score()
    except NoModelError:
        raise problem(
            Problem.NOT_READY, "No model version is loaded.", retry_after_seconds=retry_after_seconds
        ) from None
    except (FeatureStoreError, TimeoutError):
        raise problem(
            Problem.NOT_READY, "The feature store does not answer.", retry_after_seconds=retry_after_seconds
        ) from None


def _unknown() -> ProblemError:
    return problem(Problem.NO_ROUTE, "No such model or version is served here.")


def _json(answer: object) -> ForeignAnswer:
    return ForeignAnswer(_encoder.encode(answer))
