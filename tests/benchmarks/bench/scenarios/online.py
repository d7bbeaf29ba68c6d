"""Requests over HTTP: one row at 32 connections, and 1,000 rows a request, against the empty endpoint and every peer."""

from collections.abc import Callable, Sequence

from bench.environments import EnvironmentFailedError
from bench.load import LoadError, Sample, encode_request
from bench.outcome import Bound, Outcome, Row
from bench.peers import Peer, peers
from bench.processes import Server, StartError, Worker
from bench.ratios import alternate, ratio
from bench.reference import booster, predict_seconds
from bench.requests import arrow_bulk, json_bulk, single
from bench.stage import Stage

__all__ = ["bulk_arrow", "bulk_json", "single_score"]

CONNECTIONS = 32
BULK_CONNECTIONS = 4
BULK_ROWS = 1000
SINGLE_REQUESTS = 2000
BULK_REQUESTS = 20
PEER_FAILURES = (EnvironmentFailedError, StartError, LoadError)
FIRST_PEER = peers()[0].name


def single_score(stage: Stage, outcome: Outcome) -> None:
    """One score by id; peers that cannot read features get them in the request, which favours them."""
    entities = [group[0] for group in stage.entity_groups(SINGLE_REQUESTS, 1)]
    requests = [single(entity, stage.api_key) for entity in entities]
    with stage.ours() as ours:
        with stage.echo() as echo:
            bodies = [encode_request("POST", "/echo", request.split(b"\r\n\r\n", 1)[1]) for request in requests]
            mine, theirs = pair(stage, ours, requests, echo, bodies, CONNECTIONS)
            outcome.rows.append(throughput_row("single score", "empty FastAPI endpoint", mine, theirs, Bound("≥", 1.0)))
        for peer in peers():
            groups = [[entity] for entity in entities]
            measured = against(stage, outcome, "single score", ours, requests, peer, groups, CONNECTIONS)
            if measured is None:
                continue
            mine, theirs = measured
            first = peer.name == FIRST_PEER
            bound = Bound("≥", 25.0) if first else None
            outcome.rows.append(throughput_row("single score", peer.name, mine, theirs, bound, note_of(peer)))
            if first:
                outcome.rows.append(tail_row(peer.name, mine, theirs))


def bulk_json(stage: Stage, outcome: Outcome) -> None:
    """1,000 ids as JSON, against the booster's own predict and every peer."""
    groups = stage.entity_groups(BULK_REQUESTS, BULK_ROWS)
    requests = [json_bulk(group, stage.api_key) for group in groups]
    with stage.ours() as ours:
        against_booster(stage, outcome, "bulk JSON, 1,000 ids", ours, requests, Bound("≤", 1.5))
        for peer in peers():
            measured = against(stage, outcome, "bulk JSON, 1,000 ids", ours, requests, peer, groups, BULK_CONNECTIONS)
            if measured is not None:
                bound = Bound("≥", 25.0) if peer.name == FIRST_PEER else None
                row = throughput_row("bulk JSON, 1,000 ids", peer.name, *measured, bound, note_of(peer), BULK_ROWS)
                outcome.rows.append(row)


def bulk_arrow(stage: Stage, outcome: Outcome) -> None:
    """1,000 ids as an Arrow stream, against the booster's own predict."""
    groups = stage.entity_groups(BULK_REQUESTS, BULK_ROWS)
    requests = [arrow_bulk(group, stage.api_key) for group in groups]
    with stage.ours() as ours:
        against_booster(stage, outcome, "bulk Arrow, 1,000 ids", ours, requests, Bound("≤", 1.25))


