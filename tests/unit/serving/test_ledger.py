"""Numbers that workers share: sums, restarts, room."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import serving.ledger
from serving.ledger import Ledger
from serving.measures import Family, Measures

COUNT = Family("work_done", "Work.", "counter", ("kind",))
LEVEL = Family("work_level", "Level.", "gauge")
SEEN = Family("work_seen", "Seen by each worker.", "counter", merge="max")
TIMES = Family("work_seconds", "Times.", "histogram", ("kind",), (0.1, 1.0))
BINS = Family("work_bins", "By bin.", "counter", ("kind", "bin"))
FAMILIES = (COUNT, LEVEL, SEEN, TIMES, BINS)


def _worker(directory: Path | None, place: int) -> tuple[Measures, CollectorRegistry]:
    measures = Measures(Ledger(directory, place), FAMILIES)
    registry = CollectorRegistry()
    registry.register(measures)
    return measures, registry


def test_any_worker_tells_the_sum_over_all(tmp_path: Path) -> None:
    workers = [_worker(tmp_path, place) for place in range(3)]
    for place, (measures, _) in enumerate(workers, 1):
        measures.cells(COUNT, "a")[0] += place
        measures.cells(LEVEL)[0] = place
        measures.cells(SEEN)[0] = 2
        measures.distribution(TIMES, "a").observe(0.05 * place)
        measures.spread(BINS, ("a",), ("x", "y"))[1] += 1

    for _, registry in workers:
        assert registry.get_sample_value("work_done_total", {"kind": "a"}) == 6
        assert registry.get_sample_value("work_level") == 6
        assert registry.get_sample_value("work_seen_total") == 2
        assert registry.get_sample_value("work_seconds_bucket", {"kind": "a", "le": "0.1"}) == 2
        assert registry.get_sample_value("work_seconds_sum", {"kind": "a"}) == pytest.approx(0.3)
        assert registry.get_sample_value("work_bins_total", {"kind": "a", "bin": "y"}) == 3


def test_a_worker_in_a_dead_ones_place_keeps_its_counts_and_not_its_levels(tmp_path: Path) -> None:
    _, registry = _worker(tmp_path, 0)
    dead, _ = _worker(tmp_path, 1)
    dead.cells(COUNT, "a")[0] += 5
    dead.cells(LEVEL)[0] = 7
    again, _ = _worker(tmp_path, 1)
    again.cells(COUNT, "a")[0] += 1

    assert registry.get_sample_value("work_done_total", {"kind": "a"}) == 6
    assert registry.get_sample_value("work_level") == 0


def test_alone_it_needs_no_file() -> None:
    measures, registry = _worker(None, 0)
    measures.cells(COUNT, "a")[0] += 1

    assert registry.get_sample_value("work_done_total", {"kind": "a"}) == 1


def test_what_finds_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving.ledger, "_CAPACITY", 4096)
    measures, _ = _worker(None, 0)
    for number in range(300):
        measures.cells(COUNT, str(number))[0] += 1

    assert measures.dropped > 0
