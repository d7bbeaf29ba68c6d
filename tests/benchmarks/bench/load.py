"""An HTTP/1.1 keep-alive load generator in pure Python: one epoll loop, raw sockets, requests encoded beforehand.

It runs as a process of its own (`python load.py`, job as JSON on standard input, sample as JSON on standard output), so
that it can be pinned to another core than the server. It imports the standard library alone and starts in 50 ms.
"""

import base64
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

__all__ = ["Job", "LoadError", "Sample", "encode_request", "percentile", "run"]

RECEIVE_BYTES = 1 << 18
POLL_SECONDS = 0.05
NANOSECONDS = 1e9
PATIENCE = 1000


class LoadError(Exception):
    """The server closed a connection, or spoke something that is not HTTP/1.1 with a known length."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to send: every connection walks through `requests` in a circle, each from a start of its own."""

    port: int
    requests: Sequence[bytes]
    connections: int
    warm_up_seconds: float
    seconds: float
    host: str = "127.0.0.1"
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What came back within the measured time; latencies in seconds."""

    requests: int
    errors: int
    """Answers with another status than 200 (they count in neither throughput nor latencies)."""
    seconds: float
    throughput: float
    """Answers with status 200 a second."""
    p50: float
    p99: float
    p999: float
    busy: float
    """Share of the measured time that the generator's own core was in use by it: near 1 it is the bottleneck."""
    answers: int
    """All answers there were, those of the warm-up and errors among them."""
    first_answer: str
    """Start of the first answer's body, for a look at what was measured."""
    server_seconds: float = float("nan")
    """Processor time of the server an answer, where somebody looked: it holds on a busy machine too."""


@dataclass(slots=True)
class Connection:
    """One socket with its place in the circle of requests."""

    socket: socket.socket
    position: int
    sent_at: int = 0
    answered: bool = False
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview | None = None


