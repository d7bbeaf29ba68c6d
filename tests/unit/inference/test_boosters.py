import gc
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from inference.boosters import Booster, load_booster
from inference.boosters.lightgbm import LightGBMBooster
from inference.boosters.xgboost import XGBoostBooster
from inference.contract import BoosterSpec
from inference.errors import ArtifactError

Matrix = NDArray[np.float64]


@pytest.fixture(scope="module")
def lightgbm_pair(model_directory: Path) -> tuple[LightGBMBooster, Any]:
    import lightgbm

    path = model_directory / "model.lgb"
    return LightGBMBooster(path, bulk_rows=64, bulk_threads=2), lightgbm.Booster(model_file=path)


@pytest.fixture(scope="module")
def xgboost_pair(xgboost_directory: Path) -> tuple[XGBoostBooster, Any]:
    import xgboost

    path = xgboost_directory / "model.ubj"
    return XGBoostBooster(path), xgboost.Booster(model_file=str(path))


def matrices(columns: int) -> st.SearchStrategy[Matrix]:
    """Any rows, none too: numbers of every size, NaN, category codes within and beyond the model's."""
    values = st.one_of(
        st.floats(-1e12, 1e12, width=64),
        st.integers(0, 5).map(float),
        st.just(float("nan")),
    )
    rows = st.sampled_from([0, 1, 2, 8, 9, 40, 100])
    return rows.flatmap(lambda n: arrays(np.float64, (n, columns), elements=values, fill=st.just(0.5)))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_lightgbm_is_bit_equal_to_its_own_package(
    lightgbm_pair: tuple[LightGBMBooster, Any], data: st.DataObject
) -> None:
    ours, theirs = lightgbm_pair
    matrix = data.draw(matrices(ours.num_features))

    expected = theirs.predict(matrix) if len(matrix) else np.empty(0)

    assert ours.predict(matrix).tobytes() == np.asarray(expected, dtype=np.float64).tobytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_xgboost_is_bit_equal_to_inplace_predict(xgboost_pair: tuple[XGBoostBooster, Any], data: st.DataObject) -> None:
    ours, theirs = xgboost_pair
    matrix = data.draw(matrices(ours.num_features))

    expected = theirs.inplace_predict(matrix).astype(np.float64) if len(matrix) else np.empty(0)

    assert ours.predict(matrix).tobytes() == expected.tobytes()


def test_lightgbm_contributions_are_those_of_its_package(lightgbm_pair: tuple[LightGBMBooster, Any]) -> None:
    ours, theirs = lightgbm_pair
    matrix = np.random.default_rng(0).uniform(0, 4, (7, ours.num_features))

    contributions = ours.contributions(matrix)

    assert contributions.tobytes() == theirs.predict(matrix, pred_contrib=True).tobytes()
    # A regression's margin is its output.
    np.testing.assert_allclose(contributions.sum(axis=1), ours.predict(matrix))


def test_xgboost_contributions_are_those_of_its_package(xgboost_pair: tuple[XGBoostBooster, Any]) -> None:
    import xgboost

    ours, theirs = xgboost_pair
    matrix = np.random.default_rng(0).integers(0, 4, (7, ours.num_features)).astype(np.float64)
    rows = xgboost.DMatrix(matrix, feature_types=theirs.feature_types, enable_categorical=True)

    contributions = ours.contributions(matrix)

    assert contributions.tobytes() == theirs.predict(rows, pred_contribs=True).astype(np.float64).tobytes()


@pytest.mark.parametrize("pair", ["lightgbm_pair", "xgboost_pair"])
def test_no_rows_give_no_contributions(pair: str, request: pytest.FixtureRequest) -> None:
    booster: Booster = request.getfixturevalue(pair)[0]

    assert booster.contributions(np.empty((0, booster.num_features))).shape == (0, booster.num_features + 1)


