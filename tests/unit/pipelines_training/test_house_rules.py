"""What training must never read, and what declarations are."""

import dataclasses
import sys
from subprocess import run

import grimp
import pytest

from pipelines.models import MODELS
from pipelines.models.truth_queries import TRUTH_QUERIES
from pipelines.training import ModelDeclaration, declaration_hash

TRUTH_READERS = ("pipelines.training.truth_report", "pipelines.models.figures_report", "pipelines.models.truth_queries")


def test_nothing_that_trains_imports_the_reader_of_truth() -> None:
    graph = grimp.build_graph("pipelines")
    trainers = {
        module
        for module in graph.modules
        if module.startswith(("pipelines.training", "pipelines.models")) and module not in TRUTH_READERS
    }

    reached = {module: graph.find_upstream_modules(module) for module in trainers}

    assert "pipelines.training.train" in reached
    assert not {module for module, imported in reached.items() if imported.intersection(TRUTH_READERS)}


def test_the_trainer_knows_no_sample_marketplace() -> None:
    graph = grimp.build_graph("pipelines", include_external_packages=True)

    reached = graph.find_upstream_modules("pipelines.training.train") | graph.find_upstream_modules(
        "pipelines.training.flow"
    )

    assert not {module for module in reached if module.startswith(("marketplace", "pipelines.models"))}


def test_declarations_load_without_feast_mlflow_and_boosters() -> None:
    heavy = "{'feast', 'mlflow', 'lightgbm', 'xgboost', 'sklearn'}"
    code = f"import sys, pipelines.models; print(sorted({heavy} & set(sys.modules)))"

    answer = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("declaration", MODELS, ids=lambda declaration: declaration.name)
def test_a_declaration_is_named_as_its_feature_service_and_has_gates_and_truth(declaration: ModelDeclaration) -> None:
    assert declaration.feature_service == declaration.name
    assert declaration.gates
    assert declaration.name in TRUTH_QUERIES


def test_the_hash_of_a_declaration_follows_its_content() -> None:
    first = MODELS[0]

    assert declaration_hash(first) == declaration_hash(dataclasses.replace(first))
    assert declaration_hash(first) != declaration_hash(dataclasses.replace(first, unit="percent"))


def test_both_libraries_are_used() -> None:
    assert {declaration.booster.library for declaration in MODELS} == {"lightgbm", "xgboost"}
