"""`python -m marketplace`: write a sample marketplace."""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from marketplace.generator import generate
from marketplace.spec import MarketplaceSpec, SpecError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate as the command line says; 0 when written, 2 when the arguments cannot be met."""
    usual = MarketplaceSpec()
    parser = argparse.ArgumentParser(prog="python -m marketplace", description="Write a sample marketplace as Parquet.")
    parser.add_argument("--out", type=Path, required=True, help="directory of the source tables")
    parser.add_argument(
        "--truth", type=Path, help="directory of the true conditional means (default: truth beside --out)"
    )
    parser.add_argument("--candidates", type=int, default=usual.candidates)
    parser.add_argument("--jobs", type=int, default=usual.jobs)
    parser.add_argument("--companies", type=int, default=usual.companies)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--start", type=date.fromisoformat, default=usual.start, help="first day, YYYY-MM-DD")
    parser.add_argument("--processes", type=int, default=1, help="the result does not depend on it")
    given = parser.parse_args(arguments)
    try:
        spec = MarketplaceSpec(
            candidates=given.candidates,
            jobs=given.jobs,
            companies=given.companies,
            seed=given.seed,
            start=given.start,
        )
        generate(given.out, given.truth or given.out.parent / "truth", spec, processes=given.processes)
    except SpecError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
