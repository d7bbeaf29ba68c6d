"""The reference: LightGBM's own `predict` on the ready matrix, one thread."""

import json
import os
import sys
import time

import lightgbm

from bench.dataset import feature_rows
from bench.load import percentile

__all__: list[str] = []


def main() -> None:
    """Answer `{"rows", "seconds"}` with the median seconds of a call; the first argument is the model's file."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    booster = lightgbm.Booster(model_file=sys.argv[1], params={"num_threads": 1})
    known = feature_rows(0)
    for line in sys.stdin:
        question = json.loads(line)
        size = int(question["rows"])
        taken: list[float] = []
        start = 0
        until = time.perf_counter() + float(question["seconds"])
        while time.perf_counter() < until or len(taken) < 3:
            matrix = known[start : start + size]
            begun = time.perf_counter()
            booster.predict(matrix, num_threads=1)
            taken.append(time.perf_counter() - begun)
            start = (start + size) % (len(known) - size + 1)
        answers.write(json.dumps({"p50": percentile(sorted(taken), 0.5), "calls": len(taken)}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
