"""Training sets, model versions with their gates, and promotion as assets of each model, and one report of all."""

import os
import time
from collections.abc import Iterator
from typing import get_args

import dagster as dg

from pipelines.features import FEATURE_REPOSITORY, open_store
from pipelines.models import MODELS
from pipelines.training.declaration import Gate, ModelDeclaration
from pipelines.training.publishing import Promotion
from pipelines.warehouse.settings import offers_home

__all__ = ["model_assets"]


def _mlflow_url() -> str:
    return os.environ.get("OFFERS_MLFLOW_URL", "http://127.0.0.1:5000")


def _promotion() -> Promotion:
    """`OFFERS_PROMOTION`: who becomes champion without a person: the `first` version, `always` the newest, `never`."""
    asked = os.environ.get("OFFERS_PROMOTION", "first")
    for promotion in get_args(Promotion):
        if promotion == asked:
            return promotion  # type: ignore[no-any-return]  # get_args forgets the literals' type
    raise ValueError(f"OFFERS_PROMOTION is one of {', '.join(get_args(Promotion))}")


def _training_set(declaration: ModelDeclaration) -> dg.AssetsDefinition:
    @dg.asset(
        key=["training_sets", declaration.name],
        group_name="models",
        deps=[["published_labels", declaration.name], "feast_apply"],
        kinds={"feast", "arrow"},
        description="Labels joined point-in-time with the features of the model's feature service; checked for leaks.",
    )
    def training_set() -> dg.MaterializeResult[None]:
        from pipelines.training.flow import make_training_set

        started = time.perf_counter()
        made, new = make_training_set(declaration, offers_home(), FEATURE_REPOSITORY, lambda: open_store(offers_home()))
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(made.matrix),
                "features": len(made.inputs),
                "fingerprint": made.fingerprint,
                "made_now": new,
                "seconds": time.perf_counter() - started,
            }
        )

    return training_set


def _check_name(gate: Gate) -> str:
    return f"gate_{gate.metric}"


def _model_version(declaration: ModelDeclaration) -> dg.AssetsDefinition:
    key = dg.AssetKey(["model_versions", declaration.name])
    names = dict.fromkeys(_check_name(gate) for gate in declaration.gates)

    @dg.asset(
        key=key,
        group_name="models",
        deps=[["training_sets", declaration.name]],
        kinds={"mlflow", declaration.booster.library},
        check_specs=[dg.AssetCheckSpec(name, asset=key, description="On the test slice") for name in names],
        description="A model version in MLflow with its contract; no alias names it yet.",
    )
    def model_version() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        from pipelines.training.flow import make_version

        started = time.perf_counter()
        figures, new = make_version(declaration, offers_home(), _mlflow_url())
        measured = {name: value for name, value in figures.metrics.items() if value is not None}
        yield dg.MaterializeResult(
            metadata={
                "version": figures.version,
                "rounds": figures.rounds,
                "made_now": new,
                "seconds": time.perf_counter() - started,
                **measured,
            }
        )
        for name in names:
            gates = [gate for gate in figures.gates if f"gate_{gate.metric}" == name]
            yield dg.AssetCheckResult(
                check_name=name,
                passed=all(gate.passed for gate in gates),
                metadata={"gates": "; ".join(str(gate) for gate in gates), "value": gates[0].value},
            )

    return model_version


def _promoted(declaration: ModelDeclaration) -> dg.AssetsDefinition:
    @dg.asset(
        key=["promoted_models", declaration.name],
        group_name="models",
        deps=[["model_versions", declaration.name]],
        kinds={"mlflow"},
        description="The alias that the newest version bears: champion for the first that passes its gates, then "
        "challenger, until a person promotes it in MLflow. A version that failed a gate bears none.",
    )
    def promoted_model() -> dg.MaterializeResult[None]:
        from pipelines.training.flow import promote_version

        started = time.perf_counter()
        figures = promote_version(declaration, offers_home(), _mlflow_url(), _promotion())
        return dg.MaterializeResult(
            metadata={
                "version": figures.version,
                "alias": figures.alias or "none",
                "gates": "passed" if figures.passed else "failed",
                "seconds": time.perf_counter() - started,
            }
        )

    return promoted_model


@dg.asset(
    group_name="models",
    deps=[["model_versions", declaration.name] for declaration in MODELS],
    kinds={"markdown"},
)
def model_report() -> dg.MaterializeResult[None]:
    """Each model beside its naive baseline and the irreducible error: `reports/models.md`."""
    from pipelines.models.figures_report import log_irreducible, make_report

    started = time.perf_counter()
    text, rows = make_report(offers_home())
    log_irreducible(offers_home(), rows, _mlflow_url())
    return dg.MaterializeResult(metadata={"table": dg.MetadataValue.md(text), "seconds": time.perf_counter() - started})


model_assets = [
    *(make(declaration) for declaration in MODELS for make in (_training_set, _model_version, _promoted)),
    model_report,
]
