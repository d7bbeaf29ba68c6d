import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from inference import ArtifactCache, RegisteredVersion
from inference.errors import ArtifactError, RegistryError

ONE = RegisteredVersion("hourly_rate", "1", "run-1", "memory:/1")
TWO = RegisteredVersion("hourly_rate", "2", "run-2", "memory:/2")


def fetching(content: bytes) -> Callable[[RegisteredVersion, Path], Awaitable[None]]:
    async def fetch(version: RegisteredVersion, directory: Path) -> None:
        (directory / "model.lgb").write_bytes(content)
        (directory / "contract.json").write_text(version.version)

    return fetch


def add(cache: ArtifactCache, version: RegisteredVersion, content: bytes = b"model") -> Path:
    return asyncio.run(cache.add(version, fetching(content)))


def age(entry: Path, seconds: float) -> None:
    past = (entry / "manifest.json").stat().st_mtime - seconds
    os.utime(entry / "manifest.json", (past, past))


def test_what_was_added_is_found_also_by_another_process(tmp_path: Path) -> None:
    entry = add(ArtifactCache(tmp_path), ONE)

    assert ArtifactCache(tmp_path).find(ONE) == entry
    assert (entry / "model.lgb").read_bytes() == b"model"


def test_an_unknown_version_is_not_found(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path / "not made yet")

    assert cache.find(ONE) is None
    assert cache.recall("hourly_rate", "champion") is None


def test_a_recreated_model_with_the_same_version_number_is_not_mistaken(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    add(cache, ONE)

    assert cache.find(RegisteredVersion("hourly_rate", "1", "another-run", "memory:/9")) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: (entry / "model.lgb").write_bytes(b"other"),
        lambda entry: (entry / "model.lgb").unlink(),
        lambda entry: (entry / "manifest.json").write_bytes(b"{}"),
        lambda entry: (entry / "manifest.json").unlink(),
    ],
    ids=["changed file", "lost file", "changed manifest", "lost manifest"],
)
def test_a_corrupt_entry_is_absent_and_can_be_fetched_anew(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    cache = ArtifactCache(tmp_path)
    spoil(add(cache, ONE))

    assert cache.find(ONE) is None
    assert cache.find(ONE) is None
    assert (add(cache, ONE) / "model.lgb").read_bytes() == b"model"


def test_the_version_that_an_alias_served_last_is_recalled(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    entry = add(cache, ONE)
    cache.remember(ONE, "champion")

    assert ArtifactCache(tmp_path).recall("hourly_rate", "champion") == (ONE, entry)
    assert cache.recall("hourly_rate", "challenger") is None


def test_a_failed_fetch_leaves_nothing(tmp_path: Path) -> None:
    async def fail(_version: RegisteredVersion, directory: Path) -> None:
        (directory / "half").write_bytes(b"x")
        raise RegistryError("gone")

    cache = ArtifactCache(tmp_path)
    with pytest.raises(RegistryError):
        asyncio.run(cache.add(ONE, fail))

    assert cache.find(ONE) is None
    assert list(tmp_path.rglob("half")) == []


def test_a_version_without_files_is_refused(tmp_path: Path) -> None:
    async def nothing(_version: RegisteredVersion, _directory: Path) -> None:
        return None

    with pytest.raises(ArtifactError, match="no files"):
        asyncio.run(ArtifactCache(tmp_path).add(ONE, nothing))


def test_equal_files_are_kept_once(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    twin = RegisteredVersion("hourly_rate", "1", "run-9", "memory:/9")

    assert add(cache, ONE) == add(cache, twin)


def test_the_least_recently_used_goes_first_and_what_serves_stays(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path, max_bytes=4000)
    versions = [RegisteredVersion("hourly_rate", str(number), f"run-{number}", "") for number in range(4)]
    for number, version in enumerate(versions[:3]):
        age(add(cache, version, bytes([number]) * 1000), 10_000 - number)
    cache.remember(versions[0], "champion")
    add(cache, versions[3], b"x" * 1000)

    assert [cache.find(version) is not None for version in versions] == [True, False, True, True]


def test_what_another_process_may_be_loading_stays_over_the_bound(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path, max_bytes=100)
    add(cache, ONE, b"a" * 1000)
    add(cache, TWO, b"b" * 1000)

    assert cache.find(ONE) is not None


def test_directories_of_killed_fetches_are_cleared(tmp_path: Path) -> None:
    left = tmp_path / "filling-old"
    left.mkdir()
    os.utime(left, (0, 0))
    add(ArtifactCache(tmp_path), ONE)

    assert not left.exists()


def test_a_discarded_version_is_fetched_anew(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    add(cache, ONE)
    cache.discard(ONE)
    cache.discard(ONE)

    assert cache.find(ONE) is None


def test_look_ups_and_size_are_told(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    cache.measure()
    empty = (cache.figures.entries, cache.figures.size_bytes)
    cache.find(ONE)
    entry = add(cache, ONE)
    cache.find(ONE)
    cache.find(ONE)
    cache.measure()

    assert empty == (0, 0)
    assert (cache.figures.hits, cache.figures.misses) == (2, 1)
    assert cache.figures.entries == 1
    assert cache.figures.size_bytes == sum(path.stat().st_size for path in entry.iterdir())
