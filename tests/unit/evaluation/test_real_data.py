"""Adapters of the real data, on rows planted here."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from real_data import DATASETS, Dataset, RealDataError
from real_data.commit_hours import COMMIT_HOURS
from real_data.dou_salaries import DOU_SALARIES
from real_data.flow import Predictions
from real_data.report import figures, markdown

from pipelines.training.declaration import LEGALLY_PROHIBITED

OLD, NEW = datetime(2019, 6, 1, tzinfo=UTC), datetime(2019, 12, 1, tzinfo=UTC)


def answer(
    respondent: int, wave: datetime, pay: int, position: str = "QA engineer", years: float = 2.0
) -> dict[str, Any]:
    words = ("language", "specialisation", "city", "english", "company_size", "company_type", "education")
    return {
        "wave": wave,
        "respondent": respondent,
        "salary_usd_month": pay,
        "position": position,
        "experience_years": years,
        "current_job_years": 1.0,
        "domain": "Gamedev,eCommerce",
        **dict.fromkeys(words, "x"),
    }


def write(dataset: Dataset, directory: Path, rows: list[Mapping[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), directory / dataset.file)
    return directory


def test_absurd_pay_is_left_out_of_features_and_labels(tmp_path: Path) -> None:
    write(
        DOU_SALARIES,
        tmp_path,
        [answer(1, OLD, 99), answer(2, OLD, 100), answer(3, OLD, 15_000), answer(4, OLD, 15_001)],
    )

    tables = DOU_SALARIES.tables(tmp_path)

    assert tables.labels["label"].to_pylist() == [100.0, 15_000.0]
    assert tables.features["candidate_id"].to_pylist() == tables.labels["candidate_id"].to_pylist()


def test_the_newest_wave_is_held_out_and_positions_lose_their_case(tmp_path: Path) -> None:
    write(DOU_SALARIES, tmp_path, [answer(1, OLD, 500), answer(1, NEW, 700, "QA Engineer")])

    tables = DOU_SALARIES.tables(tmp_path)

    assert tables.labels["held_out"].to_pylist() == [False, True]
    assert set(tables.features["position"].to_pylist()) == {"qa engineer"}
    assert len(set(tables.labels["candidate_id"].to_pylist())) == 2


def test_the_baseline_is_the_median_of_the_group_then_of_the_position_then_of_all(tmp_path: Path) -> None:
    rows = [answer(1, OLD, 500), answer(2, OLD, 700), answer(3, OLD, 1_000, years=5.0), answer(4, OLD, 3_000, "CTO")]
    asked = [answer(5, NEW, 1), answer(6, NEW, 200), answer(7, NEW, 200, years=9.0), answer(8, NEW, 200, "Designer")]
    write(DOU_SALARIES, tmp_path, rows + asked)

    naive = DOU_SALARIES.naive(DOU_SALARIES.tables(tmp_path)).sort_by("candidate_id")

    assert naive["prediction"].to_pylist() == [600.0, 700.0, 850.0]


def test_commits_become_shares_and_few_commits_do_not_count(tmp_path: Path) -> None:
    def author(name: str, hours: dict[int, int]) -> dict[str, Any]:
        return {
            "author_id": name,
            "n_commits": sum(hours.values()),
            "n_repos": 1,
            "last_commit_utc": "2026-01-01",
            "email_kind": "free",
            "share_kana_subject": 0.0,
            "commits_at_plus_0900": 1,
            **{f"utc_h{hour:02d}": hours.get(hour, 0) for hour in range(24)},
            **{f"utc_wd{day}": sum(hours.values()) if day == 0 else 0 for day in range(7)},
        }

    write(COMMIT_HOURS, tmp_path, [author("a1", {3: 4, 4: 6}), author("a2", {3: 4})])

    features = COMMIT_HOURS.tables(tmp_path).features

    assert features["candidate_id"].to_pylist() == ["a1"]
    assert features["share_utc_h03"].to_pylist() == [0.4]
    assert features["share_6h_from_00"].to_pylist() == [1.0]


def test_an_absent_file_is_named_with_the_setting_that_finds_it(tmp_path: Path) -> None:
    with pytest.raises(RealDataError, match="OFFERS_REAL_DATA"):
        DOU_SALARIES.tables(tmp_path)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_no_prohibited_attribute_is_selected(dataset: Dataset) -> None:
    words = {word.strip(",()").split(".")[-1].lower() for word in dataset.features_sql.split()}

    assert not words & {*LEGALLY_PROHIBITED, "name_script"}


def test_figures_compare_model_and_baseline() -> None:
    answered = Predictions(
        label=[100.0, 200.0],
        model=[110.0, 190.0],
        naive=[150.0, 150.0],
        known_rows=7,
        lower=[90.0, 195.0],
        upper=[120.0, 210.0],
    )

    rows = {figure.metric: figure for figure in figures(DOU_SALARIES, answered)}

    assert rows["MAE (USD/month)"].gain == pytest.approx(0.8)
    assert rows["coverage of the 80 % interval"].model == 1.0
    assert "| +80.0% |" in markdown([(DOU_SALARIES, answered, tuple(rows.values()))])
