"""The drift rules over a real Prometheus' history: they say what numpy says, keep quiet on noise, and find a shift."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "generate_drift_rules.py"
START = 1_790_000_000
HOUR = 3600
STEP = 300
WINDOWS = 30
REFERENCE_ROWS = 5000
FEATURES = {f"f{number}": bins for number, bins in enumerate((2, 3, 6, 11, 11, 11, 12, 25, 49))}
ROWS_A_WINDOW = {"quiet": 1200, "busy": 20_000}
PLANTED = "f4"


def _shares(rng: np.random.Generator, bins: int) -> NDArray[np.float64]:
    counts = rng.multinomial(REFERENCE_ROWS, rng.dirichlet(np.full(bins, 3.0)))
    return counts / REFERENCE_ROWS


def _psi(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    return float(np.sum((p - q) * np.log(p / q)))


def _js_bits(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    return float(jensenshannon(p, q, base=2)) ** 2


def _shifted(q: NDArray[np.float64], psi: float) -> NDArray[np.float64]:
    """Move mass along the bins until the PSI is as asked."""
    slope = np.linspace(-1, 1, len(q))
    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        p = q * np.exp(middle * slope)
        p /= p.sum()
        low, high = (middle, high) if _psi(p, q) < psi else (low, middle)
    return p


class History:
    """Counters and gauges of two models over 31 hours: 30 without a shift, then one with PSI 0.2 in one feature."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.lines: list[str] = []
        self.reference: dict[tuple[str, str], NDArray[np.float64]] = {}
        self.counts: dict[tuple[str, str], NDArray[np.int64]] = {}
        """(hours, bins)."""
        per_hour = HOUR // STEP
        for model, rows in ROWS_A_WINDOW.items():
            for feature, bins in FEATURES.items():
                reference = self.reference[model, feature] = _shares(rng, bins)
                # What people are like is what the reference was drawn from, up to its own noise.
                truth = rng.dirichlet(reference * REFERENCE_ROWS + 0.5)
                planted = _shifted(truth, 0.2) if feature == PLANTED else truth
                steps = np.concatenate(
                    [
                        rng.multinomial(rows // per_hour, truth, WINDOWS * per_hour),
                        rng.multinomial(rows // per_hour, planted, per_hour),
                    ]
                )
                self.counts[model, feature] = steps.reshape(WINDOWS + 1, per_hour, bins).sum(axis=1)
                self._add(model, feature, np.vstack([np.zeros(bins, dtype=np.int64), steps.cumsum(axis=0)]))

    def openmetrics(self) -> str:
        """Text for `promtool tsdb create-blocks-from openmetrics`; families stand together."""
        kinds = {"scoring_feature_bin_rows": "counter", "scoring_feature_bin_reference_ratio": "gauge"}
        kinds["scoring_feature_reference_rows"] = "gauge"
        text: list[str] = []
        for family, kind in kinds.items():
            text.append(f"# TYPE {family} {kind}")
            name = family + ("_total" if kind == "counter" else "")
            text += [line for line in self.lines if line.startswith(name + "{")]
        return "\n".join([*text, "# EOF", ""])

    def _add(self, model: str, feature: str, totals: NDArray[np.int64]) -> None:
        labels = f'model="{model}",version="1",feature="{feature}"'
        reference = self.reference[model, feature]
        for step, row in enumerate(totals):
            at = START + step * STEP
            self.lines.append(f"scoring_feature_reference_rows{{{labels}}} {REFERENCE_ROWS} {at}")
            for position, (count, share) in enumerate(zip(row, reference, strict=True)):
                series = f'{{{labels},bin="{position}"}}'
                self.lines.append(f"scoring_feature_bin_rows_total{series} {count} {at}")
                self.lines.append(f"scoring_feature_bin_reference_ratio{series} {float(share)!r} {at}")


@pytest.fixture(scope="module")
def history() -> History:
    return History()


def test_psi_divergence_and_alarms(
    history: History, prometheus: Callable[[str], Any], promtool: str, load: Callable[[Path], Any], tmp_path: Path
) -> None:
    rules = load(RULES)
    recorded = rules.drift_rules("feature", "1h")
    text = tmp_path / "history.txt"
    text.write_text(history.openmetrics())
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(tmp_path / "data")]
    subprocess.run(command, check=True, capture_output=True)
    hours = [START + hour * HOUR for hour in range(1, WINDOWS + 2)]

    with prometheus("scrape_configs: []\n") as url:

        def ask(expression: str) -> dict[tuple[str, str], dict[int, float]]:
            query = {"query": rules.inlined(expression, recorded), "start": hours[0], "end": hours[-1], "step": HOUR}
            answer = httpx.post(f"{url}/api/v1/query_range", data=query, timeout=60).json()
            assert answer["status"] == "success", answer
            return {
                (one["metric"]["model"], one["metric"]["feature"]): {
                    int(at): float(value) for at, value in one["values"]
                }
                for one in answer["data"]["result"]
            }

        psi, divergence = ask("scoring:feature_psi:1h"), ask("scoring:feature_js_bits:1h")
        alarms = ask(rules.drift_alert("feature", "1h")["expr"])

    assert len(psi) == len(FEATURES) * len(ROWS_A_WINDOW)
    for key, counts in history.counts.items():
        for hour, row in zip(hours, counts, strict=True):
            share, reference = row / row.sum(), history.reference[key]
            assert psi[key][hour] == pytest.approx(_psi(share, reference), abs=1e-9)
            assert divergence[key][hour] == pytest.approx(_js_bits(share, reference), abs=1e-9)
    assert {key: list(raised) for key, raised in alarms.items()} == {
        (model, PLANTED): [hours[-1]] for model in ROWS_A_WINDOW
    }
