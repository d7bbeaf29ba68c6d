"""A step is due when its code, its settings, a step before it or its files changed, and not otherwise."""

from pathlib import Path

import pytest

from pipelines.run import run
from pipelines.steps import STEPS, Step, fingerprints, has_inputs, is_current, read_records, record_of, write_records

SOURCES, WAREHOUSE = STEPS[0], STEPS[1]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    file = tmp_path / "source" / "logins" / "part-00000.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rows")
    return tmp_path


def test_step_without_record_is_due(home: Path) -> None:
    assert not is_current(SOURCES, "f", None, home)


def test_step_is_current_as_it_left_its_files(home: Path) -> None:
    write_records(home, {"sources": record_of(SOURCES, "f", home)})

    assert is_current(SOURCES, "f", read_records(home)["sources"], home)
    assert not is_current(SOURCES, "g", read_records(home)["sources"], home)


def test_changed_or_lost_file_makes_the_step_due(home: Path) -> None:
    record = record_of(SOURCES, "f", home)
    (home / "source" / "logins" / "part-00000.parquet").write_bytes(b"other rows")

    assert not is_current(SOURCES, "f", record, home)


def test_setting_changes_the_step_and_all_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFFERS_SEED", raising=False)
    before = fingerprints()
    monkeypatch.setenv("OFFERS_SEED", "7")
    after = fingerprints()

    assert all(before[step.name] != after[step.name] for step in STEPS)


def test_snapshot_grid_leaves_the_sources_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprints()
    monkeypatch.setenv("OFFERS_SNAPSHOT_GRID_WEEKS", "4")
    after = fingerprints()

    assert before["sources"] == after["sources"]
    assert before["warehouse"] != after["warehouse"]


def test_broken_records_file_is_no_record(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "pipelines.json").write_text('{"sources": 3}')

    assert read_records(home) == {}


def test_steps_stand_after_what_they_need() -> None:
    seen: set[str] = set()
    for step in STEPS:
        assert seen.issuperset(step.upstream)
        seen.add(step.name)


def _monitoring() -> Step:
    return next(step for step in STEPS if step.name == "monitoring")


def test_monitoring_has_nothing_to_do_without_a_log(home: Path) -> None:
    assert not has_inputs(_monitoring(), home)
    assert has_inputs(SOURCES, home)


def test_monitoring_is_due_again_when_the_log_has_grown(home: Path) -> None:
    log = home / "predictions" / "residency" / "day=2026-11-24"
    log.mkdir(parents=True)
    (log / "a.parquet").write_bytes(b"rows")
    record = record_of(_monitoring(), "f", home)
    unchanged = is_current(_monitoring(), "f", record, home)
    (log / "b.parquet").write_bytes(b"more rows")

    assert unchanged
    assert has_inputs(_monitoring(), home)
    assert not is_current(_monitoring(), "f", record, home)


def test_a_run_makes_the_report_only_when_asked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home, "redis://127.0.0.1:1/0", selected=["monitoring"], force=True) == ()

    assert "nothing to do: no predictions/*/*/*.parquet" in capsys.readouterr().out
    assert [step.name for step in STEPS if step.asked_only] == ["monitoring"]
