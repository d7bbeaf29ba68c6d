"""Requests over HTTP: one row at 32 connections, and 1,000 rows a request, against every peer."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.environments import EnvironmentFailedError
from bench.load import LoadError, Sample, encode_request
from bench.outcome import Bound, Outcome, Row
from bench.peers import Peer, peers
from bench.processes import Server, StartError
from bench.ratios import alternate, ratio
from bench.reference import booster, predict_seconds
from bench.requests import arrow_bulk, json_bulk, single
from bench.stage import Stage

__all__ = ["bulk_arrow", "bulk_json", "observing", "single_score"]

CONNECTIONS = 32
BULK_CONNECTIONS = 4
BULK_ROWS = 1000
SINGLE_REQUESTS = 2000
BULK_REQUESTS = 20
PEER_FAILURES = (EnvironmentFailedError, StartError, LoadError)
FIRST_PEER = peers()[0].name

Pairs = tuple[list[Sample], list[Sample]]
"""Samples of ours and of another, round by round."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A running server and what is sent to it."""

    server: Server
    requests: Sequence[bytes]


def single_score(stage: Stage, outcome: Outcome) -> None:
    """One score by id; peers that cannot read features get them in the request, which favours them."""
    entities = [group[0] for group in stage.entity_groups(SINGLE_REQUESTS, 1)]
    requests = [single(entity, stage.api_key) for entity in entities]
    with stage.ours() as ours:
        with stage.echo() as echo:
            bodies = [encode_request("POST", "/echo", request.split(b"\r\n\r\n", 1)[1]) for request in requests]
            measured = pair(stage, Traffic(ours, requests), Traffic(echo, bodies), CONNECTIONS)
            outcome.rows.append(throughput_row("single score", "empty FastAPI endpoint", measured, Bound("≥", 1.0)))
        for peer in peers():
            sent = Traffic(ours, requests)
            pairs = against(stage, sent, peer, [[entity] for entity in entities], CONNECTIONS)
            if isinstance(pairs, str):
                outcome.rows.append(Row("single score", peer.name, None, note=pairs))
                continue
            first = peer.name == FIRST_PEER
            bound = Bound("≥", 25.0) if first else None
            outcome.rows.append(throughput_row("single score", peer.name, pairs, bound, note=peer.note))
            if first:
                outcome.rows.append(tail_row(peer.name, pairs))


def observing(stage: Stage, outcome: Outcome) -> None:
    """Single scores with metrics, drift counts and prediction log, against the same service without them."""
    requests = [single(group[0], stage.api_key) for group in stage.entity_groups(SINGLE_REQUESTS, 1)]
    with stage.ours() as ours, stage.service("bench.service_unobserved", stage.our_redis_url(stage.largest)) as bare:
        measured = pair(stage, Traffic(ours, requests), Traffic(bare, requests), CONNECTIONS)
    against = "the same without metrics, drift counts and log"
    outcome.rows.append(throughput_row("single score", against, measured, Bound("≥", 0.9)))


def bulk_json(stage: Stage, outcome: Outcome) -> None:
    """1,000 ids as JSON, against the booster's own predict and every peer."""
    what = "bulk JSON, 1,000 ids"
    groups = stage.entity_groups(BULK_REQUESTS, BULK_ROWS)
    with stage.ours() as ours:
        sent = Traffic(ours, [json_bulk(group, stage.api_key) for group in groups])
        outcome.rows.append(against_booster(stage, what, sent, Bound("≤", 1.5)))
        for peer in peers():
            pairs = against(stage, sent, peer, groups, BULK_CONNECTIONS)
            if isinstance(pairs, str):
                outcome.rows.append(Row(what, peer.name, None, note=pairs))
                continue
            bound = Bound("≥", 25.0) if peer.name == FIRST_PEER else None
            outcome.rows.append(throughput_row(what, peer.name, pairs, bound, note=peer.note, rows=BULK_ROWS))


