"""A serving process by itself: start to ready, memory, and a long Arrow stream."""

import json
import subprocess
import sys
from collections.abc import Sequence

from bench.environments import EnvironmentFailedError
from bench.outcome import Bound, Outcome, Row
from bench.peers import peers
from bench.processes import LOAD_CORE, PIN, Server, StartError
from bench.ratios import Ratio
from bench.requests import json_bulk, single
from bench.stage import HARNESS, PEER_ENTITIES, Stage

__all__ = ["arrow_stream", "start_up"]

MEGABYTE = 1e6
STREAM_BATCH = 10_000


def start_up(stage: Stage, outcome: Outcome) -> None:
    """Process start to the first 200 on `/readyz` with a warm artefact cache, and memory after load; peers beside."""
    with stage.ours():
        pass
    ready: list[float] = []
    resident: list[float] = []
    for _ in range(stage.mode.rounds):
        with stage.ours() as ours:
            ready.append(ours.ready_seconds)
            work(stage, ours)
            resident.append(ours.memory().resident / MEGABYTE)
    outcome.rows.append(absolute("process start to ready, warm artefact cache", ready, "s", Bound("≤", 3.0, "s")))
    outcome.rows.append(absolute("resident memory of a serving process", resident, "MB", Bound("≤", 250.0, "MB")))
    for peer in peers():
        try:
            with stage.peer(peer) as server:
                size = server.memory().resident / MEGABYTE
                outcome.rows.append(
                    Row(
                        what="start to ready, for comparison",
                        against=peer.name,
                        measured=Ratio(server.ready_seconds, server.ready_seconds, server.ready_seconds),
                        unit="s",
                        theirs=f"{size:,.0f} MB resident before load",
                    )
                )
        except (EnvironmentFailedError, StartError) as error:
            outcome.rows.append(Row("start to ready", peer.name, None, note=str(error)[-300:]))


def arrow_stream(stage: Stage, outcome: Outcome) -> None:
    """One Arrow stream of a million ids: peak memory of the server, and the last tenth's rate over the first's."""
    rows = stage.mode.stream_rows
    known = min(stage.largest, 100_000)
    with stage.ours() as ours:
        before = ours.memory().resident / MEGABYTE
        arguments = [str(number) for number in (ours.port, rows, known, STREAM_BATCH)]
        done = subprocess.run(
            [sys.executable, "-S", "-c", PIN, str(LOAD_CORE), sys.executable, "-m", "bench.stream_client", *arguments],
            env={"PYTHONPATH": str(HARNESS), "OFFERS_API_KEY": stage.api_key},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StartError(f"the stream broke: {done.stderr.strip()[-500:]}")
        answer = json.loads(done.stdout)
        peak = ours.memory().peak / MEGABYTE
    if answer["rows"] != rows:
        raise StartError(f"{answer['rows']} rows came back of {rows}")
    what = f"{rows:,}-row Arrow stream"
    outcome.rows.append(
        Row(
            what=f"{what}, peak memory",
            against="",
            measured=Ratio(peak, peak, peak),
            unit="MB",
            target=Bound("≤", 300.0, "MB"),
            ours=f"{before:,.0f} MB before",
        )
    )
    first, last = answer["rates"][0], answer["rates"][-1]
    outcome.rows.append(
        Row(
            what=f"{what}, rate of the last tenth",
            against="the first tenth",
            measured=Ratio(last / first, last / first, last / first),
            target=Bound("≥", 0.9),
            ours=f"{answer['rows'] / answer['seconds']:,.0f} rows/s over all; {last:,.0f} rows/s at the end",
            theirs=f"{first:,.0f} rows/s",
            note="0.9 allows for noise",
        )
    )


def work(stage: Stage, ours: Server) -> None:
    """Put the process to work before it is weighed."""
    groups = stage.entity_groups(20, 1000)
    stage.load(ours, [json_bulk(group, stage.api_key) for group in groups], 4)
    stage.load(ours, [single(entity, stage.api_key) for entity in range(0, PEER_ENTITIES, 20)], 32)


def absolute(what: str, values: Sequence[float], unit: str, bound: Bound) -> Row:
    """Row of a figure that is no ratio."""
    median = sorted(values)[len(values) // 2]
    return Row(what, "", Ratio(median, min(values), max(values)), unit, bound)
