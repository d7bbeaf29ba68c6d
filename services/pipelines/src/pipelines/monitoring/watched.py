"""What is watched of each service: which figures, in which unit, against which bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.models import MODELS
from pipelines.training.declaration import Gate, ModelDeclaration
from pipelines.training.metrics import HIGHER_IS_BETTER
from pipelines.training.output_tables import CalibratedProbability, ConformalInterval, ScoreWithPercentile

__all__ = ["WATCHED", "AnswerKind", "Bound", "WatchedService", "bounds_of", "watched_service"]

AnswerKind = Literal["probability", "score", "interval"]

_TITLES: Mapping[str, str] = {
    "residency": "海外居住判定",
    "skill_experience": "スキル経験スコア",
    "business_experience": "ビジネス経験スコア",
    "hourly_rate": "時給診断",
    "recommendation": "推薦評価値・自動リストアップ",
}
_METRICS: Mapping[AnswerKind, tuple[str, ...]] = {
    "probability": ("roc_auc", "pr_auc", "log_loss", "brier", "calibration_error"),
    "score": ("rmse", "mae", "spearman"),
    "interval": ("mae", "mdape", "coverage", "interval_width"),
}
_SAME = {"coverage_known": "coverage"}
"""Figures of training by the name they have here: whoever is in the prediction log is known to the store."""
_IN_LABEL_UNITS = frozenset({"rmse", "mae"})


@dataclass(frozen=True, slots=True)
class WatchedService:
    """A service and the figures of its predictions against what happened later.

    Outcomes are in the unit of the service's main output: 1 or 0 for a probability, 0 to 100 for a score, yen an hour
    for a rate.
    """

    name: str
    title: str
    declaration: ModelDeclaration
    kind: AnswerKind
    metrics: tuple[str, ...]
    """The main figure first."""
    scale: float = 1.0
    """Units of the output for one unit of the training label."""

    @property
    def rank_by(self) -> str | None:
        """The join key whose rows are ranked against each other."""
        return self.declaration.rank_by


@dataclass(frozen=True, slots=True)
class Bound:
    """What a version had to reach on its test slice, in the units used here."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None


def watched_service(declaration: ModelDeclaration, title: str) -> WatchedService:
    """Derive what is watched from how the model's output is made."""
    tables = declaration.tables
    kind: AnswerKind = "probability"
    scale = 1.0
    if isinstance(tables, ConformalInterval):
        kind = "interval"
    elif isinstance(tables, ScoreWithPercentile):
        kind, scale = "score", 100.0 / (tables.high - tables.low)
    elif not isinstance(tables, CalibratedProbability):
        raise TypeError(f"{declaration.name}: no figures are known for {type(tables).__name__}")
    metrics = _METRICS[kind]
    if declaration.rank_by is not None:
        metrics = ("roc_auc", "ndcg_at_10", *metrics[1:])
    return WatchedService(declaration.name, title, declaration, kind, metrics, scale)


def bounds_of(service: WatchedService, naive: Mapping[str, float]) -> tuple[Bound, ...]:
    """Give the declaration's gates on figures that are watched, in its order.

    `naive` holds the naive baseline's figures on the version's test slice; a gate relative to one that is not there
    is left out.
    """
    found = [_bound(service, gate, naive) for gate in service.declaration.gates]
    return tuple(bound for bound in found if bound is not None and bound.metric in service.metrics)


def _bound(service: WatchedService, gate: Gate, naive: Mapping[str, float]) -> Bound | None:
    at_least, at_most = gate.at_least, gate.at_most
    if gate.of_naive is not None:
        reference = naive.get(gate.metric)
        if reference is None:
            return None
        if gate.metric in HIGHER_IS_BETTER:
            at_least = max(gate.of_naive * reference, float("-inf") if at_least is None else at_least)
        else:
            at_most = min(gate.of_naive * reference, float("inf") if at_most is None else at_most)
    scale = service.scale if gate.metric in _IN_LABEL_UNITS else 1.0
    return Bound(
        _SAME.get(gate.metric, gate.metric),
        at_least=None if at_least is None else at_least * scale,
        at_most=None if at_most is None else at_most * scale,
    )


WATCHED: tuple[WatchedService, ...] = tuple(
    watched_service(declaration, _TITLES[declaration.name]) for declaration in MODELS
)
