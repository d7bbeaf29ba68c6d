"""The replay of drift over a service that is played here."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from real_data import RealDataError
from real_data.drift import replay_drift

KNOWN = [f"{number % 4}-{number}" for number in range(30_000)]


class Counting:
    """Counts ids by what stands before the dash, as bins of one feature."""

    def __init__(self, reference: Sequence[float]) -> None:
        self.reference = reference
        self.rows: Counter[str] = Counter()

    def score(self, ids: Sequence[str]) -> None:
        self.rows.update(identity.partition("-")[0] for identity in ids)

    def scrape(self) -> str:
        lines = []
        labels = 'model="m",version="1",feature="f"'
        for position, share in enumerate(self.reference):
            series = f'{{{labels},bin="{position}"}}'
            lines.append(f"scoring_feature_bin_rows_total{series} {self.rows[str(position)]}")
            lines.append(f"scoring_feature_bin_reference_ratio{series} {share}")
            output = f'{{model="m",version="1",bin="{position}"}}'
            lines.append(f"scoring_prediction_bin_rows_total{output} {sum(self.rows.values()) / 4}")
            lines.append(f"scoring_prediction_bin_reference_ratio{output} 0.25")
        lines.append(f"scoring_feature_reference_rows{{{labels}}} 5000")
        lines.append('scoring_prediction_reference_rows{model="m",version="1"} 5000')
        return "\n".join([*lines, ""])


@pytest.fixture(autouse=True)
def no_promtool(monkeypatch: pytest.MonkeyPatch) -> None:
    """What promtool says is shown with real counters elsewhere."""
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_the_shifted_window_alarms_for_its_feature(tmp_path: Path) -> None:
    service = Counting([0.25] * 4)
    found = replay_drift(KNOWN, ["0-x"] * 1000, service.score, service.scrape, tmp_path)

    assert set(found.features) == {"f"}
    assert found.rows == 1000
    assert not found.checked


def test_a_quiet_window_that_would_alarm_fails_the_evaluation(tmp_path: Path) -> None:
    service = Counting([0.7, 0.1, 0.1, 0.1])

    with pytest.raises(RealDataError, match="window 1 of 30"):
        replay_drift(KNOWN, KNOWN[:1000], service.score, service.scrape, tmp_path)
