"""`up`, `status` and `down`."""

import json
import time

from deploy.local.api_key import local_api_key
from deploy.local.first_scores import example_body, first_scores
from deploy.local.lifecycle import ensure_supervisor, go_on, running_state, stop_supervisor, wait_ready
from deploy.local.pid_lock import LockHeldError, pid_lock
from deploy.local.pipeline_run import run_pipelines
from deploy.local.platform_specs import platform_specs
from deploy.local.screen import StepFailedError, say, step, table
from deploy.local.settings import SERVICES, LocalSettings
from deploy.local.state import ProcessState

__all__ = ["down", "status", "up"]


def up(settings: LocalSettings) -> int:
    """Bring the whole platform up and show that it scores; return the exit code."""
    started = time.monotonic()
    try:
        with pid_lock(settings.run_directory / "up.lock"):
            key = local_api_key(settings.api_key_file)
            attempt, answers = _bring_up(settings, key)
    except LockHeldError:
        say(f"another `make up` is at work in {settings.home}")
        return 1
    except StepFailedError:
        say("\nWhat runs now (`make up` goes on from here, `make down` stops it):\n")
        status(settings)
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. What was started goes on running: `make up` goes on from here, `make down` stops it.")
        return 130
    _show(settings, key, attempt, answers, time.monotonic() - started)
    return 0


def status(settings: LocalSettings) -> int:
    """Show what runs."""
    state = running_state(settings)
    if state is None:
        say(f"nothing runs in {settings.home}")
        return 0
    table(
        ("name", "pid", "state", "port", "ready", "restarts", "uptime"),
        [_row(process, time.time()) for process in state.processes],
    )
    return 0


def down(settings: LocalSettings) -> int:
    """Stop exactly what `up` started; doing it twice is no error."""
    stopped = stop_supervisor(settings)
    say(f"stopped {stopped} processes" if stopped else f"nothing runs in {settings.home}")
    return 0


def _bring_up(settings: LocalSettings, key: str) -> tuple[int, dict[str, str]]:
    with step("supervisor"):
        specs = platform_specs(settings)
        ensure_supervisor(settings, specs)
    if any((settings.home / "cache" / "models").glob("*")):
        go_on(settings)  # the services have models from before, and come up while MLflow does
    for spec in specs:
        if spec.stage == 0:
            with step(spec.name):
                wait_ready(settings, spec.name)
    with step("pipelines", inner_lines=True):
        run_pipelines(settings)
    with step("start of the services"):
        go_on(settings)
    for spec in specs:
        if spec.stage > 0:
            with step(f"{spec.name} ready"):
                wait_ready(settings, spec.name)
    with step("one person through each service"):
        attempt, answers = first_scores(settings, key)
    return attempt, dict(answers)


def _row(process: ProcessState, now: float) -> tuple[str, ...]:
    alive = process.pid is not None and process.started_at is not None
    return (
        process.name,
        str(process.pid or "-"),
        process.status,
        str(process.port or "-"),
        "yes" if process.status == "ready" else "no",
        str(process.restarts),
        f"{now - process.started_at:.0f} s" if alive and process.started_at else "-",
    )


def _show(settings: LocalSettings, key: str, attempt: int, answers: dict[str, str], seconds: float) -> None:
    for service, answer in answers.items():
        say(f"\n{service}  {json.dumps(example_body(service, attempt))}\n  {answer}")
    say()
    table(
        ("what", "where"),
        [(name, f"{settings.service_url(name)}/docs") for name in SERVICES] + [("mlflow", settings.mlflow_url)],
    )
    say(f"\nReady after {seconds:.1f} s. Logs: {settings.log_directory}. Try it:\n")
    say(f"curl -s {settings.service_url('hourly_rate')}/v1/score \\")
    say(f"  -H 'X-API-Key: {key}' -H 'Content-Type: application/json' \\")
    say(f"  -d '{json.dumps(example_body('hourly_rate', attempt))}'")
