"""An inference request's body: JSON, and behind it the raw tensors of the binary tensor extension."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from serving.foreign_protocols import ForeignRequest, decode_any_json
from serving.open_inference.messages import InferRequest, InputTensor
from serving.open_inference.tensors import Tensor, tensor_of_bytes, tensor_of_json
from serving.prediction_ids import prediction_id
from serving.problems import Problem, problem

__all__ = ["HEADER_LENGTH", "Inference", "WantedOutput", "read_inference"]

HEADER_LENGTH = b"inference-header-content-length"
_UNSERVED = ("shared_memory_region", "classification")


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that goes into the answer."""

    name: str
    is_binary: bool


@dataclass(frozen=True, slots=True)
class Inference:
    """An inference request that has the protocol's form; whether it fits the model is not known yet."""

    id: str
    tensors: Mapping[str, Tensor]
    outputs: tuple[WantedOutput, ...] | None
    """None: all of them."""
    is_binary: bool
    """How outputs go that are not wanted by name."""
    timeout_seconds: float | None


def read_inference(request: ForeignRequest) -> Inference:
    """Read a request's body. Raises the 400 problem."""
    header, raw = _split(request)
    try:
        message = msgspec.convert(decode_any_json(header), InferRequest)
    except msgspec.ValidationError:
        raise problem(Problem.MALFORMED, "The body is not an inference request of version 2.") from None
    parameters = message.parameters or {}
    is_binary = _flag(parameters, "binary_data_output", default=False)
    return Inference(
        id=prediction_id() if message.id in {None, ""} else str(message.id),
        tensors=_tensors(message.inputs, raw),
        outputs=_outputs(message, is_binary=is_binary),
        is_binary=is_binary,
        timeout_seconds=_timeout_seconds(parameters),
    )


def _split(request: ForeignRequest) -> tuple[bytes, memoryview | None]:
    length = request.headers.get(HEADER_LENGTH)
    if length is None:
        return request.body, None
    if not length.isdigit() or int(length) > len(request.body):
        raise problem(Problem.MALFORMED, "Inference-Header-Content-Length does not fit the body.")
    return request.body[: int(length)], memoryview(request.body)[int(length) :]


def _tensors(inputs: list[InputTensor], raw: memoryview | None) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    start = 0
    for given in inputs:
        parameters = given.parameters or {}
        _refuse_unserved(parameters)
        size = parameters.get("binary_data_size")
        if given.name in tensors:
            raise problem(Problem.MALFORMED, "An input is given twice.")
        if (size is None) == (given.data is None):
            raise problem(Problem.MALFORMED, "An input must have either data or binary_data_size.")
        if size is None:
            tensors[given.name] = tensor_of_json(given)
            continue
        if raw is None:
            raise problem(Problem.MALFORMED, "Binary tensors need the header Inference-Header-Content-Length.")
        if type(size) is not int or size < 0 or start + size > len(raw):
            raise problem(Problem.MALFORMED, "A binary_data_size does not fit the body.")
        tensors[given.name] = tensor_of_bytes(given, raw[start : start + size])
        start += size
    if raw is not None and start != len(raw):
        raise problem(Problem.MALFORMED, "The body holds more than its tensors.")
    return tensors


def _outputs(message: InferRequest, *, is_binary: bool) -> tuple[WantedOutput, ...] | None:
    if not message.outputs:
        return None
    outputs: dict[str, WantedOutput] = {}
    for wanted in message.outputs:
        parameters = wanted.parameters or {}
        _refuse_unserved(parameters)
        if wanted.name in outputs:
            raise problem(Problem.MALFORMED, "An output is wanted twice.")
        outputs[wanted.name] = WantedOutput(wanted.name, _flag(parameters, "binary_data", default=is_binary))
    return tuple(outputs.values())


def _refuse_unserved(parameters: Mapping[str, Any]) -> None:
    for name in _UNSERVED:
        if parameters.get(name):
            raise problem(Problem.MALFORMED, f"The parameter {name} is not served.")


def _flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise problem(Problem.MALFORMED, f"The parameter {name} must be true or false.")
    return value


def _timeout_seconds(parameters: Mapping[str, Any]) -> float | None:
    """Read `timeout`, which is in microseconds; 0 sets none."""
    timeout_us = parameters.get("timeout")
    if timeout_us is None:
        return None
    if type(timeout_us) is not int or timeout_us < 0:
        raise problem(Problem.MALFORMED, "The parameter timeout must be a whole number of microseconds.")
    return timeout_us / 1e6 if timeout_us else None
