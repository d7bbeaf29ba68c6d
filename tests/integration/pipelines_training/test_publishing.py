"""From declaration to model version, over a real MLflow server."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import lightgbm
import msgspec
import numpy as np
import pytest
import xgboost

from inference.contract import Contract
from pipelines.training import Gate, ModelDeclaration, TrainedModel, build_training_set, fit, train
from pipelines.training.flow import make_training_set, make_version, promote_version
from pipelines.training.publishing import published_alike

API = "/api/2.0/mlflow"


def _files(mlflow_url: str, name: str, alias: str) -> dict[str, bytes]:
    """Fetch the artefacts behind an alias as a serving process does: over REST alone."""
    with httpx.Client(base_url=mlflow_url) as client:
        version = client.get(f"{API}/registered-models/alias", params={"name": name, "alias": alias}).json()
        number = version["model_version"]["version"]
        uri = client.get(f"{API}/model-versions/get-download-uri", params={"name": name, "version": number}).json()[
            "artifact_uri"
        ]
        place = uri.partition(":")[2].lstrip("/")
        listed = client.get("/api/2.0/mlflow-artifacts/artifacts", params={"path": place}).json()["files"]
        return {
            entry["path"]: client.get(f"/api/2.0/mlflow-artifacts/artifacts/{place}/{entry['path']}").content
            for entry in listed
        }


def _golden(contract: Contract) -> np.ndarray:
    return np.array([[np.nan if value is None else value for value in row] for row in contract.golden.inputs])


@pytest.fixture(scope="module")
def shared() -> dict[str, TrainedModel]:
    return {}


@pytest.fixture
def trained(project: Any, pay: ModelDeclaration, mlflow_url: str, shared: dict[str, TrainedModel]) -> TrainedModel:
    if "pay" not in shared:
        shared["pay"] = train(pay, store=project.store, labels=project.labels, mlflow_url=mlflow_url)
    return shared["pay"]


def test_the_first_version_that_passes_its_gates_is_champion(trained: TrainedModel) -> None:
    assert all(gate.passed for gate in trained.published.gates)
    assert (trained.published.version, trained.published.alias) == ("1", "champion")


def test_the_contract_lies_beside_the_booster_and_fits_it(trained: TrainedModel, mlflow_url: str) -> None:
    files = _files(mlflow_url, "pay", "champion")

    contract = msgspec.json.decode(files["contract.json"], type=Contract)
    assert contract == trained.published.contract
    assert {"MLmodel", "contract.json", "model.lgb", "input_example.json"} <= set(files)
    assert contract.booster.sha256 == hashlib.sha256(files[contract.booster.file]).hexdigest()
    booster = lightgbm.Booster(model_str=files["model.lgb"].decode())
    assert booster.predict(_golden(contract)).tolist() == list(contract.golden.raw)
    assert len(contract.golden.raw) >= 20
    assert np.isnan(_golden(contract)).any()


def test_the_contract_says_what_serving_must_know(trained: TrainedModel) -> None:
    contract = trained.published.contract
    features = {feature.name: feature for feature in contract.features}

    assert contract.output.unit == "USD/month"
    assert contract.entities == ("person_id",)
    assert features["city"].categories == ("tokyo", "osaka", "sapporo")
    assert features["years"].reference == "person_facts:years"
    assert (features["years"].unit, features["years"].required) == ("years", True)
    assert (features["years"].minimum, features["years"].maximum) == (0.0, 70.0)
    assert not features["age_of_account"].model_input
    assert features["seniority"].source == "on_demand"
    assert [spec.inputs for spec in contract.on_demand] == [("years", "age_of_account")]
    assert "nationality" in contract.prohibited.attributes
    assert contract.training.fingerprint == trained.training_set.fingerprint
    for feature in contract.features:
        assert feature.bins is not None
        assert sum(feature.bins.shares) == pytest.approx(1.0)
        assert feature.bins.rows == contract.training.rows


def test_intervals_cover_on_rows_that_nothing_has_seen(trained: TrainedModel) -> None:
    metrics = trained.fitted.metrics
    rows = len(trained.fitted.test.label)
    spread = np.sqrt(0.8 * 0.2 * 3 / rows)

    assert metrics["coverage_known"] == pytest.approx(0.8, abs=4 * spread)
    assert metrics["coverage_anonymous"] == pytest.approx(0.8, abs=4 * spread)
    assert metrics["interval_width_anonymous"] > metrics["interval_width_known"]


def test_training_twice_gives_the_same_file(project: Any, pay: ModelDeclaration, trained: TrainedModel) -> None:
    training_set = build_training_set(pay, project.store, project.labels)

    again = fit(pay, training_set)

    assert again.booster.booster.model_to_string() == trained.fitted.booster.booster.model_to_string()
    assert again.tables == trained.fitted.tables
    assert again.metrics == trained.fitted.metrics


def test_xgboost_goes_the_same_way(project: Any, wealth: ModelDeclaration, mlflow_url: str) -> None:
    made = train(wealth, store=project.store, labels=project.labels, mlflow_url=mlflow_url)

    files = _files(mlflow_url, "wealth", "champion")
    contract = msgspec.json.decode(files["contract.json"], type=Contract)
    booster = xgboost.Booster(model_file=bytearray(files["model.ubj"]))
    raw = booster.predict(xgboost.DMatrix(_golden(contract), missing=np.nan))
    assert np.allclose(raw, contract.golden.raw, rtol=0, atol=contract.golden.tolerance)
    assert made.fitted.metrics["log_loss"] < 0.9 * made.fitted.naive["log_loss"]
    assert (np.array(contract.golden.raw) <= 1.0).all()


@pytest.mark.parametrize("name", ["pay", "wealth"])
def test_mlflow_itself_loads_the_version(trained: TrainedModel, mlflow_url: str, name: str) -> None:
    import mlflow

    mlflow.set_registry_uri(mlflow_url)
    mlflow.set_tracking_uri(mlflow_url)
    contract = msgspec.json.decode(_files(mlflow_url, name, "champion")["contract.json"], type=Contract)

    loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")

    columns = [feature.name for feature in contract.features if feature.model_input]
    assert loaded.metadata.get_input_schema().input_names() == columns
    import pandas as pd

    frame = pd.DataFrame(_golden(contract), columns=columns)
    assert np.allclose(loaded.predict(frame), contract.golden.raw, rtol=0, atol=contract.golden.tolerance)


def test_a_later_version_is_challenger_until_a_person_promotes_it(
    project: Any, pay: ModelDeclaration, trained: TrainedModel, mlflow_url: str
) -> None:
    later = replace(pay, label_query=pay.label_query + " WHERE person_id <> 'p0007'")

    made = train(later, store=project.store, labels=project.labels, mlflow_url=mlflow_url)

    assert made.published.alias == "challenger"
    assert int(made.published.version) > 1
    assert published_alike(mlflow_url, "pay", {"training_fingerprint": trained.training_set.fingerprint}) == "1"


def test_no_alias_names_a_version_that_fails_a_gate(project: Any, pay: ModelDeclaration, mlflow_url: str) -> None:
    strict = replace(pay, name="strict_pay", gates=(Gate("mae", at_most=0.01),))

    made = train(strict, store=project.store, labels=project.labels, mlflow_url=mlflow_url, promotion="always")

    assert made.published.alias == ""
    with httpx.Client(base_url=mlflow_url) as client:
        model = client.get(f"{API}/registered-models/get", params={"name": "strict_pay"}).json()["registered_model"]
        version = client.get(f"{API}/model-versions/get", params={"name": "strict_pay", "version": "1"}).json()
    assert "aliases" not in model
    assert {"key": "gates", "value": "failed"} in version["model_version"]["tags"]


def test_an_unchanged_flow_makes_nothing_anew(
    project: Any, pay: ModelDeclaration, mlflow_url: str, tmp_path: Path
) -> None:
    declaration = replace(pay, name="steady_pay")
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "labels").symlink_to(project.labels)
    opened = []

    def open_store() -> Any:
        opened.append(True)
        return project.store

    for _ in range(2):
        _, made_set = make_training_set(declaration, tmp_path, project.directory, open_store)
        figures, made_version = make_version(declaration, tmp_path, mlflow_url)
        promoted = promote_version(declaration, tmp_path, mlflow_url, "first")

    assert opened == [True]
    assert (made_set, made_version) == (False, False)
    assert (figures.version, promoted.alias) == ("1", "champion")
