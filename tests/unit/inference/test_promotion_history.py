from datetime import UTC, datetime, timedelta
from pathlib import Path

from inference import Promotion, PromotionHistory

AT = datetime(2026, 11, 24, tzinfo=UTC)


def move(number: int, **more: object) -> Promotion:
    fields = {"at": AT + timedelta(seconds=number), "model": "residency", "alias": "champion", "outcome": "live"}
    named = {"from_version": str(number), "to_version": str(number + 1)}
    return Promotion(**{**fields, **named, **more})  # type: ignore[arg-type]  # fields by name


def test_moves_survive_and_come_newest_first(tmp_path: Path) -> None:
    moves = [move(number, to_metrics={"auc": 0.8}) for number in range(3)]
    for one in moves:
        PromotionHistory(tmp_path / "history", "residency").append(one)

    assert PromotionHistory(tmp_path / "history", "residency").read() == moves[::-1]


def test_without_a_file_there_are_no_moves(tmp_path: Path) -> None:
    assert PromotionHistory(tmp_path, "residency").read() == []


def test_what_several_workers_tell_stands_once(tmp_path: Path) -> None:
    history = PromotionHistory(tmp_path, "residency")
    history.append(move(1))
    history.append(move(1, at=AT + timedelta(seconds=3)))
    history.append(move(1, alias="challenger"))
    history.append(move(1, at=AT + timedelta(hours=1)))

    assert [(one.alias, one.at - AT) for one in history.read()] == [
        ("champion", timedelta(hours=1)),
        ("challenger", timedelta(seconds=1)),
        ("champion", timedelta(seconds=1)),
    ]


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
