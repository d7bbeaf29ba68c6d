"""Connections of a service evenly over its workers.

The kernel spreads new connections over the sockets of one port by a hash, which leaves workers idle where connections
are few, and it never moves one: a worker that takes a dead one's place gets nothing from callers that stay connected.
So a worker that accepts a connection, or holds an idle one above its share, sends it to the worker that holds the
fewest, by SCM_RIGHTS over a Unix socket. The caller sees nothing of it.
"""

import asyncio
import os
import random
import socket
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.connection_counts import ConnectionCounts

__all__ = ["COUNTS_FILE", "SharedConnection", "SharedConnections"]

COUNTS_FILE = "connections"
_LEVEL_SECONDS = 1.0
_SENT_AT_ONCE = 200
"""The kernel takes 253 descriptors a message."""
_NEW, _SERVED = b"n", b"s"
_log = structlog.stdlib.get_logger()


class SharedConnections:
    """The connections of one of several workers. Belongs to one event loop."""

    def __init__(self, directory: Path, worker: int, workers: int) -> None:
        """Share with the other workers over `directory`, which must be their own and nobody else's."""
        self._counts = ConnectionCounts(directory / COUNTS_FILE, worker, workers)
        self._counts.begin()
        self._worker = worker
        self._inboxes = [str(directory / f"{place}.inbox") for place in range(workers)]
        self._inbox: socket.socket | None = None
        self._connections: set[SharedConnection] = set()
        self._away: set[int] = set()
        """Workers that took nothing when they were last sent something; forgotten each second."""
        self._leaving: dict[tuple[int, bytes], list[int]] = {}
        self._adopting: set[asyncio.Task[None]] = set()

    def open(self, adopt: Callable[[bool], "SharedConnection"]) -> None:
        """Begin to hand on and to take; `adopt` makes the protocol of a connection, told whether it was served."""
        self._adopt = adopt
        self._loop = asyncio.get_running_loop()
        inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        inbox.setblocking(False)
        path = Path(self._inboxes[self._worker])
        try:
            path.unlink(missing_ok=True)
            inbox.bind(str(path))
        except OSError as error:
            # A path of more than 107 bytes: a long TMPDIR.
            inbox.close()
            _log.warning("connections_not_shared", path=str(path), reason=str(error))
            return
        self._inbox = inbox
        self._loop.add_reader(inbox.fileno(), self._drain, inbox)
        self._timer = self._loop.call_later(_LEVEL_SECONDS, self._level)

    async def close(self) -> None:
        """Neither hand on nor take any more. What was on its way is taken, and served or shut down with the rest."""
        if self._inbox is not None:
            self._shut(self._inbox)
        if self._adopting:
            await asyncio.wait(self._adopting)

    def _shut(self, inbox: socket.socket) -> None:
        self._inbox = None
        self._timer.cancel()
        Path(self._inboxes[self._worker]).unlink(missing_ok=True)
        self._send()
        self._drain(inbox)
        self._loop.remove_reader(inbox.fileno())
        inbox.close()

    def accepted(self, connection: "SharedConnection", transport: asyncio.Transport) -> bool:
        """Keep a new connection, or hand it on: then it is none of this worker's, and False is given."""
        worker = self._fewest()
        if worker == self._worker:
            self.keep(connection)
            self._counts.give(worker)
            return True
        self._leave(worker, transport, _NEW)
        return False

    def keep(self, connection: "SharedConnection") -> None:
        """Hold a connection that is counted already."""
        self._connections.add(connection)

    def ended(self, connection: "SharedConnection") -> None:
        """A connection that was kept is closed."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._counts.end()

    def _fewest(self) -> int:
        """Give the worker that holds the fewest connections, this one among equals."""
        held = self._counts.held()
        if self._inbox is None:
            return self._worker
        for (worker, _), leaving in self._leaving.items():
            held[worker] += len(leaving)
        held[list(self._away)] = np.iinfo(np.int64).max
        fewest = held.min()
        if held[self._worker] == fewest:
            return self._worker
        return int(random.choice(np.flatnonzero(held == fewest)))  # noqa: S311  # no secret

    def _level(self) -> None:
        """Hand on idle connections above this worker's share."""
        self._timer = self._loop.call_later(_LEVEL_SECONDS, self._level)
        self._away.clear()
        held = self._counts.held()
        own = int(held[self._worker])
        # One may be too many although it is not above the mean: 2, 2, 2, 0.
        above = max(own - int(np.ceil(held.mean())), int(own - held.min() > 1))
        if above <= 0:
            return
        for connection in [one for one in self._connections if one.is_idle][:above]:
            worker = self._fewest()
            if worker == self._worker:
                return
            self._connections.remove(connection)
            self._counts.end()
            self._leave(worker, connection.transport, _SERVED if connection.was_served else _NEW)

    def _leave(self, worker: int, transport: asyncio.Transport, kind: bytes) -> None:
        """Take the socket out of its transport, which closes without a word to the caller."""
        descriptor = os.dup(transport.get_extra_info("socket").fileno())
        transport.abort()
        if not self._leaving:
            # All of a turn of the loop in one message: a Unix socket holds ten.
            self._loop.call_soon(self._send)
        self._leaving.setdefault((worker, kind), []).append(descriptor)

    def _send(self) -> None:
        while self._leaving:
            (worker, kind), descriptors = self._leaving.popitem()
            for start in range(0, len(descriptors), _SENT_AT_ONCE):
                self._send_some(worker, kind, descriptors[start : start + _SENT_AT_ONCE])

    def _send_some(self, worker: int, kind: bytes, descriptors: list[int]) -> None:
        if self._inbox is not None and worker not in self._away:
            try:
                # `socket.send_fds` forgets the address (python/cpython#107898).
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))
                self._inbox.sendmsg([kind], [rights], 0, self._inboxes[worker])
            except OSError:
                # It is not there (yet or any more), or too busy to look into its inbox.
                self._away.add(worker)
            else:
                self._counts.give(worker, len(descriptors))
                for descriptor in descriptors:
                    os.close(descriptor)
                return
        self._counts.give(self._worker, len(descriptors))
        self._take(kind, descriptors)

    def _drain(self, inbox: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                kind, descriptors, flags, _ = socket.recv_fds(inbox, 1, _SENT_AT_ONCE)
                if flags & socket.MSG_CTRUNC:
                    _log.error("connections_lost", reason="no file descriptor is left")
                self._take(kind, descriptors)

    def _take(self, kind: bytes, descriptors: list[int]) -> None:
        for descriptor in descriptors:
            task = self._loop.create_task(self._serve(socket.socket(fileno=descriptor), kind == _SERVED))
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)

    async def _serve(self, taken: socket.socket, was_served: bool) -> None:
        taken.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(lambda: self._adopt(was_served), taken)
        except OSError:
            # The caller has gone in the meantime.
            taken.close()
            self._counts.end()


class SharedConnection(HttpToolsProtocol):
    """A connection that may be handed on before its first request and between two."""

    def __init__(self, shared: SharedConnections, was_served: bool | None = None, **uvicorn: Any) -> None:
        """Accept a connection, or take one from another worker, with what `was_served` says of it."""
        super().__init__(**uvicorn)
        self._shared = shared
        self._taken = was_served

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Keep the connection or hand it on."""
        if self._taken is not None:
            self._shared.keep(self)
        elif not self._shared.accepted(self, transport):
            return
        super().connection_made(transport)
        if self._taken:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self.transport is not None:
            super().connection_lost(exc)
            self._shared.ended(self)

    @property
    def was_served(self) -> bool:
        """Whether a request of this connection has been answered."""
        return bool(self._taken) or self.cycle is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request has been read that is not answered, and no byte of an answer waits."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size() > 0:
            return False
        cycle = self.cycle
        if cycle is None:
            return self.scope is None  # type: ignore[unreachable]  # uvicorn hides that both begin as None
        # The scope is another one as soon as the next request has begun.
        return cycle.response_complete and not cycle.more_body and cycle.scope is self.scope and not self.pipeline
