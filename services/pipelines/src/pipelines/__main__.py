"""`python -m pipelines run`: make everything that is due, from source tables to the online store.

`follow`, `forget` and `expire` tend the prediction log.
"""

import argparse
import sys
import warnings

from pipelines.features.redis_url import redis_url
from pipelines.prediction_log.commands import add_commands, run_command
from pipelines.run import RunError, run
from pipelines.steps import STEPS
from pipelines.warehouse.settings import offers_home


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines", description="Sources to online store, in process.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="make what is due")
    names = [step.name for step in STEPS]
    command.add_argument("--select", nargs="+", choices=names, default=[], help="only these steps, if they are due")
    command.add_argument("--force", action="store_true", help="make them even if they are up to date")
    add_commands(commands)
    arguments = parser.parse_args()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # the libraries' deprecations are no part of a line an asset
    if arguments.command != "run":
        return run_command(arguments)
    try:
        run(offers_home(), redis_url(), selected=arguments.select, force=arguments.force)
    except RunError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
