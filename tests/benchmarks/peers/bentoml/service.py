"""BentoML over the native booster; features come with the request."""

import os

import bentoml
import lightgbm
import numpy as np


@bentoml.service(workers=1, traffic={"timeout": 60})
class Bench:
    """One booster behind one route."""

    def __init__(self) -> None:
        self.booster = lightgbm.Booster(model_file=os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Score the rows, (n, 32)."""
        return np.asarray(self.booster.predict(rows, num_threads=1))
