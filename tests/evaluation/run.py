"""Evaluate the platform on real data: `make evaluate`."""

import argparse
import os
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(Path(__file__).parent)]

from deploy.local.settings import LocalSettings  # noqa: E402  (found through the two paths above)
from real_data import DATASETS, RealDataError  # noqa: E402
from real_data.flow import evaluation_platform, run_flow  # noqa: E402
from real_data.report import figures, markdown  # noqa: E402


def main() -> int:
    """Run the chosen data sets, print the table, keep it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [dataset.name for dataset in DATASETS]
    parser.add_argument("--only", choices=names, action="append", help="data set to run; all by default")
    chosen = parser.parse_args().only or names
    real_data = Path(os.environ.get("OFFERS_REAL_DATA") or REPOSITORY.parent / "shared" / "data")
    home = LocalSettings.from_environment().home / "evaluation"
    results = []
    try:
        with evaluation_platform(home) as settings:
            for dataset in DATASETS:
                if dataset.name in chosen:
                    began = time.monotonic()
                    answered = run_flow(dataset, settings, real_data)
                    results.append((dataset, answered, figures(dataset, answered)))
                    print(f"{dataset.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)  # noqa: T201
    except RealDataError as error:
        print(f"evaluate: {error}", file=sys.stderr)  # noqa: T201
        return 1
    table = markdown(results)
    (home / "report.md").write_text(table)
    print(f"\n{table}\nWritten to {home / 'report.md'}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
