"""Rules are sound, each alert fires when it should and has a runbook."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

PROMETHEUS = Path(__file__).parents[3] / "deploy" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


def _alerts() -> set[str]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


@pytest.mark.parametrize("command", [["check", "rules", *RULES], ["test", "rules", *TESTS]])
def test_promtool_accepts(promtool: str, command: list[str]) -> None:
    done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_shown_to_fire_and_to_keep_quiet() -> None:
    cases = [
        case for path in TESTS for test in yaml.safe_load(path.read_text())["tests"] for case in test["alert_rule_test"]
    ]

    assert {case["alertname"] for case in cases if case["exp_alerts"]} == _alerts()
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == _alerts()


def test_every_alert_has_a_runbook() -> None:
    headings = re.findall(r"(?m)^### (\w+)$", (PROMETHEUS / "runbooks.md").read_text())

    assert set(headings) == _alerts()