def encode_request(
    method: str, path: str, body: bytes = b"", *, content_type: str = "application/json", headers: str = ""
) -> bytes:
    """Encode one keep-alive request; `headers` are further lines, each ended by CRLF."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}"
    if body:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest-rank percentile of values in ascending order; NaN if there are none."""
    if not ordered:
        return float("nan")
    rank = max(1, -int(-share * len(ordered) // 1))
    return ordered[min(rank, len(ordered)) - 1]


def answer_end(data: bytes | bytearray) -> int:
    """Length of the first whole answer in `data`, 0 if it is not whole yet. Raises `LoadError` for no known length."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return 0
    at = data.find(b"ontent-", 0, head)
    while at >= 0:
        if data[at + 7 : at + 14].lower() == b"length:":
            stop = data.find(b"\r\n", at)
            end = head + 4 + int(data[at + 14 : stop])
            return end if len(data) >= end else 0
        at = data.find(b"ontent-", at + 7, head)
    if b"chunked" not in data[:head].lower():
        raise LoadError("an answer has neither content-length nor chunks")
    # Our own answers hold no such bytes but at the end, and no request is pipelined.
    return len(data) if data.endswith(b"\r\n0\r\n\r\n") else 0


class Loop:
    """Sends and receives until the time is over, then reports.

    Measuring begins after the warm-up and not before every connection has had an answer, and ends after the time and
    not before as many answers as there are connections: a slow server is neither charged for its first request nor
    for those that its answers straddle.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._latencies: list[int] = []
        self._errors = 0
        self._answers = 0
        self._refused = 0
        self._first_answer = ""
        self._last_answer_at = 0

    def run(self) -> Sample:
        """Run the job and close all connections. Raises `LoadError` when the server goes away."""
        try:
            self._connect()
            for connection in self._connections.values():
                self._send(connection)
            self._warm_up()
            return self._measure()
        finally:
            self._close()

    def _warm_up(self) -> None:
        waiting = self._connections.values()
        self._turn(self._job.warm_up_seconds, lambda: all(each.answered for each in waiting))
        self._latencies.clear()
        self._errors = 0

    def _measure(self) -> Sample:
        started = time.perf_counter_ns()
        processor = time.process_time()
        self._turn(self._job.seconds, lambda: len(self._latencies) >= self._job.connections)
        seconds = (self._last_answer_at - started) / NANOSECONDS
        return self._sample(seconds, time.process_time() - processor)

    def _turn(self, seconds: float, enough: Callable[[], bool]) -> None:
        until = time.perf_counter() + seconds
        give_up = until + self._job.timeout_seconds
        while (now := time.perf_counter()) < until or not enough():
            if now > give_up:
                raise LoadError("no answer within the time limit")
            for descriptor, event in self._poll.poll(POLL_SECONDS):
                self._handle(self._connections[descriptor], event)

    def _connect(self) -> None:
        stride = max(1, len(self._job.requests) // self._job.connections)
        for index in range(self._job.connections):
            connected = socket.create_connection((self._job.host, self._job.port), self._job.timeout_seconds)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setblocking(False)
            self._connections[connected.fileno()] = Connection(connected, index * stride)
            self._poll.register(connected.fileno(), select.EPOLLIN)

    def _close(self) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._poll.close()

    def _send(self, connection: Connection) -> None:
        requests = self._job.requests
        request = requests[connection.position % len(requests)]
        connection.position += 1
        connection.sent_at = time.perf_counter_ns()
        self._write(connection, memoryview(request))

    def _write(self, connection: Connection, data: memoryview) -> None:
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        waiting = connection.unsent is not None
        connection.unsent = data[sent:] if sent < len(data) else None
        if waiting != (connection.unsent is not None):
            events = select.EPOLLIN | (0 if waiting else select.EPOLLOUT)
            self._poll.modify(connection.socket.fileno(), events)

    def _handle(self, connection: Connection, event: int) -> None:
        if event & select.EPOLLOUT and connection.unsent is not None:
            self._write(connection, connection.unsent)
        if not event & ~select.EPOLLOUT:
            return
        try:
            data: bytes | bytearray = connection.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise LoadError("the server closed a connection")
        if connection.received:
            connection.received += data
            data = connection.received
        if not answer_end(data):
            if data is not connection.received:
                connection.received += data
            return
        self._answered(connection, data)
        connection.received = bytearray()
        self._send(connection)

    def _answered(self, connection: Connection, data: bytes | bytearray) -> None:
        now = self._last_answer_at = time.perf_counter_ns()
        connection.answered = True
        self._answers += 1
        if data[9:12] == b"200":
            self._latencies.append(now - connection.sent_at)
        else:
            self._errors += 1
            self._refused += 1
            if self._refused > PATIENCE and not self._latencies:
                raise LoadError(f"only errors: {bytes(data[:600]).decode(errors='replace')}")
        if not self._first_answer:
            self._first_answer = bytes(data[data.find(b"\r\n\r\n") + 4 :][:400]).decode(errors="replace")

    def _sample(self, seconds: float, busy: float) -> Sample:
        ordered = sorted(self._latencies)
        return Sample(
            requests=len(ordered),
            errors=self._errors,
            seconds=seconds,
            throughput=len(ordered) / seconds,
            p50=percentile(ordered, 0.5) / NANOSECONDS,
            p99=percentile(ordered, 0.99) / NANOSECONDS,
            p999=percentile(ordered, 0.999) / NANOSECONDS,
            busy=busy / seconds,
            answers=self._answers,
            first_answer=self._first_answer,
        )


def run(job: Job) -> Sample:
    """Run one job in this process."""
    return Loop(job).run()


def main() -> None:
    """Read a job from standard input, pin, run, and write the sample."""
    fields = json.load(sys.stdin)
    if (core := fields.pop("core")) is not None:
        os.sched_setaffinity(0, {core})
    fields["requests"] = [base64.b64decode(each) for each in fields["requests"]]
    json.dump(asdict(run(Job(**fields))), sys.stdout)


if __name__ == "__main__":
    main()
