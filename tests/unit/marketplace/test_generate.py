"""That a marketplace is a function of its spec, and that what cannot be generated is refused clearly."""

import json
from datetime import date
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from marketplace import MarketplaceSpec, SpecError, generate
from marketplace.__main__ import main
from marketplace.generator import source_tables
from marketplace.tables import SOURCE_TABLES, TRUTH_TABLES

SMALL = MarketplaceSpec(candidates=120, jobs=30, companies=4, seed=3, part_size=50)


def digests(home: Path) -> dict[str, str]:
    return {str(f.relative_to(home)): sha256(f.read_bytes()).hexdigest() for f in sorted(home.rglob("*.parquet"))}


def write(home: Path, spec: MarketplaceSpec, processes: int = 1) -> dict[str, str]:
    generate(home / "source", home / "truth", spec, processes=processes)
    return digests(home)


def test_the_same_spec_gives_the_same_bytes_on_one_process_and_on_two(tmp_path: Path) -> None:
    first = write(tmp_path / "a", SMALL)
    second = write(tmp_path / "b", SMALL, processes=2)

    assert first == second
    assert len([name for name in first if name.startswith("source/logins/")]) == 3


def test_another_seed_gives_other_rows(tmp_path: Path) -> None:
    other = MarketplaceSpec(candidates=120, jobs=30, companies=4, seed=4, part_size=50)

    one, two = write(tmp_path / "a", SMALL), write(tmp_path / "b", other)

    assert one.keys() == two.keys()
    assert all(one[name] != two[name] for name in one if name.startswith(("source/candidates", "source/logins")))


def test_a_part_does_not_depend_on_how_many_others_there_are() -> None:
    longer = MarketplaceSpec(candidates=200, jobs=30, companies=4, seed=3, part_size=50)

    for (name, few), (_, many) in zip(source_tables(SMALL, 1), source_tables(longer, 1), strict=True):
        assert few.equals(many), name


@pytest.mark.parametrize("size", [{"candidates": 1, "jobs": 1, "companies": 1}, {"candidates": 3, "years": 1}])
def test_the_smallest_marketplaces_have_all_tables(size: dict[str, int], tmp_path: Path) -> None:
    spec = MarketplaceSpec(**{"jobs": 5, "companies": 2, **size})

    write(tmp_path, spec)

    for kind, tables in (("source", SOURCE_TABLES), ("truth", TRUTH_TABLES)):
        for name, schema in tables.items():
            assert pq.read_table(tmp_path / kind / name).schema.equals(schema)


def test_generating_again_replaces_what_was_there(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    one = MarketplaceSpec(candidates=10, jobs=30, companies=4, seed=3, part_size=50)

    again = write(tmp_path, one)

    assert "source/logins/part-00002.parquet" not in again
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["source", "truth"]
    assert json.loads((tmp_path / "source" / "marketplace.json").read_text())["candidates"] == 10


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "source" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")

    with pytest.raises(SpecError, match=r"thesis\.txt"):
        write(tmp_path, SMALL)

    assert precious.read_text() == "years of work"
    assert not (tmp_path / "truth").exists()


def test_truth_may_not_lie_among_the_source_tables(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="within each other"):
        generate(tmp_path / "source", tmp_path / "source" / "truth", SMALL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"jobs": -1}, "jobs must be at least 1"),
        ({"companies": 10_000_000}, "companies must be at most"),
        ({"seed": -1}, "seed"),
        ({"start": date(1850, 1, 1)}, "start"),
        ({"start": date(2024, 2, 29)}, "29 February"),
        ({"part_size": 0}, "part_size"),
    ],
)
def test_a_spec_that_cannot_be_generated_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        MarketplaceSpec(**changes)  # type: ignore[arg-type] -- one changed field a case


def test_the_command_writes_both_directories(tmp_path: Path) -> None:
    size = ["--candidates", "20", "--jobs", "5", "--companies", "2", "--seed", "9", "--start", "2024-01-01"]

    assert main(["--out", str(tmp_path / "source"), *size]) == 0
    assert {entry.name for entry in (tmp_path / "source").iterdir()} == {*SOURCE_TABLES, "marketplace.json"}
    assert {entry.name for entry in (tmp_path / "truth").iterdir()} == {*TRUTH_TABLES, "marketplace.json"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--candidates", "0"], "candidates must be at least 1"), (["--start", "soon"], "--start"), ([], "--out")],
)
def test_the_command_refuses_bad_arguments(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "source")] if arguments else []

    with pytest.raises(SystemExit) as stopped:
        main([*out, *arguments])

    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
