"""Who calls: API keys from a file.

One key a line: `name:key`, a bare `key`, or `name:sha256:<hex digest of the key>` where the file must not hold the key
itself. Empty lines and lines that start with `#` say nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.problems import Problem, problem

__all__ = ["ApiKeyError", "ApiKeys", "Client"]

_BEARER = b"bearer "
_DIGEST_PREFIX = "sha256:"


class ApiKeyError(ValueError):
    """The key file cannot be used: it is absent, empty, or has a malformed line."""


@dataclass(frozen=True, slots=True)
class Client:
    """A caller whose credential was verified."""

    name: str


class ApiKeys:
    """Verifies credentials.

    Keys are looked up by their SHA-256 digest: the process keeps no key, and the time a look-up takes says nothing of
    how much of a key was right.
    """

    __slots__ = ("_clients",)

    def __init__(self, clients: Mapping[bytes, Client]) -> None:
        self._clients = dict(clients)

    @classmethod
    def read(cls, path: Path) -> "ApiKeys":
        """Read a key file; raises `ApiKeyError`, which names the line and never the key."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ApiKeyError(f"no API keys: {path} cannot be read") from error
        clients: dict[bytes, Client] = {}
        for number, line in enumerate(lines, start=1):
            entry = line.strip()
            if entry and not entry.startswith("#"):
                digest, client = _parsed(entry, number)
                clients[digest] = client
        if not clients:
            raise ApiKeyError(f"no API keys: {path} is empty")
        return cls(clients)

    def client(self, headers: Mapping[bytes, bytes]) -> Client:
        """Return the caller of a request with these headers; raises the 401 problem."""
        key = headers.get(b"x-api-key")
        if key is None:
            authorization = headers.get(b"authorization", b"")
            if authorization[:7].lower() != _BEARER:
                raise problem(Problem.UNAUTHENTICATED)
            key = authorization[7:].strip()
        client = self._clients.get(hashlib.sha256(key).digest())
        if client is None:
            raise problem(Problem.UNAUTHENTICATED)
        return client


def _parsed(entry: str, number: int) -> tuple[bytes, Client]:
    name, separator, key = entry.partition(":")
    if not separator:
        name, key = f"key-{number}", entry
    if key.startswith(_DIGEST_PREFIX):
        try:
            digest = bytes.fromhex(key.removeprefix(_DIGEST_PREFIX))
        except ValueError as error:
            raise ApiKeyError(f"line {number}: not a hexadecimal digest") from error
        if len(digest) != hashlib.sha256().digest_size:
            raise ApiKeyError(f"line {number}: a SHA-256 digest has 64 hexadecimal digits")
        return digest, Client(name)
    if not name or not key:
        raise ApiKeyError(f"line {number}: neither `name:key` nor a key")
    return hashlib.sha256(key.encode()).digest(), Client(name)
