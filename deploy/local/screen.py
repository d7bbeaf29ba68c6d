"""What `make up` writes on the screen: plain text, a line a step with its seconds."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.log_files import tail

__all__ = ["StepFailedError", "say", "step", "table"]


class StepFailedError(RuntimeError):
    """A step of `make up` did not succeed; its log says more."""

    def __init__(self, reason: str, log: Path | None = None) -> None:
        super().__init__(reason)
        self.log = log


def say(line: str = "") -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def step(title: str, *, inner_lines: bool = False) -> Iterator[None]:
    """Write `title … seconds`; on failure say which step it was and the last lines of its log, and pass it on.

    A step that writes `inner_lines` gets its title on a line before them too.
    """
    sys.stdout.write(f"{title}:\n" if inner_lines else f"{title:<46}")
    sys.stdout.flush()
    started = time.monotonic()
    try:
        yield
    except KeyboardInterrupt:
        say(f"interrupted after {time.monotonic() - started:.1f} s")
        raise
    except StepFailedError as error:
        say(f"failed after {time.monotonic() - started:.1f} s")
        say(f"\n{title}: {error}")
        if error.log is not None:
            say(f"The last lines of {error.log}:\n")
            for line in tail(error.log):
                say(f"    {line}")
        raise
    ended = f"{title + ' done':<46}" if inner_lines else ""
    say(f"{ended}{time.monotonic() - started:6.1f} s")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
