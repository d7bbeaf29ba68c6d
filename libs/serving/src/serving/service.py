"""What a service declares: about all that a service package holds."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray

from inference.contract import OutputSpec

if TYPE_CHECKING:
    from serving.runtime import Runtime

__all__ = ["Postprocess", "Service", "answer_of"]

Postprocess = Callable[[NDArray[np.float64], OutputSpec], dict[str, NDArray[Any]]]
"""The booster's numbers (n,) to the columns (n,) of the answer's `prediction`, by field name; pure."""

Resources = Callable[["Runtime"], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True)
class Service:
    """A scoring service. `create_app` makes an application of it, `run` a process."""

    name: str
    """Package, registered model and feature service; one name for one thing."""
    title: str
    summary: str
    port: int
    """Where it listens unless `OFFERS_PORT` says otherwise."""
    entities: tuple[str, ...]
    """Join keys that name a row, as fields of the score request."""
    prediction: type[msgspec.Struct]
    """Form of the answer's `prediction`; its fields are the columns that `postprocess` returns."""
    postprocess: Postprocess
    bulk_key: str
    """Field of the bulk request that lists the rows: ids where one join key names a row, objects otherwise."""
    on_demand_modules: tuple[str, ...] = ("marketplace.on_demand",)
    """Modules whose functions a contract may name for its on-demand features."""
    routers: tuple[APIRouter, ...] = ()
    """Routes beyond those that every service has; their handlers take a `serving.CurrentRuntime`."""
    answers: tuple[type[msgspec.Struct], ...] = ()
    """Structs that those routes answer with; `answer_of` refers to them in OpenAPI."""
    postprocess_beside: tuple[Postprocess, ...] = ()
    """What those routes post-process by, to the same columns; a version that it fails for is refused too."""
    resources: Resources | None = None
    """What those routes need for as long as the process serves; their handlers take a `serving.CurrentResource`."""


def answer_of(struct: type[msgspec.Struct]) -> dict[int | str, dict[str, Any]]:
    """Give the `responses` of a route that answers with one of the service's `answers`."""
    schema = {"$ref": f"#/components/schemas/{struct.__name__}"}
    return {200: {"description": "The answer", "content": {"application/json": {"schema": schema}}}}