def against_booster(
    stage: Stage, outcome: Outcome, what: str, ours: Server, requests: Sequence[bytes], bound: Bound
) -> None:
    """Time of a request at one connection over the time of the booster's predict on the same number of ready rows."""
    with booster(stage) as worker:
        mine, theirs = alternate(
            lambda: stage.load(ours.port, requests, 1), lambda: reference(stage, worker), stage.mode.rounds
        )
    medians = [sample.p50 for sample in mine]
    outcome.rows.append(
        Row(
            what=what,
            against="booster's own predict",
            measured=ratio(medians, theirs),
            target=bound,
            ours=f"{milliseconds(medians)} ms",
            theirs=f"{milliseconds(theirs)} ms",
            note=f"one connection, median; {errors(mine)}",
        )
    )


def reference(stage: Stage, worker: Worker) -> float:
    return predict_seconds(worker, BULK_ROWS, stage.mode.seconds)


def against(
    stage: Stage,
    outcome: Outcome,
    what: str,
    ours: Server,
    requests: Sequence[bytes],
    peer: Peer,
    groups: Sequence[Sequence[int]],
    connections: int,
) -> tuple[list[Sample], list[Sample]] | None:
    """Measure ours and a peer in turn; where the peer cannot run here, the table says why."""
    try:
        with stage.peer(peer) as server:
            return pair(stage, ours, requests, server, [peer.request(group) for group in groups], connections)
    except PEER_FAILURES as error:
        outcome.rows.append(Row(what, peer.name, None, note=str(error)[-300:]))
        return None


def pair(
    stage: Stage, ours: Server, requests: Sequence[bytes], other: Server, others: Sequence[bytes], connections: int
) -> tuple[list[Sample], list[Sample]]:
    """Rounds of load in turn on two servers that are both up."""
    load: Callable[[Server, Sequence[bytes]], Sample] = lambda server, sent: stage.load(server.port, sent, connections)  # noqa: E731
    return alternate(lambda: load(ours, requests), lambda: load(other, others), stage.mode.rounds)


def throughput_row(
    what: str,
    against: str,
    mine: Sequence[Sample],
    theirs: Sequence[Sample],
    bound: Bound | None,
    note: str = "",
    rows: int = 1,
) -> Row:
    """Ratio of throughputs."""
    return Row(
        what=f"{what}, throughput",
        against=against,
        measured=ratio([sample.throughput for sample in mine], [sample.throughput for sample in theirs]),
        target=bound,
        ours=figures(mine, rows),
        theirs=figures(theirs, rows),
        note="; ".join(filter(None, (note, errors([*mine, *theirs])))),
    )


def tail_row(against: str, mine: Sequence[Sample], theirs: Sequence[Sample]) -> Row:
    """Ratio of p99."""
    return Row(
        what="single score, p99",
        against=against,
        measured=ratio([sample.p99 for sample in mine], [sample.p99 for sample in theirs]),
        target=Bound("≤", 0.1),
        ours=f"{milliseconds([sample.p99 for sample in mine])} ms",
        theirs=f"{milliseconds([sample.p99 for sample in theirs])} ms",
    )


def figures(samples: Sequence[Sample], rows: int) -> str:
    """Medians over the rounds."""
    middle = sorted(samples, key=lambda sample: sample.throughput)[len(samples) // 2]
    unit = "requests/s" if rows == 1 else "rows/s"
    return (
        f"{middle.throughput * rows:,.0f} {unit}; p50 {middle.p50 * 1e3:.2f}, p99 {middle.p99 * 1e3:.2f}, "
        f"p99.9 {middle.p999 * 1e3:.2f} ms; generator {middle.busy:.0%} busy"
    )


def milliseconds(seconds: Sequence[float]) -> str:
    return f"{sorted(seconds)[len(seconds) // 2] * 1e3:.2f}"


def errors(samples: Sequence[Sample]) -> str:
    total = sum(sample.errors for sample in samples)
    return f"{total} errors" if total else ""


def note_of(peer: Peer) -> str:
    """What is unlike ours in what the peer was asked for."""
    return peer.note or ("" if peer.reads_features else "features come with the request (favours it)")
