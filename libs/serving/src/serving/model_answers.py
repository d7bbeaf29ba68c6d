"""What `/v1/model` and `/v1/model/history` say: which versions serve, which stayed out, and how it came about."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from inference import Comparison, ModelVersion, Promotion, TrialState
from inference.watch import RefusedVersion
from serving.lifecycle import Lifecycle
from serving.runtime import ServedModels

__all__ = ["HistoryAnswer", "ModelAnswer", "history_answer", "model_answer"]


class LoadedVersion(msgspec.Struct, frozen=True):
    """A model version that is loaded."""

    name: str
    version: str
    alias: str
    run_id: str
    source: Literal["registry", "cache", "local"]
    digest: str
    loaded_at: datetime


class RefusedAnswer(msgspec.Struct, frozen=True):
    """A model version that stayed out, or was rolled back."""

    version: str
    code: str
    reason: str
    refused_at: datetime


class RegistryAnswer(msgspec.Struct, frozen=True):
    """How the service stands with the registry."""

    confirmed_by: Literal["registry", "cache"] | None
    """`cache` until the registry has confirmed, since the start, what serves."""
    checked_at: datetime | None
    error: str | None


class TrialAnswer(msgspec.Struct, frozen=True):
    """The guard's window over a version that was just swapped in."""

    version: str
    against: str
    seconds_left: float
    rows: int
    errors: int
    shift: float | None
    """PSI of the main output above its noise floor; null while too few rows were scored."""


class ComparisonAnswer(msgspec.Struct, frozen=True):
    """A challenger version against a champion version, over the rows that this process scored by both."""

    champion: str
    challenger: str
    rows: int
    agreement: float | None
    """Share of rows with the same decision; without decisions, within 1 %."""
    mean_difference: float
    """Of the main output, challenger - champion."""
    interval_95: tuple[float, float] | None
    p_value: float | None
    """Two-sided, of no mean difference."""
    sign_p_value: float | None
    """Two-sided, of as many rows higher as lower."""
    seconds_a_row: float | None
    champion_seconds_a_row: float | None
    failures: int


class ModelAnswer(msgspec.Struct, frozen=True):
    """What serves, what stayed out and why, and the contract of what serves."""

    name: str
    worker: int
    """Which of the processes that share the port has answered; `scoring_model_info` counts them by version."""
    ready: bool
    champion: LoadedVersion | None
    challenger: LoadedVersion | None
    refused: tuple[RefusedAnswer, ...]
    """Of the champion's alias first, then of the challenger's."""
    registry: RegistryAnswer
    swaps: int
    rollbacks: int
    trial: TrialAnswer | None
    comparisons: tuple[ComparisonAnswer, ...]
    shadow_dropped_rows: int
    """Rows that the challenger was too busy to score."""
    contract: dict[str, Any] | None
    """As logged with the version, but for its golden rows."""


class PromotionAnswer(msgspec.Struct, frozen=True):
    """One move of an alias, as this machine's processes of the service saw it."""

    id: str
    at: datetime
    alias: str
    from_version: str | None
    to_version: str
    outcome: Literal["live", "refused", "rolled_back"]
    code: str | None
    reason: str
    moved_by: str
    """From the version's tag `promoted_by`; `unknown` without, as MLflow does not keep who moves an alias."""
    registered_by: str
    from_metrics: dict[str, float] | None
    to_metrics: dict[str, float] | None
    seen_by: tuple[str, ...]
    """Processes that went along: host, process id and a mark, the first one first."""


class HistoryAnswer(msgspec.Struct, frozen=True):
    """Moves of the aliases, newest first."""

    name: str
    promotions: tuple[PromotionAnswer, ...]
    next: str | None
    """`before` of the next page; null where there are no older moves."""


def model_answer(models: ServedModels, worker: int) -> ModelAnswer:
    """Put the state of the models on the wire."""
    state = models.state
    contract: dict[str, Any] | None = None
    if state.champion is not None:
        contract = msgspec.to_builtins(state.champion.contract)
        del contract["golden"]
    refused, challenger, trial, dropped = state.refused, None, None, 0
    comparisons: tuple[ComparisonAnswer, ...] = ()
    if isinstance(models, Lifecycle):
        beside = models.challenger.state
        refused, challenger, trial = refused + beside.refused, beside.champion, models.champion.trial
        comparisons = tuple(map(_comparison, models.comparisons))
        dropped = 0 if models.shadow is None else models.shadow.dropped_rows
    return ModelAnswer(
        name=state.name,
        worker=worker,
        ready=state.ready,
        champion=_loaded(state.champion),
        challenger=_loaded(challenger),
        refused=tuple(map(_refused, refused)),
        registry=RegistryAnswer(state.source, state.checked_at, state.registry_error),
        swaps=state.swaps,
        rollbacks=state.rollbacks,
        trial=_trial(trial),
        comparisons=comparisons,
        shadow_dropped_rows=dropped,
        contract=contract,
    )


def history_answer(models: ServedModels, limit: int, before: str | None) -> HistoryAnswer:
    """Read a page of the history. Blocks: call it in a thread."""
    moves = models.moves(limit + 1, before) if isinstance(models, Lifecycle) else []
    page = tuple(map(_promotion, moves[:limit]))
    return HistoryAnswer(models.state.name, page, page[-1].id if len(moves) > limit else None)


def _loaded(version: ModelVersion | None) -> LoadedVersion | None:
    if version is None:
        return None
    return LoadedVersion(
        version.name,
        version.version,
        version.alias,
        version.run_id,
        version.source,
        version.digest,
        version.loaded_at,
    )


def _refused(one: RefusedVersion) -> RefusedAnswer:
    return RefusedAnswer(one.version, one.code.value, one.reason, one.refused_at)


def _trial(trial: TrialState | None) -> TrialAnswer | None:
    if trial is None:
        return None
    return TrialAnswer(trial.version, trial.against, trial.seconds_left, trial.rows, trial.errors, trial.shift)


def _comparison(one: Comparison) -> ComparisonAnswer:
    rows = one.rows
    return ComparisonAnswer(
        champion=one.champion,
        challenger=one.challenger,
        rows=rows,
        agreement=one.agreeing / rows if rows else None,
        mean_difference=one.mean_difference,
        interval_95=one.interval,
        p_value=one.p_value,
        sign_p_value=one.sign_p_value,
        seconds_a_row=one.challenger_seconds / rows if rows else None,
        champion_seconds_a_row=one.champion_seconds / rows if rows else None,
        failures=one.failures,
    )


def _promotion(one: Promotion) -> PromotionAnswer:
    return PromotionAnswer(
        id=one.id,
        at=one.at,
        alias=one.alias,
        from_version=one.from_version,
        to_version=one.to_version,
        outcome=one.outcome,
        code=None if one.code is None else one.code.value,
        reason=one.reason,
        moved_by=one.moved_by,
        registered_by=one.registered_by,
        from_metrics=one.from_metrics,
        to_metrics=one.to_metrics,
        seen_by=one.seen_by,
    )
