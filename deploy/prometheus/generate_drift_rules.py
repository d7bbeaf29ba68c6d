"""Writes `rules/drift.yml`: PSI and Jensen-Shannon from bin counts, and the threshold above their noise.

    python deploy/prometheus/generate_drift_rules.py

PSI = Σ (p - q) · ln(p / q) over bins, p of the window, q of training, each at least 1e-4. With n rows in the window and
m in training, and nothing shifted, PSI / (1/n + 1/m) is about chi-square with k - 1 degrees of freedom for k bins
(Yurdakul, "Statistical Properties of Population Stability Index", 2018). The threshold is its quantile five standard
deviations out, by Wilson and Hilferty's cube root, and never below 0.1, which is no matter in practice.
"""

import re
from pathlib import Path
from typing import Any

import yaml

__all__ = ["WINDOWS", "drift_alert", "drift_rules", "inlined"]

TARGET = Path(__file__).parent / "rules" / "drift.yml"
WINDOWS = ("1h", "1d")
_FLOOR_SHARE = "1e-4"
_FLOOR_PSI = "0.1"
_DEVIATIONS = "5"
_ROWS_A_BIN = "20"
_SOURCES = {"feature": "model, version, feature", "prediction": "model, version"}


def drift_rules(kind: str, window: str) -> list[dict[str, str]]:
    """Recording rules of one kind (`feature` or `prediction`) over one window, in the order of evaluation."""
    by = _SOURCES[kind]
    rows, share = f"scoring:{kind}_bin_rows:increase{window}", f"scoring:{kind}_bin_share:{window}"
    total, reference = f"scoring:{kind}_rows:increase{window}", f"scoring:{kind}_bin_reference:{window}"
    noise = f"scoring:{kind}_psi_noise:{window}"
    p, q = f"clamp_min({share}, {_FLOOR_SHARE})", f"clamp_min({reference}, {_FLOOR_SHARE})"
    each = f"on ({by}, bin)"
    # Without a floor 0 · log(0) would be NaN.
    p0, q0 = f"clamp_min({share}, 1e-12)", f"clamp_min({reference}, 1e-12)"
    mean = f"(({p0} + {each} {q0}) / 2)"
    freedom = f"(count by ({by}) ({reference}) - 1)"
    quantile = f"(1 - 2 / (9 * {freedom}) + {_DEVIATIONS} * sqrt(2 / (9 * {freedom}))) ^ 3"
    return [
        {"record": rows, "expr": f"sum by ({by}, bin) (increase(scoring_{kind}_bin_rows_total[{window}]))"},
        {"record": total, "expr": f"sum by ({by}) ({rows})"},
        {"record": reference, "expr": f"max by ({by}, bin) (scoring_{kind}_bin_reference_ratio)"},
        {"record": share, "expr": f"{rows} / on ({by}) group_left () ({total} > 0)"},
        {
            "record": f"scoring:{kind}_psi:{window}",
            "expr": f"sum by ({by}) (({p} - {each} {q}) * {each} ln({p} / {each} {q}))",
        },
        {
            "record": f"scoring:{kind}_js_bits:{window}",
            "expr": f"sum by ({by}) (({p0} * {each} log2({p0} / {each} {mean})"
            f" + {each} {q0} * {each} log2({q0} / {each} {mean})) / 2)",
        },
        {"record": noise, "expr": f"1 / ({total} > 0) + on ({by}) 1 / max by ({by}) (scoring_{kind}_reference_rows)"},
        {
            "record": f"scoring:{kind}_psi_threshold:{window}",
            "expr": f"clamp_min({noise} * on ({by}) {freedom} * on ({by}) {quantile}, {_FLOOR_PSI})",
        },
    ]


def drift_alert(kind: str, window: str) -> dict[str, Any]:
    """Alert when PSI is above its threshold and the window has 20 rows a bin; fewer say nothing."""
    by = _SOURCES[kind]
    name = f"Scoring{kind.capitalize()}Drift"
    what = "{{ $labels.feature }} of {{ $labels.model }}" if kind == "feature" else "predictions of {{ $labels.model }}"
    return {
        "alert": name,
        "expr": f"scoring:{kind}_psi:{window} > on ({by}) scoring:{kind}_psi_threshold:{window} and on ({by}) "
        f"scoring:{kind}_rows:increase{window} >= on ({by}) {_ROWS_A_BIN} "
        f"* count by ({by}) (scoring:{kind}_bin_reference:{window})",
        "labels": {"severity": "ticket", "window": window},
        "annotations": {
            "summary": f"{what} version {{{{ $labels.version }}}} drifted: PSI {{{{ $value | printf `%.2f` }}}}",
            "runbook": f"deploy/prometheus/runbooks.md#{name.lower()}",
        },
    }


def inlined(expression: str, rules: list[dict[str, str]]) -> str:
    """Replace recorded names by their expressions: the same query, for any moment of the past."""
    for rule in reversed(rules):
        expression = re.sub(rf"(?<![\w:]){re.escape(rule['record'])}(?![\w:])", f"({rule['expr']})", expression)
    return expression


def document() -> str:
    """Give the file's text."""
    groups = [
        {
            "name": f"drift_{kind}_{window}",
            "interval": "1m" if window == "1h" else "5m",
            "rules": [*drift_rules(kind, window), drift_alert(kind, window)],
        }
        for kind in _SOURCES
        for window in WINDOWS
    ]
    head = "# Written by deploy/prometheus/generate_drift_rules.py\n"
    return head + yaml.safe_dump({"groups": groups}, sort_keys=False, width=120)


if __name__ == "__main__":
    TARGET.write_text(document())
