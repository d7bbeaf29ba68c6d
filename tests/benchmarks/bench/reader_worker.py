"""The platform's reader in a process of its own: times reads of random entities, a JSON line in and a JSON line out."""

import json
import os
import random
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import uvloop

from bench.dataset import ENTITY, entity_ids
from bench.load import percentile
from inference.contract import Contract
from online_features.reader import open_reader

__all__: list[str] = []


async def serve(url: str, contract: Contract, project: str) -> None:
    """Answer `{"entities", "known", "seconds"}` with quantiles of the seconds of one read into the matrix."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    reader = await open_reader(url, contract, project)
    for line in sys.stdin:
        question = json.loads(line)
        ids = entity_ids(0, question["known"])
        chooser = random.Random(question["entities"])
        taken: list[float] = []
        until = time.perf_counter() + question["seconds"]
        while time.perf_counter() < until or len(taken) < 3:
            wanted = chooser.sample(ids, question["entities"])
            started = time.perf_counter()
            rows = await reader.read({ENTITY: wanted})
            taken.append(time.perf_counter() - started)
            if np.isnan(rows.matrix).any():
                raise LookupError("a materialised entity was not found")
        ordered = sorted(taken)
        answer = {"p50": percentile(ordered, 0.5), "p99": percentile(ordered, 0.99), "calls": len(ordered)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    await reader.close()


def main() -> None:
    """Arguments: Redis URL, contract file, Feast project."""
    url, contract, project = sys.argv[1:]
    uvloop.run(serve(url, msgspec.json.decode(Path(contract).read_bytes(), type=Contract), project))


if __name__ == "__main__":
    main()
