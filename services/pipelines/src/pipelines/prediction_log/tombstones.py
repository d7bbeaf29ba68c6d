"""Who was forgotten when: what still lies in a spool or a stream must not come back.

The file holds salted digests and no ids.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.prediction_log import LoggedRows

__all__ = ["PERSON", "Tombstones", "bury", "read_tombstones"]

PERSON = "candidate_id"
_FILE = "forgotten.json"


class _Content(msgspec.Struct):
    salt: str
    until_us: dict[str, int] = {}
    """Digest of an id to the time of the wish: rows scored later are those of somebody who came back."""


@dataclass(frozen=True, slots=True)
class Tombstones:
    """Everybody who was forgotten."""

    salt: str = ""
    until_us: dict[str, int] = field(default_factory=dict)

    def hit(self, rows: LoggedRows) -> NDArray[np.bool_]:
        """(n,): the row is of somebody who was forgotten after it was scored."""
        found = np.zeros(rows.n, dtype=np.bool_)
        ids = rows.keys.get(PERSON)
        if not self.until_us or ids is None:
            return found
        until = {one: self.until_us.get(_digest(self.salt, one), 0) for one in set(ids)}
        limits = np.fromiter((until[one] for one in ids), dtype=np.int64, count=rows.n)
        return np.asarray(rows.scored_at_us <= limits, dtype=np.bool_)


def read_tombstones(home: Path) -> Tombstones:
    """Read them; none if nobody was forgotten yet. Raises OSError, and ValueError for a file that is damaged."""
    try:
        content = msgspec.json.decode((home / "predictions" / _FILE).read_bytes(), type=_Content)
    except FileNotFoundError:
        return Tombstones()
    return Tombstones(content.salt, content.until_us)


def bury(home: Path, ids: Sequence[str], *, keep_seconds: float) -> None:
    """Add people, and drop those who were added longer ago than anything lies in a spool. Raises OSError."""
    before = read_tombstones(home)
    salt = before.salt or secrets.token_hex(16)
    now_us = time.time_ns() // 1000
    oldest_us = now_us - int(keep_seconds * 1e6)
    kept = {digest: until_us for digest, until_us in before.until_us.items() if until_us >= oldest_us}
    content = msgspec.json.encode(_Content(salt, kept | {_digest(salt, one): now_us for one in ids}))
    file = home / "predictions" / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    with unfinished.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    unfinished.replace(file)


def _digest(salt: str, one: str) -> str:
    return hashlib.sha256(f"{salt}:{one}".encode()).hexdigest()
