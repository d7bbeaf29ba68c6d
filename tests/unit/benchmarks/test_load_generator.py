"""The load generator counts what a server really answered."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bench.drive import drive
from bench.load import Job, LoadError, Sample, answer_end, encode_request, percentile, run

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
BODY_BYTES = 300_000


class TinyServer:
    """Answers every request by a rule of its number, and keeps what it read."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        self.answered = 0
        self.bodies: set[bytes] = set()
        self._answer = answer
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(connected,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _talk(self, connected: socket.socket) -> None:
        with connected, connected.makefile("rb") as lines:
            try:
                while head := lines.readline():
                    length = 0
                    while (line := lines.readline()) != b"\r\n":
                        name, _, value = line.partition(b":")
                        length = int(value) if name == b"Content-Length" else length
                    body = lines.read(length)
                    assert head.startswith(b"POST /x")
                    with self._lock:
                        self.answered += 1
                        self.bodies.add(body)
                        answer = self._answer(self.answered)
                    connected.sendall(answer)
            except ConnectionError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


def always(answer: bytes) -> Callable[[int], bytes]:
    return lambda _number: answer


@contextmanager
def serving(answer: Callable[[int], bytes]) -> Iterator[TinyServer]:
    server = TinyServer(answer)
    acceptor = threading.Thread(target=server.serve, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        server.close()
        acceptor.join(5)


def load(server: TinyServer, *requests: bytes, connections: int = 3, seconds: float = 0.2) -> Sample:
    sent = requests or (encode_request("POST", "/x", b"{}"),)
    return run(Job(server.port, sent, connections, warm_up_seconds=0, seconds=seconds))


def test_every_answer_is_counted_once() -> None:
    with serving(always(ANSWER)) as server:
        sample = load(server, connections=1)

    assert sample.errors == 0
    assert sample.requests > 0
    assert server.answered - sample.requests in {1, 2}, "the first answer warms up, the last may come after the time"
    assert sample.throughput == pytest.approx(sample.requests / sample.seconds)
    assert 0 < sample.p50 <= sample.p99 <= sample.p999
    assert sample.first_answer == "{}"


def test_answers_without_200_are_errors_and_nothing_else() -> None:
    with serving(lambda number: REFUSAL if number % 2 else ANSWER) as server:
        sample = load(server, connections=1)

    assert abs(sample.errors - sample.requests) <= 1


def test_a_server_that_only_refuses_ends_the_run() -> None:
    with serving(always(REFUSAL)) as server, pytest.raises(LoadError, match="503"):
        load(server, seconds=30)


def test_a_slow_server_is_measured_over_whole_answers() -> None:
    def slowly(_number: int) -> bytes:
        threading.Event().wait(0.15)
        return ANSWER

    with serving(slowly) as server:
        sample = load(server, connections=1, seconds=0.01)

    assert sample.requests == 1
    assert sample.throughput == pytest.approx(1 / sample.seconds)
    assert sample.throughput < 1 / 0.15


def test_a_server_that_is_not_there_ends_the_run() -> None:
    with serving(always(ANSWER)) as server:
        pass

    with pytest.raises(ConnectionError):
        load(server)


def test_an_answer_without_a_length_ends_the_run() -> None:
    with serving(always(b"HTTP/1.1 200 OK\r\n\r\n")) as server, pytest.raises(LoadError, match="neither"):
        load(server)


def test_connections_walk_through_all_requests() -> None:
    bodies = [b"%d" % number for number in range(7)]
    with serving(always(ANSWER)) as server:
        load(server, *(encode_request("POST", "/x", body) for body in bodies))

    assert server.bodies == set(bodies)


def test_bodies_larger_than_a_socket_buffer_pass_both_ways() -> None:
    large = b"x" * BODY_BYTES
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES + large
    with serving(always(answer)) as server:
        sample = load(server, encode_request("POST", "/x", large * 10), connections=2)

    assert sample.requests > 0
    assert sample.errors == 0
    assert server.bodies == {large * 10}


def test_chunked_answers_are_read_to_their_end() -> None:
    with serving(always(CHUNKS)) as server:
        sample = load(server)

    assert sample.requests > 0
    assert answer_end(CHUNKS[:-3]) == 0


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_an_answer_is_whole_only_with_its_last_byte(cut: int) -> None:
    assert answer_end(ANSWER[:cut]) == 0
    assert answer_end(ANSWER) == len(ANSWER)


def test_a_content_length_is_found_behind_other_content_headers() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}"

    assert answer_end(answer) == len(answer)


def test_the_pinned_process_reports_the_same_kind_of_sample() -> None:
    with serving(always(ANSWER)) as server:
        requests = [encode_request("POST", "/x", b"{}", headers="X-API-Key: k\r\n")]
        sample = drive(server.port, requests, connections=2, warm_up_seconds=0.05, seconds=0.2)

    assert sample.requests > 0
    assert server.answered >= sample.requests


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100), (0.001, 1)])
def test_percentiles_are_nearest_rank(share: float, expected: float) -> None:
    assert percentile(range(1, 101), share) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) != percentile([], 0.99)
