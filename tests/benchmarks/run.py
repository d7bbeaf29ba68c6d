"""`make bench`: measures the platform and its peers in one run on this machine and writes a table and a plot.

Results: `$OFFERS_HOME/bench/report.md` and `report.png`. The peers' environments are made on the first run.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.environments import EnvironmentFailedError
from bench.load import LoadError
from bench.outcome import Outcome, Row
from bench.processes import StartError
from bench.report import machine_line, markdown, plot
from bench.scenarios.features import feature_read, growth, materialise
from bench.scenarios.online import bulk_arrow, bulk_json, observing, single_score
from bench.scenarios.process import arrow_stream, start_up
from bench.scenarios.shortlist import shortlist
from bench.stage import FULL, QUICK, Stage

SCENARIOS: dict[str, Callable[[Stage, Outcome], None]] = {
    "single": single_score,
    "observing": observing,
    "bulk-json": bulk_json,
    "bulk-arrow": bulk_arrow,
    "features": feature_read,
    "materialise": materialise,
    "shortlist": shortlist,
    "start": start_up,
    "stream": arrow_stream,
    "growth": growth,
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds and at most 100,000 entities")
    parser.add_argument("--only", action="append", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS))
    return parser.parse_args()


def main() -> int:
    """Run the scenarios; what breaks is told in the table and does not stop the others."""
    chosen = arguments()
    mode = QUICK if chosen.quick else FULL
    home = Path(os.environ.get("OFFERS_HOME") or Path(__file__).parents[2] / ".local").resolve() / "bench"
    home.mkdir(parents=True, exist_ok=True)
    machine = machine_line()
    outcome = Outcome()
    broken = False
    with contextlib.ExitStack() as stack:
        stage = Stage(home, mode, stack)
        for name in chosen.only or SCENARIOS:
            started = time.monotonic()
            try:
                SCENARIOS[name](stage, outcome)
            except (StartError, LoadError, EnvironmentFailedError) as error:
                outcome.rows.append(Row(name, "", None, note=str(error)[-500:]))
                broken = True
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)  # noqa: T201
    report = markdown(outcome, machine, mode.name)
    (home / "report.md").write_text(report)
    plot(outcome, home / "report.png")
    print(report)  # noqa: T201
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
