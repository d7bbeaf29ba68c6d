"""One stream: chunks are read, scored by one model version and written, with two of them in flight."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Send

from inference import LiveModel, ModelVersion, Predictor, ScoredRows
from inference.prediction_log.records import Ids
from serving.bulk.encodings import Folding, Unfolding
from serving.bulk.forms import Form, Keys, RowReader, RowWriter
from serving.problems import ProblemAnswer

__all__ = ["PinnedModel", "Stream"]

T = TypeVar("T")

_IN_FLIGHT = 2
_FOLD_IN_THREAD_FROM = 64 * 1024


class PinnedModel:
    """A `ModelSource` that does not move once it has scored: the answer names its model once. Closed by its user.

    A version on trial comes with its spare, which takes the whole stream over if the first rows fail.
    """

    def __init__(self, live: LiveModel, spare: LiveModel | None = None) -> None:
        """Hold both versions."""
        self._live = live
        self._spare = spare
        self._held = [live] if spare is None else [live, spare]
        for one in self._held:
            one.acquire()

    def current(self) -> LiveModel:
        """Give the version."""
        return self._live

    @property
    def may_move(self) -> bool:
        """Nothing is scored yet, and there is a spare."""
        return self._spare is not None

    def spare(self, _: LiveModel) -> LiveModel | None:
        """Move to the spare, as a predictor asks for whose version has failed."""
        spare, self._spare = self._spare, None
        if spare is not None:
            self._live = spare
        return spare

    def settle(self) -> None:
        """Stay from now on: rows are scored."""
        self._spare = None

    def close(self) -> None:
        """Let the versions go."""
        while self._held:
            self._held.pop().release()


class Stream:
    """Scores what comes in, in order, at the pace at which the caller takes the answers."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        predictor: Predictor,
        pinned: PinnedModel,
        turns: asyncio.Semaphore,
        step_seconds: float,
        log: Callable[[ScoredRows, Ids], None],
    ) -> None:
        """Score by `predictor`, whose source is `pinned`.

        `turns` bounds the chunks scored at once over all streams; no step may take longer than `step_seconds`. `log`
        gets the rows that were written, with their prediction ids.
        """
        self._receive = receive
        self._send = send
        self._predictor = predictor
        self._pinned = pinned
        self._turns = turns
        self._step_seconds = step_seconds
        self._log = log
        self._gone: asyncio.Task[None] | None = None
        self._writer: RowWriter | None = None

    @property
    def is_answering(self) -> bool:
        """The answer's status is sent; a failure cannot have its own any more."""
        return self._writer is not None

    async def run(
        self,
        reader: RowReader,
        unfolding: Unfolding,
        writer_of: Callable[[ModelVersion], RowWriter],
        form: Form,
        folding: Folding | None,
    ) -> None:
        """Serve to the end. Raises problems, and `ClientDisconnect` when the caller has gone."""
        scoring: deque[asyncio.Task[ScoredRows]] = deque()
        write = partial(self._write, writer_of, form, folding)
        try:
            async for keys in self._chunks(reader, unfolding):
                scoring.append(asyncio.create_task(self._score(keys)))
                # Two at once could be of two versions while the pinned one may still move.
                if len(scoring) == (1 if self._pinned.may_move else _IN_FLIGHT):
                    await write(await self._step(scoring.popleft()))
            while scoring:
                await write(await self._step(scoring.popleft()))
            await write(None)
        finally:
            for task in scoring:
                task.cancel()
            await asyncio.gather(*scoring, return_exceptions=True)
            if self._gone is not None:
                self._gone.cancel()

    async def fail(self, answer: ProblemAnswer, folding: Folding | None) -> None:
        """End an answer that has begun: with the form's own word where it has one, else cut off."""
        content = None if self._writer is None else self._writer.failure(answer)
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
        self,
        writer_of: Callable[[ModelVersion], RowWriter],
        form: Form,
        folding: Folding | None,
        rows: ScoredRows | None,
    ) -> None:
        """Write rows, or the end."""
        self._pinned.settle()
        self._check_caller()
        writer, head = self._writer, b""
        if writer is None:
            writer = writer_of(self._pinned.current().version)
        content = writer.tail() if rows is None else writer.rows(rows)
        if rows is not None:
            self._log(rows, writer.last_ids)
        if self._writer is None:
            self._writer, head = writer, writer.head()
            headers = [(b"content-type", form.encode())]
            if folding is not None:
                headers += [(b"content-encoding", folding.name), (b"vary", b"accept-encoding")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send_body(head + content, folding, last=rows is None)

    async def _send_body(self, content: bytes, folding: Folding | None, *, last: bool) -> None:
        if folding is not None and len(content) >= _FOLD_IN_THREAD_FROM:
            content = await asyncio.to_thread(folding.fold, content, last=last)
        elif folding is not None:
            content = folding.fold(content, last=last)
        await self._step(self._send({"type": "http.response.body", "body": content, "more_body": not last}))

    async def _step(self, work: Awaitable[T]) -> T:
        async with asyncio.timeout(self._step_seconds):
            return await work
