"""LitServe over the native booster; features come with the request."""

import os
import sys
from typing import Any

import lightgbm
import litserve
import numpy as np
from numpy.typing import NDArray


class Bench(litserve.LitAPI):
    """One booster behind one route."""

    def setup(self, device: str) -> None:
        """Load the booster."""
        del device
        self.booster = lightgbm.Booster(model_file=os.environ["BENCH_MODEL"])

    def decode_request(self, request: dict[str, Any]) -> NDArray[np.float64]:
        """Take the rows, (n, 32)."""
        return np.asarray(request["rows"], dtype=np.float64)

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score the rows."""
        return np.asarray(self.booster.predict(rows, num_threads=1))

    def encode_response(self, scores: NDArray[np.float64]) -> dict[str, list[float]]:
        """Give the scores as JSON."""
        return {"predictions": scores.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Bench(), accelerator="cpu", workers_per_device=1, timeout=60).run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning"
    )
