"""The JSON of the Open Inference Protocol, version 2."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

__all__ = [
    "IndexEntry",
    "IndexRequest",
    "InferRequest",
    "InferResponse",
    "InputTensor",
    "ModelMetadata",
    "OutputTensor",
    "RequestedOutput",
    "ServerMetadata",
    "TensorMetadata",
]


class InputTensor(msgspec.Struct, frozen=True):
    """A tensor in the JSON part of a request; without `data` its elements follow the JSON, in the order of inputs."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None


class RequestedOutput(msgspec.Struct, frozen=True):
    """An output that the caller wants."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct, frozen=True):
    """The JSON part of an inference request."""

    inputs: list[InputTensor]
    id: str | int | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[RequestedOutput] | None = None


class OutputTensor(msgspec.Struct, frozen=True):
    """A tensor in the JSON part of an answer."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | UnsetType = UNSET
    data: list[Any] | UnsetType = UNSET


class InferResponse(msgspec.Struct, frozen=True):
    """The JSON part of an answer."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]


class ServerMetadata(msgspec.Struct, frozen=True):
    """What `/v2` says."""

    name: str
    version: str
    extensions: tuple[str, ...]


class TensorMetadata(msgspec.Struct, frozen=True):
    """Name, datatype and shape of a tensor; -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelMetadata(msgspec.Struct, frozen=True):
    """What is known of a model."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


class IndexRequest(msgspec.Struct, frozen=True):
    """Which models of the repository to list."""

    ready: bool = False
    """Only those that can be asked."""


class IndexEntry(msgspec.Struct, frozen=True):
    """A model of the repository."""

    name: str
    version: str
    state: str
    reason: str
