"""`python -m deploy.local up | status | down`; `supervise` is what `up` leaves running."""

import argparse
import sys

from deploy.local.commands import down, status, up
from deploy.local.pid_lock import LockHeldError
from deploy.local.platform_specs import platform_specs
from deploy.local.screen import say
from deploy.local.settings import LocalSettings
from deploy.local.supervisor import Supervisor

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="The platform on this machine.")
    parser.add_argument("command", choices=("up", "status", "down", "supervise"))
    command = parser.parse_args(arguments).command
    settings = LocalSettings.from_environment()
    if command == "supervise":
        return _supervise(settings)
    return {"up": up, "status": status, "down": down}[command](settings)


def _supervise(settings: LocalSettings) -> int:
    try:
        Supervisor(platform_specs(settings), settings.home, settings.host).run()
    except LockHeldError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
