"""Runs the pipelines, sources to online store, as a child of `make up`."""

import subprocess
import sys
import time
from collections.abc import Sequence

from deploy.local import child, log_files
from deploy.local.process_spec import ProcessSpec
from deploy.local.screen import StepFailedError
from deploy.local.settings import REPOSITORY, LocalSettings

__all__ = ["PIPELINES_COMMAND", "run_pipelines"]

PIPELINES_COMMAND = (sys.executable, "-m", "pipelines", "run")

_GRACE_SECONDS = 10.0


def run_pipelines(settings: LocalSettings, command: Sequence[str] = PIPELINES_COMMAND) -> None:
    """Block until done. Raises `StepFailedError`; an interrupt ends the run before it is passed on."""
    log_file = settings.log_directory / "pipelines.log"
    log_files.bound(log_file)
    spec = ProcessSpec("pipelines", tuple(command), environment=settings.child_environment(), directory=REPOSITORY)
    process = child.start(spec, {}, log_file)
    try:
        exit_code = process.wait()
    except BaseException:
        _end(process)
        raise
    if exit_code != 0:
        raise StepFailedError(f"`{' '.join(('python', *command[1:]))}` ended with {exit_code}", log_file)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(child.POLL_SECONDS)
    child.end_group(process.pid)
    process.wait()