def bulk_arrow(stage: Stage, outcome: Outcome) -> None:
    """1,000 ids as an Arrow stream, against the booster's own predict."""
    groups = stage.entity_groups(BULK_REQUESTS, BULK_ROWS)
    with stage.ours() as ours:
        sent = Traffic(ours, [arrow_bulk(group, stage.api_key) for group in groups])
        outcome.rows.append(against_booster(stage, "bulk Arrow, 1,000 ids", sent, Bound("≤", 1.25)))


def against_booster(stage: Stage, what: str, ours: Traffic, bound: Bound) -> Row:
    """Time of a request at one connection over the time of the booster's predict on the same number of ready rows."""
    with booster(stage) as worker:
        mine, theirs = alternate(
            lambda: stage.load(ours.server, ours.requests, 1),
            lambda: predict_seconds(worker, BULK_ROWS, stage.mode.seconds),
            stage.mode.rounds,
        )
    medians = [sample.p50 for sample in mine]
    return Row(
        what=what,
        against="booster's own predict",
        measured=ratio(medians, theirs),
        target=bound,
        ours=f"{milliseconds(medians)} ms",
        theirs=f"{milliseconds(theirs)} ms",
        note="; ".join(filter(None, ("one connection, median", errors(mine)))),
    )


def against(stage: Stage, ours: Traffic, peer: Peer, groups: Sequence[Sequence[int]], connections: int) -> Pairs | str:
    """Measure ours and a peer in turn; where the peer cannot run here, say why."""
    try:
        with stage.peer(peer) as server:
            theirs = Traffic(server, [peer.request(group) for group in groups])
            return pair(stage, ours, theirs, connections)
    except PEER_FAILURES as error:
        return str(error)[-300:]


def pair(stage: Stage, ours: Traffic, theirs: Traffic, connections: int) -> Pairs:
    """Rounds of load in turn on two servers that are both up."""
    return alternate(
        lambda: stage.load(ours.server, ours.requests, connections),
        lambda: stage.load(theirs.server, theirs.requests, connections),
        stage.mode.rounds,
    )


def throughput_row(what: str, against: str, pairs: Pairs, bound: Bound | None, *, note: str = "", rows: int = 1) -> Row:
    """Ratio of throughputs."""
    mine, theirs = pairs
    return Row(
        what=f"{what}, throughput",
        against=against,
        measured=ratio([sample.throughput for sample in mine], [sample.throughput for sample in theirs]),
        target=bound,
        ours=figures(mine, rows),
        theirs=figures(theirs, rows),
        note="; ".join(filter(None, (note, errors([*mine, *theirs])))),
    )


def tail_row(against: str, pairs: Pairs) -> Row:
    """Ratio of p99."""
    mine, theirs = ([sample.p99 for sample in samples] for samples in pairs)
    return Row(
        what="single score, p99",
        against=against,
        measured=ratio(mine, theirs),
        target=Bound("≤", 0.1),
        ours=f"{milliseconds(mine)} ms",
        theirs=f"{milliseconds(theirs)} ms",
    )


def figures(samples: Sequence[Sample], rows: int) -> str:
    """Medians over the rounds."""
    middle = sorted(samples, key=lambda sample: sample.throughput)[len(samples) // 2]
    unit = "requests/s" if rows == 1 else "rows/s"
    return (
        f"{middle.throughput * rows:,.0f} {unit}; p50 {middle.p50 * 1e3:.2f}, p99 {middle.p99 * 1e3:.2f}, "
        f"p99.9 {middle.p999 * 1e3:.2f} ms; {middle.server_seconds * 1e6 / rows:,.0f} µs of the processor each; "
        f"generator {middle.busy:.0%} busy"
    )


def milliseconds(seconds: Sequence[float]) -> str:
    """Median as milliseconds."""
    return f"{sorted(seconds)[len(seconds) // 2] * 1e3:.2f}"


def errors(samples: Sequence[Sample]) -> str:
    """Say how many answers were no 200, if any."""
    total = sum(sample.errors for sample in samples)
    return f"{total} errors" if total else ""
