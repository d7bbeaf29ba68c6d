"""On-demand features: pure numpy functions that a contract names and the service allows."""

from collections.abc import Callable, Collection, Mapping
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from inference.errors import ContractError

__all__ = ["OnDemandFunction", "resolve_function"]

OnDemandFunction = Callable[[Mapping[str, NDArray[np.float64]]], dict[str, NDArray[np.float64]]]
"""(n,) arrays by feature name to (n,) arrays by feature name."""


def resolve_function(reference: str, allowed_modules: Collection[str]) -> OnDemandFunction:
    """Find `module:function` in an allowed module: a contract is data, and must not choose what gets imported."""
    module_name, _, name = reference.partition(":")
    if module_name not in allowed_modules:
        raise ContractError(f"on-demand function {reference}: its module is not one that this service allows")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ContractError(f"on-demand function {reference}: its module cannot be imported") from error
    public = name in getattr(module, "__all__", ())
    function = getattr(module, name, None)
    if not public or not callable(function):
        raise ContractError(f"on-demand function {reference}: the module has no such public function")
    return function  # type: ignore[no-any-return]  # its signature is held by the golden rows and tests of the lib
