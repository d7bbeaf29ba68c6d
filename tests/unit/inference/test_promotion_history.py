import threading
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from inference import Promotion, PromotionHistory
from inference.errors import RefusalCode

AT = datetime(2026, 11, 24, tzinfo=UTC)


def move(number: int, **more: object) -> Promotion:
    fields = {"at": AT + timedelta(seconds=number), "model": "residency", "alias": "champion", "outcome": "live"}
    named = {"from_version": str(number), "to_version": str(number + 1), "seen_by": ("one",)}
    return Promotion(**{**fields, **named, **more})  # type: ignore[arg-type]  # fields by name


def test_moves_survive_and_come_newest_first(tmp_path: Path) -> None:
    moves = [move(number, to_metrics={"auc": 0.8}) for number in range(3)]
    for one in moves:
        PromotionHistory(tmp_path / "history", "residency").append(one)

    assert PromotionHistory(tmp_path / "history", "residency").read() == moves[::-1]


def test_without_a_file_there_are_no_moves(tmp_path: Path) -> None:
    assert PromotionHistory(tmp_path, "residency").read() == []


def test_what_several_workers_tell_stands_once_and_names_them(tmp_path: Path) -> None:
    history = PromotionHistory(tmp_path, "residency")
    history.append(move(1))
    history.append(move(1, at=AT + timedelta(seconds=3), seen_by=("two",)))
    history.append(move(1, alias="challenger"))
    history.append(move(1, at=AT + timedelta(hours=1), seen_by=("three",)))

    assert [(one.alias, one.at - AT, one.seen_by) for one in history.read()] == [
        ("champion", timedelta(hours=1), ("three",)),
        ("challenger", timedelta(seconds=1), ("one",)),
        ("champion", timedelta(seconds=1), ("one", "two")),
    ]


def test_a_move_there_and_back_and_there_again_is_three_moves_however_workers_lag(tmp_path: Path) -> None:
    history = PromotionHistory(tmp_path, "residency")
    there, back, again = (
        move(number, from_version=start, to_version=end)
        for number, (start, end) in enumerate([("1", "2"), ("2", "1"), ("1", "2")])
    )
    slow = [move(10 + n, from_version=one.from_version, to_version=one.to_version, seen_by=("two",))
            for n, one in enumerate((there, back, again))]  # fmt: skip
    for one in (there, back, slow[0], again, slow[1], slow[2]):
        history.append(one)

    assert [(one.to_version, one.seen_by) for one in history.read()] == [
        ("2", ("one", "two")),
        ("1", ("one", "two")),
        ("2", ("one", "two")),
    ]


def test_a_start_is_not_taken_for_a_later_move_to_the_same_version(tmp_path: Path) -> None:
    history = PromotionHistory(tmp_path, "residency")
    start = move(0, from_version=None, to_version="2")
    told = [move(1, to_version="2", seen_by=(name,)) for name in ("one", "two")]
    for one in (start, *told):
        history.append(one)

    assert [(one.from_version, one.seen_by) for one in history.read()] == [("1", ("one", "two")), (None, ("one",))]


def test_of_a_rollback_the_reason_of_the_process_that_found_it_is_told(tmp_path: Path) -> None:
    history = PromotionHistory(tmp_path, "residency")
    elsewhere = {"code": RefusalCode.ROLLED_BACK_ELSEWHERE, "reason": "by another", "seen_by": ("two",)}
    found = {"code": RefusalCode.GUARD_ERRORS, "reason": "3 of 3 rows"}
    shifted = {"code": RefusalCode.GUARD_SHIFT, "seen_by": ("three",)}
    follower, finder, other = (
        move(1, at=AT + timedelta(seconds=second), outcome="rolled_back", **more)
        for second, more in enumerate((elsewhere, found, shifted))
    )
    for one in (follower, finder, other):
        history.append(one)
    newest, told = history.read()

    assert (told.code, told.reason, told.seen_by) == (RefusalCode.GUARD_ERRORS, "3 of 3 rows", ("two", "one"))
    assert newest.code is RefusalCode.GUARD_SHIFT


def test_pages_give_every_move_once(tmp_path: Path) -> None:
    history = PromotionHistory(tmp_path, "residency")
    for number in range(25):
        history.append(move(number))
    pages: list[list[str]] = []
    before: str | None = None
    while page := history.read(10, before):
        pages.append([one.to_version for one in page])
        before = page[-1].id

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [version for page in pages for version in page] == [str(number) for number in range(25, 0, -1)]


def test_the_file_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    history = PromotionHistory(tmp_path, "residency", kept=10)
    for number in range(45):
        history.append(move(number))

    assert len((tmp_path / "residency.jsonl").read_bytes().splitlines()) <= 20
    assert [one.from_version for one in history.read(3)] == ["44", "43", "42"]


def test_a_line_that_a_crash_cut_short_costs_only_itself(tmp_path: Path) -> None:
    history = PromotionHistory(tmp_path, "residency")
    history.append(move(1))
    with (tmp_path / "residency.jsonl").open("ab") as file:
        file.write(b'{"at": "2026')
    history.append(move(2))

    assert [one.from_version for one in history.read()] == ["2", "1"]


def append_all(directory: Path, writer: int, moves: int, kept: int) -> None:
    history = PromotionHistory(directory, "residency", kept=kept)
    for number in range(moves):
        history.append(move(number, alias=f"alias-{writer}", seen_by=(str(writer),)))


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_moves_of_several_writers_at_once_are_all_kept(tmp_path: Path, kind: str) -> None:
    writers, moves = 4, 25
    start = threading.Thread if kind == "thread" else get_context("spawn").Process
    running = [start(target=append_all, args=(tmp_path, writer, moves, 1000)) for writer in range(writers)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    told = PromotionHistory(tmp_path, "residency").read(1000)

    for writer in range(writers):
        mine = [one.from_version for one in told if one.alias == f"alias-{writer}"]
        assert mine == [str(number) for number in range(moves)][::-1]


def test_a_reader_sees_whole_histories_while_writers_cut_the_file(tmp_path: Path) -> None:
    """The newest ten are there at any time."""
    append_all(tmp_path, 0, 20, 10)
    writing = threading.Thread(target=append_all, args=(tmp_path, 0, 150, 10))
    writing.start()
    history = PromotionHistory(tmp_path, "residency", kept=10)
    shortest = min((len(history.read()) for _ in iter(writing.is_alive, False)), default=10)
    writing.join()

    assert shortest >= 10
