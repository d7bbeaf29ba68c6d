"""One stream as a consumer group reads it: each entry is somebody's until it is written and deleted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from inference.prediction_log.streams import MESSAGE_FIELD, ROWS_FIELD

__all__ = ["GROUP", "Entry", "StreamGroup"]

GROUP = "warehouse"
_CLAIM_IDLE_SECONDS = 60.0
_CLAIM_EVERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in a stream."""

    id: str
    message: bytes
    rows: int


class StreamGroup:
    """The reading end. Methods raise `redis.RedisError`."""

    def __init__(
        self, client: "redis.Redis", key: str, consumer: str, *, claim_idle_seconds: float = _CLAIM_IDLE_SECONDS
    ) -> None:
        # redis-py's stubs type every reply as one of two clients'.
        self._client: Any = client
        self._key = key
        self._consumer = consumer
        self._claim_idle_seconds = claim_idle_seconds
        self._claimed_at = 0.0
        self._is_joined = False

    def take(self, count: int) -> list[Entry]:
        """Give entries that are this consumer's now: first those it took before and did not finish, in the same order.

        Then what other consumers left lying, then what nobody has.
        """
        if not self._is_joined:
            self._join()
        try:
            entries = self._read("0", count)
            if not entries and time.monotonic() - self._claimed_at >= _CLAIM_EVERY_SECONDS:
                self._claimed_at = time.monotonic()
                entries = self._claim(count)
            return entries or self._read(">", count)
        except redis.ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            # Redis has lost its data.
            self._is_joined = False
            return []

    def finish(self, entries: Sequence[Entry]) -> None:
        """Delete entries: they are written."""
        ids = [entry.id for entry in entries]
        pipeline = self._client.pipeline(transaction=True)
        pipeline.xack(self._key, GROUP, *ids)
        pipeline.xdel(self._key, *ids)
        pipeline.execute()

    def backlog(self) -> tuple[int, float]:
        """Give how many entries there are, and the age in seconds of the oldest."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.xlen(self._key)
        pipeline.xrange(self._key, count=1)
        length, oldest = pipeline.execute()
        if not oldest:
            return 0, 0.0
        return length, max(time.time() - int(oldest[0][0].partition(b"-")[0]) / 1000, 0.0)

    def _join(self) -> None:
        try:
            self._client.xgroup_create(self._key, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        self._is_joined = True

    def _read(self, start: str, count: int) -> list[Entry]:
        replies = self._client.xreadgroup(GROUP, self._consumer, {self._key: start}, count=count)
        return self._entries(replies[0][1]) if replies else []

    def _claim(self, count: int) -> list[Entry]:
        idle = int(self._claim_idle_seconds * 1000)
        reply = self._client.xautoclaim(self._key, GROUP, self._consumer, idle, "0-0", count=count)
        return self._entries(reply[1])

    def _entries(self, replies: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
        gone = [name for name, fields in replies if not fields]
        if gone:
            # Deleted by who forgot a person while they were ours.
            self._client.xack(self._key, GROUP, *gone)
        return [
            Entry(name.decode(), fields.get(MESSAGE_FIELD, b""), int(fields.get(ROWS_FIELD, b"0")))
            for name, fields in replies
            if fields
        ]
