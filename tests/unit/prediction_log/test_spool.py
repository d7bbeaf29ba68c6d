"""The spool: what was written is read once, in order, through kills, full disks and successors."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.prediction_log import Frame, Spool, rewrite_abandoned
from inference.prediction_log.spool_frames import pack, packed_bytes, scan

FRAMES = st.lists(st.builds(Frame, st.binary(max_size=60), st.integers(0, 9)), max_size=8)
PLENTY = 1 << 20


def frame(number: int, size: int = 10) -> Frame:
    return Frame(f"{number:0{size}}".encode(), number)


def taken(spool: Spool) -> list[Frame]:
    """Everything, released as it is read."""
    found: list[Frame] = []
    while (chunk := spool.oldest()) is not None:
        found += chunk.frames
        spool.release(chunk)
    return found


@given(FRAMES, st.data())
def test_a_torn_tail_is_cut_and_costs_only_the_frame_that_it_tore(frames: list[Frame], data: st.DataObject) -> None:
    content = pack(frames)
    cut = data.draw(st.integers(0, len(content)))
    whole, size = 0, 0
    while whole < len(frames) and size + packed_bytes(frames[whole]) <= cut:
        size += packed_bytes(frames[whole])
        whole += 1

    found = scan(content[:cut])

    assert list(found.frames) == frames[:whole]
    assert found.damaged_bytes == cut - size


@given(FRAMES.filter(bool), st.data())
def test_a_changed_byte_costs_only_the_frame_that_it_is_in(frames: list[Frame], data: st.DataObject) -> None:
    content = bytearray(pack(frames))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 + data.draw(st.integers(0, 254))
    ends = [sum(map(packed_bytes, frames[: position + 1])) for position in range(len(frames))]
    hit = next(position for position, end in enumerate(ends) if place < end)

    found = scan(bytes(content))

    assert list(found.frames) == frames[:hit] + frames[hit + 1 :]


def test_frames_come_back_in_order_over_many_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY, segment_bytes=100)
    frames = [frame(number) for number in range(50)]
    for one in frames:
        spool.append([one])

    assert spool.bytes == sum(map(packed_bytes, frames))
    assert taken(spool) == frames
    assert (spool.bytes, spool.since) == (0, None)


@given(st.lists(st.sampled_from(["append", "read", "release"]), max_size=40))
def test_whatever_the_order_of_work_nothing_is_lost_or_given_twice(work: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        spool = Spool(Path(directory), PLENTY, segment_bytes=60)
        written, read, chunk = 0, [], None
        for step in work:
            if step == "append":
                spool.append([frame(written)])
                written += 1
            elif step == "read":
                chunk = spool.oldest()
            elif chunk is not None:
                read += chunk.frames
                spool.release(chunk)
                chunk = None
        read += taken(spool)
        spool.close()

    assert read == [frame(number) for number in range(written)]


def test_over_its_bound_the_first_frames_are_kept_and_the_rest_told(tmp_path: Path) -> None:
    frames = [frame(number) for number in range(5)]
    spool = Spool(tmp_path, 3 * packed_bytes(frames[0]) + 5)

    assert spool.append(frames) == 3
    assert spool.append(frames) == 0
    assert taken(spool) == frames[:3]
    assert spool.append(frames) == 3


def test_what_is_written_while_a_chunk_is_on_its_way_comes_after_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)
    spool.append([frame(1)])
    chunk = spool.oldest()
    assert chunk is not None
    spool.append([frame(2)])
    spool.release(chunk)

    assert taken(spool) == [frame(2)]


def test_a_chunk_that_is_not_released_is_given_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)
    spool.append([frame(1)])

    assert spool.oldest() == spool.oldest()


def test_the_spool_of_a_living_process_is_left_alone_and_a_closed_one_taken_over(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, PLENTY), Spool(tmp_path, PLENTY)
    first.append([frame(1), frame(2)])
    second.append([frame(3)])

    assert second.adopt() == 0
    first.close()
    assert second.adopt() > 0
    assert taken(second) == [frame(3), frame(1), frame(2)]
    assert len([*tmp_path.iterdir()]) == 1


def test_frames_taken_over_while_a_chunk_is_on_its_way_do_not_disturb_it(tmp_path: Path) -> None:
    dead, spool = Spool(tmp_path, PLENTY), Spool(tmp_path, PLENTY)
    dead.append([frame(9)])
    dead.close()
    spool.append([frame(1)])
    chunk = spool.oldest()
    assert chunk is not None
    spool.adopt()
    spool.release(chunk)

    assert taken(spool) == [frame(9)]


def test_an_empty_spool_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)
    spool.append([frame(1)])
    taken(spool)
    spool.close()

    assert [*tmp_path.iterdir()] == []


_WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from inference.prediction_log import Frame, Spool
spool = Spool(Path(sys.argv[1]), 1 << 20)
for number in range(100):
    spool.append([Frame(f"{number:010}".encode(), number)])
with next(Path(sys.argv[1]).glob("*/*.frames")).open("ab") as file:
    file.write(b"\\xf5OF\\x01torn")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_wrote_is_read_by_its_successor_without_the_torn_tail(tmp_path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(tmp_path)], check=False)
    successor = Spool(tmp_path, PLENTY)
    successor.adopt()

    assert process.returncode == -signal.SIGKILL
    assert taken(successor) == [frame(number) for number in range(100)]
    assert successor.damaged_bytes == 8


@pytest.fixture
def failing_write(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on the disk takes a few bytes and is full then."""

    def fail() -> None:
        original = os.fdatasync

        def refuse(_: int) -> None:
            monkeypatch.setattr(os, "fdatasync", original)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fdatasync", refuse)

    return fail


def test_a_full_disk_raises_and_keeps_none_of_it(tmp_path: Path, failing_write: Callable[[], None]) -> None:
    spool = Spool(tmp_path, PLENTY)
    spool.append([frame(1)], sync=True)
    failing_write()

    with pytest.raises(OSError, match="No space"):
        spool.append([frame(2)], sync=True)
    spool.append([frame(3)], sync=True)
    assert taken(spool) == [frame(1), frame(3)]


def test_frames_of_abandoned_spools_can_be_changed_and_living_ones_are_told(tmp_path: Path) -> None:
    dead, living = Spool(tmp_path, PLENTY), Spool(tmp_path, PLENTY)
    dead.append([frame(1), frame(2), frame(3)])
    dead.close()
    living.append([frame(1)])

    def change(one: Frame) -> Frame | None:
        return {1: None, 2: frame(20)}.get(one.rows, one)

    assert rewrite_abandoned(tmp_path, change) == (1, 1)
    living.adopt()
    assert taken(living) == [frame(1), frame(20), frame(3)]
