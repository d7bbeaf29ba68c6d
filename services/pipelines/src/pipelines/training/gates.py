"""Gates: what a version must reach on the test slice before an alias may name it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.training.declaration import Gate, ModelDeclaration
from pipelines.training.errors import TrainingError
from pipelines.training.fitting import FittedModel
from pipelines.training.metrics import HIGHER_IS_BETTER

__all__ = ["GateResult", "check_gates"]


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate, the figure, the bound, and whether the one keeps the other."""

    metric: str
    value: float
    bound: float
    higher_is_better: bool

    @property
    def passed(self) -> bool:
        """The figure keeps the bound."""
        return self.value >= self.bound if self.higher_is_better else self.value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.higher_is_better else "<="
        return f"{self.metric} {self.value:.4g} {sign} {self.bound:.4g}: {'passed' if self.passed else 'FAILED'}"


def check_gates(declaration: ModelDeclaration, model: FittedModel) -> tuple[GateResult, ...]:
    """Return one result a bound, in the order of the declaration.

    Raises TrainingError for a figure that the test slice does not give.
    """
    return tuple(result for gate in declaration.gates for result in _results(gate, model.metrics, model.naive))


def _results(gate: Gate, metrics: Mapping[str, float], naive: Mapping[str, float]) -> list[GateResult]:
    value = metrics[gate.metric]
    if not math.isfinite(value):
        raise TrainingError(f"gate {gate.metric}: the test slice is too small, or too one-sided, to measure it")
    results = []
    if gate.at_most is not None:
        results.append(GateResult(gate.metric, value, gate.at_most, higher_is_better=False))
    if gate.at_least is not None:
        results.append(GateResult(gate.metric, value, gate.at_least, higher_is_better=True))
    if gate.of_naive is not None:
        bound = gate.of_naive * naive[gate.metric]
        results.append(GateResult(gate.metric, value, bound, higher_is_better=gate.metric in HIGHER_IS_BETTER))
    return results
