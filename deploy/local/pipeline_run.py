"""Runs the pipelines, sources to online store, as a child of `make up`."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.local import child, log_files
from deploy.local.process_spec import ProcessSpec
from deploy.local.screen import StepFailedError, say
from deploy.local.settings import REPOSITORY, LocalSettings

__all__ = ["PIPELINES_COMMAND", "run_pipelines"]

PIPELINES_COMMAND = (sys.executable, "-m", "pipelines", "run")

_PROGRESS = re.compile(rb"^\S.* (s|up to date)$")
"""A step of the run. Its assets (indented) and what libraries write are for the log alone."""
_GRACE_SECONDS = 10.0


def run_pipelines(settings: LocalSettings, command: Sequence[str] = PIPELINES_COMMAND) -> None:
    """Block until done, and show the lines that the run writes, a step each.

    Raises `StepFailedError`; an interrupt ends the run before it is passed on.
    """
    log_file = settings.log_directory / "pipelines.log"
    log_files.bound(log_file)
    spec = ProcessSpec("pipelines", tuple(command), environment=settings.child_environment(), directory=REPOSITORY)
    process = child.start(spec, {}, log_file, piped=True)
    try:
        _show(process, log_file)
        exit_code = process.wait()
    except BaseException:
        _end(process)
        raise
    if exit_code != 0:
        raise StepFailedError(f"`{' '.join(('python', *command[1:]))}` ended with {exit_code}", log_file)


def _show(process: "subprocess.Popen[bytes]", log_file: Path) -> None:
    if process.stdout is None:
        return
    with process.stdout as lines, log_files.open_log(log_file) as log:
        for line in lines:
            log.write(line)
            if _PROGRESS.search(line):
                say(f"  {line.decode(errors='replace').rstrip()}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(child.POLL_SECONDS)
    child.end_group(process.pid)
    process.wait()
