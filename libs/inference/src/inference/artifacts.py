"""A cache of model files on disk that several processes share.

    entries/<digest>/…             the files of a model version
    entries/<digest>/manifest.json their checksums; the digest is the sha256 of this file
    versions/<model>@<version>.json    which entry holds a version
    aliases/<model>@<alias>.json       which version an alias served last: a restart needs no registry

Everything appears by an atomic rename, so a reader sees all of it or nothing.
"""

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from inference.boosters.loading import file_sha256
from inference.errors import ArtifactError
from inference.registry import RegisteredVersion

__all__ = ["ArtifactCache", "CacheFigures"]

_MANIFEST = "manifest.json"
_GRACE_SECONDS = 600.0
"""An entry touched so lately may be being loaded by another process: it is not evicted."""


class _Manifest(msgspec.Struct, frozen=True):
    sha256: dict[str, str]


class _Record(msgspec.Struct, frozen=True):
    version: RegisteredVersion
    digest: str


_Document = TypeVar("_Document", _Manifest, _Record)


@dataclass(slots=True)
class CacheFigures:
    """What this process asked of the cache, and how large it was when somebody measured it."""

    hits: int = 0
    misses: int = 0
    entries: int = 0
    size_bytes: int = 0


class ArtifactCache:
    """Content-addressed and bounded in size: what was used least recently goes first, what an alias serves stays."""

    def __init__(self, directory: Path, *, max_bytes: int = 2 << 30) -> None:
        """Touch nothing yet; directories are made at the first write."""
        self._root = directory
        self._max_bytes = max_bytes
        self.figures = CacheFigures()

    def find(self, version: RegisteredVersion) -> Path | None:
        """Give the version's directory, its checksums verified; a corrupt entry is removed and counts as absent."""
        record = _load(self._version_path(version), _Record)
        known = record is not None and record.version.same_files(version)
        found = self._verified(record.digest) if record is not None and known else None
        self.figures.hits += found is not None
        self.figures.misses += found is None
        return found

    async def add(
        self, version: RegisteredVersion, fetch: Callable[[RegisteredVersion, Path], Awaitable[None]]
    ) -> Path:
        """Let `fetch` fill a directory, then keep it; gives where it is. What `fetch` raises leaves nothing behind."""
        # Hashing and clearing take tens of milliseconds for a large model: not on the event loop.
        filling = await asyncio.to_thread(self._open_filling)
        try:
            await fetch(version, filling)
            return await asyncio.to_thread(self._keep, version, filling)
        finally:
            shutil.rmtree(filling, ignore_errors=True)

    def discard(self, version: RegisteredVersion) -> None:
        """Forget a version, so that it is fetched anew."""
        record = _load(self._version_path(version), _Record)
        self._version_path(version).unlink(missing_ok=True)
        if record is not None:
            shutil.rmtree(self._entries / record.digest, ignore_errors=True)

    def remember(self, version: RegisteredVersion, alias: str) -> None:
        """Note that `alias` now serves `version`."""
        record = _load(self._version_path(version), _Record)
        if record is not None:
            _store(self._alias_path(version.name, alias), _Record(version, record.digest))

    def remembered(self, name: str, alias: str) -> RegisteredVersion | None:
        """Give the version that `alias` served last, whether or not its files are still here."""
        record = _load(self._alias_path(name, alias), _Record)
        return None if record is None else record.version

    def recall(self, name: str, alias: str) -> tuple[RegisteredVersion, Path] | None:
        """Give the version that `alias` served last and its verified directory, if both are still here."""
        record = _load(self._alias_path(name, alias), _Record)
        if record is None:
            return None
        directory = self._verified(record.digest)
        return None if directory is None else (record.version, directory)

    def measure(self) -> None:
        """Bring `figures.entries` and `figures.size_bytes` up to date. Blocks: call it in a thread."""
        sizes = []
        # Another process may evict meanwhile.
        with suppress(OSError):
            for entry in self._entries.iterdir():
                with suppress(OSError):
                    sizes.append(_size(entry))
        self.figures.entries, self.figures.size_bytes = len(sizes), sum(sizes)

    def signal(self, name: str) -> None:
        """Tell the other processes that share the cache that an alias of this model has moved."""
        path = self._signal_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path)

    def signalled(self, name: str) -> int:
        """When somebody signalled last, in nanoseconds; 0 if nobody did."""
        try:
            return self._signal_path(name).stat().st_mtime_ns
        except OSError:
            return 0

    @property
    def directory(self) -> Path:
        """Where the cache lies."""
        return self._root

    def _signal_path(self, name: str) -> Path:
        return self._root / "signals" / quote(name, safe="")

    @property
    def _entries(self) -> Path:
        return self._root / "entries"

    def _version_path(self, version: RegisteredVersion) -> Path:
        return self._root / "versions" / f"{quote(version.name, safe='')}@{quote(version.version, safe='')}.json"

    def _alias_path(self, name: str, alias: str) -> Path:
        return self._root / "aliases" / f"{quote(name, safe='')}@{quote(alias, safe='')}.json"

    def _open_filling(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="filling-", dir=self._root))

    def _keep(self, version: RegisteredVersion, filling: Path) -> Path:
        entry = self._move_in(filling)
        _store(self._version_path(version), _Record(version, entry.name))
        self._evict(keep=entry.name)
        return entry

    def _move_in(self, filling: Path) -> Path:
        files = sorted(path for path in filling.iterdir() if path.is_file())
        if not files:
            raise ArtifactError("the model version has no files")
        content = msgspec.json.encode(_Manifest({path.name: file_sha256(path) for path in files}))
        (filling / _MANIFEST).write_bytes(content)
        entry = self._entries / hashlib.sha256(content).hexdigest()
        self._entries.mkdir(exist_ok=True)
        if self._verified(entry.name) is None:
            try:
                filling.rename(entry)
            except OSError:
                # Another process was first, with the same bytes.
                if self._verified(entry.name) is None:
                    raise
        return entry

    def _verified(self, digest: str) -> Path | None:
        entry = self._entries / digest
        manifest_path = entry / _MANIFEST
        manifest = _load(manifest_path, _Manifest)
        if manifest is None:
            shutil.rmtree(entry, ignore_errors=True)
            return None
        try:
            whole = file_sha256(manifest_path) == digest and all(
                file_sha256(entry / name) == expected for name, expected in manifest.sha256.items()
            )
            if whole:
                os.utime(manifest_path)
        except OSError:
            whole = False
        if not whole:
            shutil.rmtree(entry, ignore_errors=True)
            return None
        return entry

    def _evict(self, keep: str) -> None:
        records = (_load(path, _Record) for path in (self._root / "aliases").glob("*.json"))
        pinned = {record.digest for record in records if record is not None} | {keep}
        used = sorted((_last_used(entry), entry) for entry in self._entries.iterdir())
        total = sum(_size(entry) for _, entry in used)
        deadline = time.time() - _GRACE_SECONDS
        for touched, entry in used:
            if total <= self._max_bytes or touched > deadline:
                break
            if entry.name not in pinned:
                total -= _size(entry)
                shutil.rmtree(entry, ignore_errors=True)
        for filling in self._root.glob("filling-*"):
            # Left by a process that was killed while it fetched.
            if filling.stat().st_mtime < deadline:
                shutil.rmtree(filling, ignore_errors=True)


def _last_used(entry: Path) -> float:
    try:
        return (entry / _MANIFEST).stat().st_mtime
    except OSError:
        return 0.0


def _size(entry: Path) -> int:
    return sum(path.stat().st_size for path in entry.iterdir())


def _load(path: Path, kind: type[_Document]) -> _Document | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _store(path: Path, document: _Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.{os.getpid()}")
    written.write_bytes(msgspec.json.encode(document))
    written.replace(path)
