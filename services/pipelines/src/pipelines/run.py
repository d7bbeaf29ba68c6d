"""Materialise in process what is due, step by step, and say one line an asset."""

import fcntl
import os
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.redis_mark import read_marks, write_mark
from pipelines.steps import (
    STEPS,
    Step,
    StepRecord,
    fingerprints,
    has_inputs,
    is_current,
    read_records,
    record_of,
    write_records,
)

__all__ = ["RunError", "run"]


class RunError(Exception):
    """A step failed; the message names it and why."""


def run(home: Path, redis_url: str, *, selected: Collection[str] = (), force: bool = False) -> tuple[str, ...]:
    """Make every step that is due, or the selected ones among them, and return the names of those made.

    Raises RunError. Another run under the same home is waited for.
    """
    with _alone(home):
        now = fingerprints()
        records = read_records(home)
        asked = [step for step in STEPS if (step.name in selected if selected else not step.asked_only)]
        steps = [step for step in asked if has_inputs(step, home)]
        due = steps if force else _due(steps, now, records, home, redis_url)
        for step in asked:
            if step not in steps:
                _say(f"{step.name:<60} nothing to do: no {' or '.join(step.inputs)}")
            elif step not in due:
                _say(f"{step.name:<60} up to date")
        if not due:
            return ()
        made = []
        for step in due:
            if _materialize(home, step):
                records = {**records, step.name: record_of(step, now[step.name], home)}
                write_records(home, records)
                if step.in_redis:
                    write_mark(redis_url, step.name, now[step.name])
                made.append(step.name)
        return tuple(made)


def _due(
    steps: list[Step], now: dict[str, str], records: dict[str, StepRecord], home: Path, redis_url: str
) -> list[Step]:
    marked = [step.name for step in steps if step.in_redis]
    marks = dict(zip(marked, read_marks(redis_url, marked), strict=True)) if marked else {}
    return [
        step
        for step in steps
        if not is_current(step, now[step.name], records.get(step.name), home)
        or (step.in_redis and marks[step.name] != now[step.name])
    ]


def _materialize(home: Path, step: Step) -> bool:
    """Materialise a step's assets; False if this installation has none for it."""
    dagster_home = home / "dagster"
    dagster_home.mkdir(parents=True, exist_ok=True)
    (dagster_home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    os.environ.update(DAGSTER_HOME=str(dagster_home), DAGSTER_DISABLE_TELEMETRY="yes", OFFERS_HOME=str(home))
    import dagster as dg

    from pipelines.step_assets import assets_of

    assets = assets_of(step.name)
    if not assets:
        return False
    started = time.perf_counter()
    with dg.DagsterInstance.get() as instance:
        result = dg.materialize(
            assets,
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        for event in result.get_asset_materialization_events():
            metadata = event.materialization.metadata
            seconds = metadata["seconds"].value if "seconds" in metadata else None
            rows = metadata["dagster/row_count"].value if "dagster/row_count" in metadata else None
            _say_asset(event.materialization.asset_key.to_user_string(), seconds, rows)
        if not result.success:
            raise RunError(f"{step.name}: {'; '.join(_reasons(result)) or 'failed'}")
    _say(f"{step.name:<60} {time.perf_counter() - started:8.2f} s")
    return True


def _reasons(result: object) -> Iterator[str]:
    for event in result.all_events:  # type: ignore[attr-defined]  # Dagster keeps the result's type to itself
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            yield error.message.strip() if error is not None else event.message


def _say_asset(name: str, seconds: object, rows: object) -> None:
    timed = f"{seconds:8.2f} s" if isinstance(seconds, float) else " " * 10
    counted = f"{rows:>12,} rows" if isinstance(rows, int) else ""
    _say(f"  {name:<58} {timed} {counted}".rstrip())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    file = home / "run" / "pipelines.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