@pytest.mark.parametrize("pair", ["lightgbm_pair", "xgboost_pair"])
def test_a_matrix_in_another_layout_gives_the_same(pair: str, request: pytest.FixtureRequest) -> None:
    booster: Booster = request.getfixturevalue(pair)[0]
    matrix = np.random.default_rng(0).integers(0, 4, (30, booster.num_features)).astype(np.float64)

    assert (booster.predict(np.asfortranarray(matrix)) == booster.predict(matrix)).all()


@pytest.mark.parametrize("pair", ["lightgbm_pair", "xgboost_pair"])
@pytest.mark.parametrize("rows", [1, 20])
def test_a_wrong_number_of_columns_is_refused(pair: str, rows: int, request: pytest.FixtureRequest) -> None:
    booster: Booster = request.getfixturevalue(pair)[0]

    with pytest.raises(ValueError, match=f"booster of {booster.num_features} features"):
        booster.predict(np.zeros((rows, booster.num_features + 1)))


@pytest.mark.parametrize("pair", ["lightgbm_pair", "xgboost_pair"])
def test_threads_share_a_booster(pair: str, request: pytest.FixtureRequest) -> None:
    booster: Booster = request.getfixturevalue(pair)[0]
    rng = np.random.default_rng(0)
    blocks = [rng.integers(0, 4, (n, booster.num_features)).astype(np.float64) for n in (1, 3, 50) * 40]
    expected = [booster.predict(block) for block in blocks]

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(booster.predict, blocks))

    assert all((a == b).all() for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize(("library", "file"), [("lightgbm", "broken.lgb"), ("xgboost", "broken.ubj")])
def test_a_corrupt_file_is_an_artifact_error_with_the_librarys_reason(library: Any, file: str, tmp_path: Path) -> None:
    from inference.boosters.loading import file_sha256

    (tmp_path / file).write_bytes(b"this is no model")
    spec = BoosterSpec(library, file, file_sha256(tmp_path / file))

    with pytest.raises(ArtifactError, match=rf"cannot read {file}: .+"):
        load_booster(spec, tmp_path)


def test_a_file_that_is_not_the_contracts_is_refused(model_directory: Path) -> None:
    with pytest.raises(ArtifactError, match="sha256 differs"):
        load_booster(BoosterSpec("lightgbm", "model.lgb", "0" * 64), model_directory)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.lgb is missing"):
        load_booster(BoosterSpec("lightgbm", "model.lgb", "0" * 64), tmp_path)


def test_a_file_outside_the_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="outside"):
        load_booster(BoosterSpec("lightgbm", "../model.lgb", "0" * 64), tmp_path)


def test_a_model_of_several_classes_is_refused(tmp_path: Path) -> None:
    import lightgbm

    rng = np.random.default_rng(0)
    dataset = lightgbm.Dataset(rng.normal(size=(90, 2)), np.arange(90) % 3, params={"verbose": -1})
    lightgbm.train({"objective": "multiclass", "num_class": 3, "verbose": -1}, dataset, 2).save_model(
        tmp_path / "m.lgb"
    )

    with pytest.raises(ArtifactError, match="several classes"):
        LightGBMBooster(tmp_path / "m.lgb")
    gc.collect()


def test_loading_and_predicting_imports_neither_package(model_directory: Path, xgboost_directory: Path) -> None:
    program = """
import json, sys
from pathlib import Path
import numpy as np
from inference.boosters.lightgbm import LightGBMBooster
from inference.boosters.xgboost import XGBoostBooster
for booster in (LightGBMBooster(Path(sys.argv[1])), XGBoostBooster(Path(sys.argv[2]))):
    booster.predict(np.zeros((20, booster.num_features)))
import inference
print(json.dumps(sorted({"lightgbm", "xgboost", "httpx", "pandas", "sklearn", "mlflow"} & set(sys.modules))))
"""
    paths = [str(model_directory / "model.lgb"), str(xgboost_directory / "model.ubj")]
    done = subprocess.run([sys.executable, "-c", program, *paths], check=True, capture_output=True, text=True)

    assert json.loads(done.stdout) == []
