"""The Makefile as a person meets it."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE)


def test_help_is_the_default_and_lists_every_target() -> None:
    shown = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert [line.split()[1] for line in shown.stdout.splitlines()] == TARGETS
    assert {"help", "up", "down", "status", "test", "lint", "evaluate", "bench", "lock"} <= set(TARGETS)
    assert not shown.stderr


def test_a_target_is_one_or_two_lines() -> None:
    for recipe in re.findall(r"^[a-z]+:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE):
        assert recipe.count("\n") <= 2, recipe


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)

    assert phony is not None
    assert phony[1].split() == TARGETS
