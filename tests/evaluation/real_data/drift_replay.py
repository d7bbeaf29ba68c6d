"""A service's own counters, scrape by scrape, before the project's drift rules: which alerts fire when, by promtool.

What ought to fire is computed here anew from the definitions (Yurdakul 2018), and from nothing of the rules' text.
"""

import math
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Replay", "psi"]

STEP_MINUTES = 5
_STEPS = {"1h": 60 // STEP_MINUTES, "1d": 24 * 60 // STEP_MINUTES}
_FAMILIES = {
    "feature": (
        "scoring_feature_bin_rows_total",
        "scoring_feature_bin_reference_ratio",
        "scoring_feature_reference_rows",
    ),
    "prediction": (
        "scoring_prediction_bin_rows_total",
        "scoring_prediction_bin_reference_ratio",
        "scoring_prediction_reference_rows",
    ),
}
_NAMES = {name for names in _FAMILIES.values() for name in names}

Labels = tuple[tuple[str, str], ...]


def psi(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Population stability index of shares p against q, each share at least 1e-4."""
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    return float(np.sum((p - q) * np.log(p / q)))


def _threshold(bins: int, rows: float, reference_rows: float) -> float:
    """Five standard deviations above what chance gives, at least 0.1."""
    freedom = bins - 1
    quantile = (1 - 2 / (9 * freedom) + 5 * math.sqrt(2 / (9 * freedom))) ** 3
    return max(0.1, (1 / rows + 1 / reference_rows) * freedom * quantile)


@dataclass(slots=True)
class Replay:
    """Scrapes five minutes apart."""

    scrapes: list[dict[str, dict[Labels, float]]] = field(default_factory=list)

    def scrape(self, text: str) -> None:
        """Add what `/metrics` says now."""
        found: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in _NAMES:
                    found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
        self.scrapes.append(found)

    def drifted(self, window: str, kind: str = "feature") -> dict[tuple[str, str, str], float]:
        """Model, version and feature (or an empty string) to the PSI of what ought to alarm now."""
        counted, ratio, sample = _FAMILIES[kind]
        steps = min(_STEPS[window], len(self.scrapes) - 1)
        now, before = self.scrapes[-1], self.scrapes[-1 - steps]
        counts: dict[Labels, list[float]] = {}
        shares: dict[Labels, list[float]] = {}
        for labels, value in now[counted].items():
            key = tuple(pair for pair in labels if pair[0] != "bin")
            counts.setdefault(key, []).append(value - before[counted].get(labels, 0.0))
            shares.setdefault(key, []).append(now[ratio][labels])
        alarms: dict[tuple[str, str, str], float] = {}
        for key, row in counts.items():
            total = sum(row)
            if total < 20 * len(row):
                continue
            value = psi(np.array(row) / total, np.array(shares[key]))
            if value > _threshold(len(row), total, now[sample][key]):
                named = dict(key)
                alarms[named["model"], named["version"], named.get("feature", "")] = value
        return alarms

    def check(self, promtool: str, rules: Path, directory: Path, quiet: Iterable[int]) -> str:
        """Hold the rules' alerts to `drifted` at the last scrape, and to none at the scrapes `quiet`.

        Gives promtool's complaint, empty where it has none.
        """
        minutes = STEP_MINUTES * (len(self.scrapes) - 1)
        cases: list[dict[str, Any]] = [
            {"eval_time": f"{at * STEP_MINUTES}m", "alertname": name, "exp_alerts": []}
            for at in quiet
            for name in ("ScoringFeatureDrift", "ScoringPredictionDrift")
        ]
        for kind, name in (("feature", "ScoringFeatureDrift"), ("prediction", "ScoringPredictionDrift")):
            alerts = [
                _alert(kind, name, window, key, value)
                for window in _STEPS
                for key, value in self.drifted(window, kind).items()
            ]
            cases.append({"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": alerts})
        document = {
            "rule_files": [str(rules)],
            "evaluation_interval": f"{STEP_MINUTES}m",
            "tests": [
                {"interval": f"{STEP_MINUTES}m", "input_series": self._series(), "alert_rule_test": cases},
            ],
        }
        path = directory / "replay.yml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def _series(self) -> list[dict[str, str]]:
        series: list[dict[str, str]] = []
        for name in sorted(_NAMES):
            for labels in self.scrapes[-1].get(name, {}):
                values = (scrape.get(name, {}).get(labels) for scrape in self.scrapes)
                selector = ",".join(f'{label}="{value}"' for label, value in labels)
                text = " ".join("_" if value is None else repr(value) for value in values)
                series.append({"series": f"{name}{{{selector}}}", "values": text})
        return series


def _alert(kind: str, name: str, window: str, key: tuple[str, str, str], value: float) -> Mapping[str, Any]:
    model, version, feature = key
    labels = {"severity": "ticket", "window": window, "model": model, "version": version}
    what = f"predictions of {model}"
    if kind == "feature":
        labels["feature"] = feature
        what = f"{feature} of {model}"
    return {
        "exp_labels": labels,
        "exp_annotations": {
            "summary": f"{what} version {version} drifted: PSI {value:.2f}",
            "runbook": f"deploy/prometheus/runbooks.md#{name.lower()}",
        },
    }
