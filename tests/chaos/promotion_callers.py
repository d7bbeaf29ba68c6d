"""Callers of a service, and what they got: single scores at a constant rate, and bulk calls beside them."""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from promotion_models import CANDIDATES

KEY = "a-key"
_JSON = "application/json"
_NDJSON = "application/x-ndjson"
_CONNECTIONS = 16
_IN_FLIGHT_MOST = 256
_STREAMED = CANDIDATES * 6
"""More than a chunk of the service: a version that changes on the way would show."""
_LINES = b"".join(json.dumps({"candidate_id": candidate}).encode() + b"\n" for candidate in _STREAMED)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Seen:
    """What callers got."""

    expected: Mapping[str, Mapping[str, float]]
    """Version to candidate to estimate."""
    answered: Counter[str] = field(default_factory=Counter)
    """Single scores by version."""
    bulk_rows: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """From the moment that the call was due."""
    told: list[tuple[float, str]] = field(default_factory=list)
    """When which version answered."""

    @property
    def latest(self) -> str:
        return self.told[-1][1] if self.told else ""

    def take(self, candidate: str, status: int, body: bytes, due: float) -> None:
        now = time.monotonic()
        if status != 200:
            self.failed.append(f"{status}: {body[:200]!r}")
            return
        self.seconds.append(now - due)
        answer = json.loads(body)
        version = answer["model"]["version"]
        self.answered[version] += 1
        self.told.append((now, version))
        self._check(version, candidate, answer["prediction"])

    def take_bulk(self, version: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """All rows of an answer must be of the version that it names."""
        for row in rows:
            self.bulk_rows[version] += 1
            self._check(version, row["candidate_id"], row["prediction"])

    def _check(self, version: str, candidate: str, prediction: Mapping[str, Any]) -> None:
        known = self.expected.get(version, {}).get(candidate)
        if known is None or abs(prediction["estimate"] - known) > 1e-6 * known:
            self.wrong.append(f"{version} {candidate} {prediction}, expected {known}")


class Callers:
    """Open loop: a call is sent when it is due, whether or not those before it are answered."""

    def __init__(self, port: int, seen: Seen, rate: float, bulk_rate: float = 1.0) -> None:
        self._port = port
        self._seen = seen
        self._rate = rate
        self._bulk_rate = bulk_rate
        self._free: deque[Connection] = deque()
        self._room = asyncio.Semaphore(_IN_FLIGHT_MOST)
        self._calls: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Call until stopped, then wait for what is under way."""
        bulk = asyncio.create_task(self._call_bulk())
        self._free.extend([await self._connect() for _ in range(_CONNECTIONS)])
        started, turn = time.monotonic(), 0
        while not self._stopping:
            due = started + turn / self._rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
            call = asyncio.create_task(self._call(CANDIDATES[turn * 7 % len(CANDIDATES)], due))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            turn += 1
        await asyncio.gather(bulk, *self._calls)
        for _, writer in self._free:
            writer.close()
            await writer.wait_closed()

    def stop(self) -> None:
        self._stopping = True

    async def _connect(self) -> Connection:
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def _call(self, candidate: str, due: float) -> None:
        body = json.dumps({"candidate_id": candidate}).encode()
        async with self._room:
            try:
                reader, writer = self._free.popleft() if self._free else await self._connect()
                writer.write(
                    b"POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-api-key: %b\r\n"
                    b"content-length: %d\r\n\r\n%b" % (KEY.encode(), len(body), body)
                )
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                content = await reader.readexactly(length)
            except (OSError, EOFError) as error:
                self._seen.failed.append(repr(error))
                return
            self._seen.take(candidate, int(head.split()[1]), content, due)
            self._free.append((reader, writer))

    async def _call_bulk(self) -> None:
        """JSON at once and an NDJSON stream in turn."""
        turn = 0
        async with httpx.AsyncClient(timeout=30, headers={"x-api-key": KEY}) as client:
            while not self._stopping:
                await asyncio.sleep(1 / self._bulk_rate)
                turn += 1
                if turn % 2:
                    await self._call_json(client)
                else:
                    await self._call_stream(client)

    async def _call_json(self, client: httpx.AsyncClient) -> None:
        answer = await self._post(client, json.dumps({"candidate_ids": CANDIDATES}).encode(), _JSON)
        if answer is not None:
            found = answer.json()
            self._seen.take_bulk(found["model"]["version"], found["rows"])

    async def _call_stream(self, client: httpx.AsyncClient) -> None:
        answer = await self._post(client, _LINES, _NDJSON)
        if answer is not None:
            head, *rows = map(json.loads, answer.content.splitlines())
            self._seen.take_bulk(head["model"]["version"], rows)
            if len(rows) != len(_STREAMED):
                self._seen.failed.append(f"{len(rows)} rows of a stream")

    async def _post(self, client: httpx.AsyncClient, content: bytes, media_type: str) -> httpx.Response | None:
        try:
            url, headers = f"http://127.0.0.1:{self._port}/v1/score/bulk", {"content-type": media_type}
            answer = await client.post(url, content=content, headers=headers)
        except httpx.TransportError as error:
            self._seen.failed.append(f"bulk: {error!r}")
            return None
        if answer.status_code != 200:
            self._seen.failed.append(f"bulk {answer.status_code}: {answer.content[:200]!r}")
            return None
        return answer
