"""Connections of workers: even from the first, handed on between requests, and never with a request in them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.connection_counts import ConnectionCounts
from serving.connections import COUNTS_FILE, SharedConnections
from serving.run import listening_socket, server_of
from serving.settings import Settings

LARGE = 64 * 1024 * 1024


def _app(worker: int) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for answer in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{answer}.complete"})
            return
        body = b"%d" % worker
        if scope["path"] == "/large":
            body *= LARGE
        elif scope["path"] != "/early":
            while (await receive())["more_body"]:
                pass
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


class Worker:
    """A worker in this process: its server, and the port that only it listens to."""

    def __init__(self, directory: Path, place: int, workers: int) -> None:
        settings = Settings(worker=place, siblings=workers, counts_directory=directory)
        self.listener = listening_socket("127.0.0.1", 0)
        self.port = int(self.listener.getsockname()[1])
        self.server = server_of(_app(place), settings)
        self.callers: list[Caller] = []

    @property
    def shared(self) -> SharedConnections:
        assert self.server.shared is not None
        return self.server.shared

    async def start(self) -> None:
        config = self.server.config
        config.load()
        self.server.lifespan = config.lifespan_class(config)
        await self.server.startup([self.listener])

    async def call(self) -> "Caller":
        """Open a connection to this worker's port."""
        caller = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        self.callers.append(caller)
        return caller

    async def stop(self) -> None:
        for caller in self.callers:
            caller.writer.close()
        self.server.force_exit = True
        await self.server.shutdown([self.listener])
        await self.server.lifespan.shutdown()

    def level(self) -> None:
        self.shared._timer.cancel()
        self.shared._level()


class Caller:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    def send(self, text: str) -> None:
        self.writer.write(text.encode())

    async def answer(self) -> str:
        """Read an answer; gives its body, which names the worker."""
        async with asyncio.timeout(20):
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            return (await self._reader.readexactly(length)).decode()

    async def ask(self) -> str:
        self.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        return await self.answer()

    async def is_closed(self) -> bool:
        async with asyncio.timeout(20):
            return await self._reader.read() == b""


def _held(directory: Path, workers: int = 2) -> list[int]:
    return [int(one) for one in ConnectionCounts(directory / COUNTS_FILE, 0, workers).held()]


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def _two(directory: Path) -> AsyncIterator[tuple[Worker, Worker]]:
    workers = (Worker(directory, 0, 2), Worker(directory, 1, 2))
    for worker in workers:
        await worker.start()
    try:
        yield workers
    finally:
        for worker in workers:
            await worker.stop()


Scenario = Callable[[Path, Worker, Worker], Awaitable[None]]


@pytest.fixture
def over_two(tmp_path: Path) -> Callable[[Scenario], None]:
    """Run a scenario over two workers, the first of which accepts."""

    async def run(scenario: Scenario) -> None:
        async with _two(tmp_path) as (first, second):
            await scenario(tmp_path, first, second)

    return lambda scenario: uvloop.run(run(scenario))


def test_each_new_connection_goes_to_the_worker_with_the_fewest(over_two: Callable[[Scenario], None]) -> None:
    async def scenario(directory: Path, first: Worker, _: Worker) -> None:
        callers = [await first.call() for _ in range(8)]
        answers = [await caller.ask() for caller in callers]
        again = [await caller.ask() for caller in callers]

        assert sorted(answers) == ["0"] * 4 + ["1"] * 4
        assert again == answers
        assert _held(directory) == [4, 4]
        for caller in callers:
            caller.writer.close()
        await _until(lambda: _held(directory) == [0, 0])

    over_two(scenario)


def test_connections_that_come_in_one_rush_are_spread_too(over_two: Callable[[Scenario], None]) -> None:
    async def scenario(directory: Path, first: Worker, _: Worker) -> None:
        callers = await asyncio.gather(*(first.call() for _ in range(500)))
        answers = await asyncio.gather(*(caller.ask() for caller in callers))

        assert sorted(answers) == ["0"] * 250 + ["1"] * 250
        assert _held(directory) == [250, 250]

    over_two(scenario)


def test_a_worker_above_its_share_hands_on_what_is_idle_and_callers_notice_nothing(
    over_two: Callable[[Scenario], None],
) -> None:
    async def scenario(directory: Path, first: Worker, second: Worker) -> None:
        callers = [await first.call() for _ in range(8)]
        answers = [await caller.ask() for caller in callers]
        for caller, answer in zip(callers, answers, strict=True):
            if answer == "1":
                caller.writer.close()
        await _until(lambda: _held(directory) == [4, 0])
        stay = [caller for caller, answer in zip(callers, answers, strict=True) if answer == "0"]

        first.level()
        second.level()

        assert sorted([await caller.ask() for caller in stay]) == ["0", "0", "1", "1"]
        assert _held(directory) == [2, 2]
        first.level()
        assert sorted([await caller.ask() for caller in stay]) == ["0", "0", "1", "1"]

    over_two(scenario)


@pytest.mark.parametrize(
    ("begun", "rest"),
    [
        ("G", "ET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab", "cd"),
    ],
)
@pytest.mark.parametrize("was_served", [True, False])
def test_a_connection_with_a_begun_request_stays(
    over_two: Callable[[Scenario], None], begun: str, rest: str, was_served: bool
) -> None:
    async def scenario(directory: Path, first: Worker, _: Worker) -> None:
        callers = [await first.call() for _ in range(4)]
        # The first, third and so on of new connections stay with who accepts them.
        await _until(lambda: _held(directory) == [2, 2])
        answers = [await caller.ask() for caller in callers] if was_served else ["0", "1", "0", "1"]
        for caller, answer in zip(callers, answers, strict=True):
            if answer == "1":
                caller.writer.close()
        busy = [caller for caller, answer in zip(callers, answers, strict=True) if answer == "0"]
        for caller in busy:
            caller.send(begun)
        await _until(lambda: _held(directory) == [2, 0])
        await _until(lambda: not any(connection.is_idle for connection in first.shared._connections))

        first.level()
        for caller in busy:
            caller.send(rest)

        assert [await caller.answer() for caller in busy] == ["0", "0"]
        assert _held(directory) == [2, 0]
        first.level()
        assert sorted([await caller.ask() for caller in busy]) == ["0", "1"]

    over_two(scenario)


