"""Small real models, trained once a session."""

from pathlib import Path

import pytest

from inference.testing import tiny_model


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LightGBM model version with an on-demand feature."""
    directory = tmp_path_factory.mktemp("model")
    tiny_model(directory, on_demand=True, seed=1)
    return directory


@pytest.fixture(scope="session")
def other_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another version of the same registered model: it gives other answers."""
    directory = tmp_path_factory.mktemp("other")
    tiny_model(directory, on_demand=True, seed=2)
    return directory


@pytest.fixture(scope="session")
def xgboost_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("xgboost")
    tiny_model(directory, library="xgboost", task="binary", seed=3)
    return directory
