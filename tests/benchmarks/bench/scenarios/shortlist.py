"""Shortlists by the recommendation service: time of a request, and how it grows with the pool."""

import asyncio
import http.client
import json
import time
from pathlib import Path

from bench.dataset import entity_ids
from bench.feast_repository import PROJECT
from bench.load import Sample, encode_request
from bench.matching import JOBS, VIEWS, job_ids, match_contract, train_match, write_source
from bench.outcome import Bound, Growth, Outcome, Row
from bench.processes import Server, StartError
from bench.ratios import Ratio
from bench.registration import register
from bench.stage import Stage
from online_features import write_pool

__all__ = ["shortlist"]

LIMIT = 20
REQUESTS = 200
POOL_SECONDS = 300.0
JUDGED = 100_000
"""Candidates in the pool of the row with the target."""


def shortlist(stage: Stage, outcome: Outcome) -> None:
    """Time `POST /v1/shortlist` at one connection, over pools of each size."""
    samples: dict[int, Sample] = {}
    prepare_model(stage)
    for candidates in stage.mode.sizes:
        with stage.service("recommendation", fill(stage, candidates)) as server:
            wait_for_pool(stage, server, candidates)
            requests = [request(stage, job) for job in job_ids(REQUESTS)]
            samples[candidates] = stage.load(server, requests, 1)
    sizes = tuple(samples)
    judged = samples[JUDGED]
    outcome.rows.append(
        Row(
            what=f"shortlist from {JUDGED:,} candidates, p99",
            against="",
            measured=Ratio(judged.p99 * 1e3, judged.p99 * 1e3, judged.p99 * 1e3),
            unit="ms",
            target=Bound("≤", 50.0, "ms"),
            ours=f"p50 {judged.p50 * 1e3:.1f} ms, {judged.requests} requests",
            note=f"one connection, a different job each time, limit {LIMIT}",
        )
    )
    smallest, largest = samples[sizes[0]], samples[sizes[-1]]
    grown = largest.p50 / smallest.p50 / (sizes[-1] / sizes[0])
    outcome.rows.append(
        Row(
            what=f"shortlist, growth of p50 from {sizes[0]:,} to {sizes[-1]:,}",
            against="growth of the pool",
            measured=Ratio(grown, grown, grown),
            target=Bound("≤", 1.0),
            ours=f"{smallest.p50 * 1e3:.1f} → {largest.p50 * 1e3:.1f} ms",
        )
    )
    outcome.growth += [
        Growth("shortlist, p50", sizes, tuple(sample.p50 * 1e6 for sample in samples.values())),
        Growth("shortlist, p99", sizes, tuple(sample.p99 * 1e6 for sample in samples.values())),
    ]


def prepare_model(stage: Stage) -> None:
    """Register the matching model as the recommendation service's champion."""
    model = stage.data.folder / "match.txt"
    if not model.exists():
        stage.data.folder.mkdir(parents=True, exist_ok=True)
        train_match(model)
    register(stage.mlflow, match_contract(model), model, stage.home / "run" / "registered_match")


def fill(stage: Stage, candidates: int) -> str:
    """Materialise candidates and jobs, write the pool, and return the store's URL."""
    name = f"match_{candidates}"
    sources: dict[str, Path] = {}
    for view in VIEWS:
        entities = JOBS if view.join_key == "job_id" else candidates
        sources[view.name] = stage.data.folder / f"{view.name}_{entities}.parquet"
        if not sources[view.name].exists():
            write_source(view, entities, sources[view.name])
    rows = candidates * (len(VIEWS) - 1) + JOBS
    stage.our_repository(name).fill({view: sources[view.name] for view in VIEWS}, rows, "recommendation")
    url = f"redis://{stage.valkey(name)}/0"
    asyncio.run(write_pool(url, PROJECT, "candidates", entity_ids(0, candidates)))
    return url


def request(stage: Stage, job: str) -> bytes:
    """Ask for a job's shortlist."""
    body = json.dumps({"job_id": job, "limit": LIMIT}).encode()
    return encode_request("POST", "/v1/shortlist", body, headers=f"X-API-Key: {stage.api_key}\r\n")


def wait_for_pool(stage: Stage, server: Server, candidates: int) -> None:
    """Wait until the service holds the whole pool. Raises `StartError`."""
    deadline = time.monotonic() + POOL_SECONDS
    headers = {"X-API-Key": stage.api_key, "Content-Type": "application/json"}
    answer = b""
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", "/v1/shortlist", json.dumps({"job_id": job_ids(1)[0]}), headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.status == 200 and json.loads(answer)["pool"]["size"] == candidates:
            return
        time.sleep(0.1)
    raise StartError(f"the pool was not read within {POOL_SECONDS:.0f} s: {answer[:300]!r}")