def test_a_connection_whose_request_was_answered_before_its_end_stays_until_the_end(
    over_two: Callable[[Scenario], None],
) -> None:
    async def scenario(directory: Path, first: Worker, _: Worker) -> None:
        callers = [await first.call() for _ in range(2)]
        kept = callers[0] if await callers[0].ask() == "0" else callers[1]
        other = callers[1] if kept is callers[0] else callers[0]
        await kept.ask()
        more = await first.call()
        await more.ask()
        other.writer.close()
        await _until(lambda: _held(directory)[1] == 0)
        for caller in (kept, more):
            caller.send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 40\r\n\r\n")
            await caller.answer()

        first.level()
        for caller in (kept, more):
            caller.send("GET /not-a-request HTTP/1.1, but a body." + "GET / HTTP/1.1\r\nhost: a\r\n\r\n")

        assert [await caller.answer() for caller in (kept, more)] == ["0", "0"]

    over_two(scenario)


def test_a_connection_stays_while_bytes_of_its_answer_wait(over_two: Callable[[Scenario], None]) -> None:
    async def scenario(directory: Path, first: Worker, _: Worker) -> None:
        callers = [await first.call() for _ in range(4)]
        answers = [await caller.ask() for caller in callers]
        for caller, answer in zip(callers, answers, strict=True):
            if answer == "1":
                caller.writer.close()
        slow = [caller for caller, answer in zip(callers, answers, strict=True) if answer == "0"]
        for caller in slow:
            caller.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        await _until(lambda: _held(directory) == [2, 0])
        await _until(lambda: all(one.cycle.response_complete for one in first.shared._connections))

        first.level()

        assert [len(await caller.answer()) for caller in slow] == [LARGE, LARGE]
        assert _held(directory) == [2, 0]

    over_two(scenario)


def test_a_connection_that_was_handed_on_is_closed_when_nothing_comes(over_two: Callable[[Scenario], None]) -> None:
    async def scenario(directory: Path, first: Worker, second: Worker) -> None:
        first.server.config.timeout_keep_alive = 3600
        callers = [await first.call() for _ in range(4)]
        answers = [await caller.ask() for caller in callers]
        for caller, answer in zip(callers, answers, strict=True):
            if answer == "1":
                caller.writer.close()
        await _until(lambda: _held(directory) == [2, 0])
        second.server.config.timeout_keep_alive = 0

        first.level()

        stay = [caller for caller, answer in zip(callers, answers, strict=True) if answer == "0"]
        ended = [asyncio.ensure_future(caller.is_closed()) for caller in stay]
        done, waiting = await asyncio.wait(ended, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert [one.result() for one in done] == [True]
        await _until(lambda: _held(directory) == [1, 0])
        for one in waiting:
            one.cancel()

    over_two(scenario)


def test_a_worker_without_siblings_that_take_keeps_what_it_accepts(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Worker(tmp_path, 0, 3)
        await first.start()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(str(tmp_path / "1.inbox"))
        callers = [await first.call() for _ in range(5)]

        assert [await caller.ask() for caller in callers] == ["0"] * 5
        first.level()
        assert [await caller.ask() for caller in callers] == ["0"] * 5
        assert _held(tmp_path, 3) == [5, 0, 0]
        await first.stop()

    uvloop.run(scenario())


def test_who_takes_a_dead_workers_place_begins_with_nothing_and_gets_its_share(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Worker(tmp_path, 0, 2)
        await first.start()
        callers = [await first.call() for _ in range(6)]
        assert [await caller.ask() for caller in callers] == ["0"] * 6
        before = ConnectionCounts(tmp_path / COUNTS_FILE, 1, 2)
        before.give(1, 9)

        second = Worker(tmp_path, 1, 2)
        await second.start()
        assert _held(tmp_path) == [6, 0]
        first.level()

        assert sorted([await caller.ask() for caller in callers]) == ["0"] * 3 + ["1"] * 3
        await first.stop()
        await second.stop()

    uvloop.run(scenario())


def test_what_is_on_its_way_to_a_worker_that_stops_is_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _two(tmp_path) as (first, second):
            callers = [await first.call() for _ in range(20)]
            for caller in callers:
                caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")

            await second.shared.close()

            assert len([await caller.answer() for caller in callers]) == 20
            later = await first.call()
            assert await later.ask() == "0"

    uvloop.run(scenario())


def test_where_an_inbox_cannot_be_made_the_worker_serves_what_it_accepts(tmp_path: Path) -> None:
    async def scenario() -> None:
        directory = tmp_path / ("d" * 120)
        directory.mkdir()
        async with _two(directory) as (first, _):
            callers = [await first.call() for _ in range(4)]
            assert [await caller.ask() for caller in callers] == ["0"] * 4

    uvloop.run(scenario())


def test_counts_are_seen_by_all_and_never_negative(tmp_path: Path) -> None:
    first, second = (ConnectionCounts(tmp_path / "counts", place, 2) for place in range(2))
    first.give(0)
    first.give(1, 3)
    second.give(0, 2)
    second.end()

    assert first.held().tolist() == second.held().tolist() == [3, 2]
    second.begin()
    assert np.array_equal(first.held(), [3, 0])
