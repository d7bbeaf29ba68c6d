"""One stream: chunks are read, scored by one model version and written, with two of them in flight."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Send

from inference import LiveModel, Predictor, ScoredRows
from serving.bulk.encodings import Folding, Unfolding
from serving.bulk.forms import Form, Keys, RowReader, RowWriter
from serving.problems import ProblemAnswer

__all__ = ["PinnedModel", "Stream"]

T = TypeVar("T")

_IN_FLIGHT = 2
_FOLD_IN_THREAD_FROM = 64 * 1024


class PinnedModel:
    """A `ModelSource` that does not move: the answer names its model once."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live

    def current(self) -> LiveModel:
        """Give the version."""
        return self._live


class Stream:
    """Scores what comes in, in order, at the pace at which the caller takes the answers."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        predictor: Predictor,
        turns: asyncio.Semaphore,
        step_seconds: float,
    ) -> None:
        """`turns` bounds the chunks scored at once over all streams; no step may take longer than `step_seconds`."""
        self._receive = receive
        self._send = send
        self._predictor = predictor
        self._turns = turns
        self._step_seconds = step_seconds
        self._gone: asyncio.Task[None] | None = None
        self.is_answering = False
        """The answer's status is sent; a failure cannot have its own any more."""

    async def run(
        self, reader: RowReader, unfolding: Unfolding, writer: RowWriter, form: Form, folding: Folding | None
    ) -> None:
        """Serve to the end. Raises problems, and `ClientDisconnect` when the caller has gone."""
        scoring: deque[asyncio.Task[ScoredRows]] = deque()
        try:
            async for keys in self._chunks(reader, unfolding):
                scoring.append(asyncio.create_task(self._score(keys)))
                if len(scoring) == _IN_FLIGHT:
                    await self._write(writer.rows(await self._step(scoring.popleft())), writer, form, folding)
            while scoring:
                await self._write(writer.rows(await self._step(scoring.popleft())), writer, form, folding)
            await self._write(writer.tail(), writer, form, folding, last=True)
        finally:
            for task in scoring:
                task.cancel()
            await asyncio.gather(*scoring, return_exceptions=True)
            if self._gone is not None:
                self._gone.cancel()

    async def fail(self, answer: ProblemAnswer, writer: RowWriter, folding: Folding | None) -> None:
        """End an answer that has begun: with the form's own word where it has one, else cut off."""
        content = writer.failure(answer)
        if content is not None:
            await self._send_body(content, folding, last=True)

    async def _chunks(self, reader: RowReader, unfolding: Unfolding) -> AsyncIterator[Keys]:
        more = True
        while more:
            message = await self._step(self._receive())
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            more = message.get("more_body", False)
            if not more:
                # Nobody receives from here on, and only who receives hears that the caller has gone.
                self._gone = asyncio.create_task(self._wait_for_disconnect())
            for piece in unfolding.feed(message.get("body", b"")):
                reader.feed(piece)
                while (keys := reader.chunk()) is not None:
                    self._check_caller()
                    yield keys
                    await asyncio.sleep(0)
        unfolding.end()
        reader.end()
        while (keys := reader.chunk()) is not None:
            self._check_caller()
            yield keys
            await asyncio.sleep(0)

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _check_caller(self) -> None:
        if self._gone is not None and self._gone.done():
            raise ClientDisconnect

    async def _score(self, keys: Keys) -> ScoredRows:
        async with self._turns:
            return await self._predictor.score(keys)

    async def _write(
        self, content: bytes, writer: RowWriter, form: Form, folding: Folding | None, *, last: bool = False
    ) -> None:
        self._check_caller()
        if not self.is_answering:
            headers = [(b"content-type", form.encode())]
            if folding is not None:
                headers += [(b"content-encoding", folding.name), (b"vary", b"accept-encoding")]
            self.is_answering = True
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            content = writer.head() + content
        await self._send_body(content, folding, last=last)

    async def _send_body(self, content: bytes, folding: Folding | None, *, last: bool) -> None:
        if folding is not None and len(content) >= _FOLD_IN_THREAD_FROM:
            content = await asyncio.to_thread(folding.fold, content, last=last)
        elif folding is not None:
            content = folding.fold(content, last=last)
        await self._step(self._send({"type": "http.response.body", "body": content, "more_body": not last}))

    async def _step(self, work: Awaitable[T]) -> T:
        async with asyncio.timeout(self._step_seconds):
            return await work
