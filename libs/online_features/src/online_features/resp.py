"""A small asyncio connection that speaks RESP2: pipelined, one reply parser in C (hiredis), no object a command.

redis-py's asyncio client costs about ten times as much CPU for one MGET; this connection is what makes a single-row
read cheap. It knows single servers over TCP, TLS and Unix sockets; Cluster and Sentinel go through redis-py
(see `links`).
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from inference.errors import FeatureStoreError

__all__ = ["RespConnection", "ServerAddress", "command"]

_WATCH_SECONDS = 0.05


def command(*arguments: bytes | str) -> bytes:
    """A command in RESP."""
    encoded = [a.encode() if isinstance(a, str) else a for a in arguments]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in encoded)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where one server listens and how to log in."""

    host: str | None
    port: int
    path: str | None
    """Unix socket; host and port are then unused."""
    database: int
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None

    @classmethod
    def parse(cls, url: str) -> "ServerAddress":
        """Read `redis://`, `rediss://` (with `ssl_ca_certs`, `ssl_cert_reqs`, …) and `unix://`. Raises ValueError."""
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("a Redis URL starts with redis://, rediss:// or unix://")
        unix = parts.scheme == "unix"
        database = options.get("db") or ("" if unix else parts.path.strip("/")) or "0"
        return cls(
            host=None if unix else parts.hostname or "localhost",
            port=6379 if unix else parts.port or 6379,
            path=unquote(parts.path) if unix else None,
            database=int(database),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=_tls_context(options) if parts.scheme == "rediss" else None,
        )

    def __str__(self) -> str:
        """Without credentials."""
        return self.path or f"{self.host}:{self.port}"

    def greeting(self) -> list[bytes]:
        """Commands that a new connection starts with."""
        commands = []
        if self.password is not None:
            login = (self.username, self.password) if self.username else (self.password,)
            commands.append(command("AUTH", *login))
        if self.database:
            commands.append(command("SELECT", str(self.database)))
        commands.append(command("PING"))
        return commands


def _tls_context(options: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_cert_reqs", "required") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("ssl_check_hostname", "true").lower() == "false":
        context.check_hostname = False
    if "ssl_certfile" in options:
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context


class RespConnection(asyncio.Protocol):
    """One connection; replies come in the order of the commands.

    Safe for concurrent use on one event loop. A command that is not answered within `timeout_seconds` fails the
    connection, since the replies behind it are late as well. A caller that is cancelled leaves its place in the queue,
    so the replies of others are never mixed up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_seconds: float) -> None:
        self._loop = loop
        self._timeout_seconds = timeout_seconds
        self._parser = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[Any], float, int]] = deque()
        """Who waits, until when, and for a list of how many replies; 0 is one reply that is no list."""
        self._replies: list[Any] = []
        """What has come for the first that waits for a list."""
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()

    @classmethod
    async def open(cls, address: ServerAddress, *, connect_seconds: float, timeout_seconds: float) -> "RespConnection":
        """Connect and log in. Raises `FeatureStoreError`."""
        loop = asyncio.get_running_loop()
        connection = cls(loop, timeout_seconds)
        try:
            async with asyncio.timeout(connect_seconds):
                if address.path is not None:
                    await loop.create_unix_connection(lambda: connection, address.path)
                else:
                    await loop.create_connection(
                        lambda: connection,
                        address.host or "localhost",
                        address.port,
                        ssl=address.tls,
                        server_hostname=address.host if address.tls else None,
                    )
                replies = await asyncio.gather(*map(connection.send, address.greeting()), return_exceptions=True)
        except (OSError, TimeoutError) as error:
            connection.close()
            raise FeatureStoreError(
                f"the online store at {address} cannot be reached: {str(error) or 'timeout'}"
            ) from error
        for reply in replies:
            if isinstance(reply, BaseException):
                await connection.aclose()
                raise FeatureStoreError(f"the online store at {address} refused the connection: {reply}") from reply
        return connection

    @property
    def closed(self) -> bool:
        """Whether commands can no longer be sent."""
        return self._transport is None or self._transport.is_closing()

    def send(self, frame: bytes) -> asyncio.Future[Any]:
        """Send one command; the future holds its reply, or a `FeatureStoreError`."""
        return self._send(frame, 0)

    def send_all(self, frame: bytes, commands: int) -> asyncio.Future[list[Any]]:
        """Send so many commands; the future holds the list of their replies, or a `FeatureStoreError`."""
        return self._send(frame, commands)

    def _send(self, frame: bytes, listed: int) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            future.set_exception(FeatureStoreError("the connection to the online store was lost"))
            return future
        self._waiting.append((future, self._loop.time() + self._timeout_seconds, listed))
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_SECONDS, self._look)
        self._transport.write(frame)
        return future

    def close(self) -> None:
        """Close; waiting callers get a `FeatureStoreError`."""
        if self._transport is not None:
            self._transport.abort()
        self._fail("the connection to the online store was closed")

    async def aclose(self) -> None:
        """Close, and wait until the socket is."""
        if self._transport is not None:
            self.close()
            await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        # uvloop's transports have the methods of asyncio.Transport without being one.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        parser, waiting = self._parser, self._waiting
        parser.feed(data)
        while waiting:
            try:
                reply = parser.gets()
            except hiredis.ProtocolError:
                self.close()
                return
            if reply is False:
                return
            listed = waiting[0][2]
            if listed:
                self._replies.append(reply)
                if len(self._replies) < listed:
                    continue
                replies, self._replies = self._replies, []
                reply = next((one for one in replies if isinstance(one, hiredis.ReplyError)), replies)
            future = waiting.popleft()[0]
            if future.done():
                continue
            if isinstance(reply, hiredis.ReplyError):
                future.set_exception(FeatureStoreError(f"the online store refused a command: {reply}"))
            else:
                future.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the protocol's signature)
        """Part of `asyncio.Protocol`."""
        self._transport = None
        self._lost.set()
        self._fail("the connection to the online store was lost")

    def _look(self) -> None:
        """Fail the connection if the oldest command is overdue; run only while commands wait."""
        self._watch = None
        if not self._waiting:
            return
        if self._waiting[0][1] < self._loop.time():
            if self._transport is not None:
                self._transport.abort()
            self._fail(f"the online store did not answer within {self._timeout_seconds:g} s")
            return
        self._watch = self._loop.call_later(_WATCH_SECONDS, self._look)

    def _fail(self, reason: str) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        while self._waiting:
            future = self._waiting.popleft()[0]
            if not future.done():
                future.set_exception(FeatureStoreError(reason))
                with contextlib.suppress(FeatureStoreError):
                    # Marks it as retrieved: nobody may be waiting any more at shutdown.
                    future.exception()


def pairs(reply: Sequence[bytes]) -> dict[bytes, bytes]:
    """HGETALL's flat reply as a mapping."""
    return dict(zip(reply[::2], reply[1::2], strict=True))
