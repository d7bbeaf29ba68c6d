"""`up`, `status` and `down` as a person runs them: real Valkey and MLflow, stand-ins for pipelines and services."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from deploy.local.lifecycle import running_state, stop_supervisor, wait_ready
from deploy.local.settings import DEFAULT_PORTS, REPOSITORY, SERVICES, LocalSettings
from platform_stand_ins import HERE, eventually, free_ports

SERVICE_MAIN = f"""
import os, runpy, sys
sys.argv[1:] = [os.environ["OFFERS_PORT"]]
runpy.run_path({str(HERE / "stand_in.py")!r}, run_name="__main__")
"""
PIPELINES_MAIN = f"""
import os, runpy, sys, time
from pathlib import Path
if sys.argv[1] == "follow":
    sys.argv[1:] = [sys.argv[sys.argv.index("--port") + 1]]
    runpy.run_path({str(HERE / "stand_in.py")!r}, run_name="__main__")
home = Path(os.environ["OFFERS_HOME"])
if (home / "fail").exists():
    sys.exit("no warehouse today")
print("everything 0.10 s", flush=True)
if (home / "hang").exists():
    time.sleep(600)
"""


class Shell:
    """Runs the commands in a home of its own."""

    def __init__(self, directory: Path) -> None:
        packages = directory / "packages"
        for name in (*SERVICES, "pipelines"):
            (packages / name).mkdir(parents=True)
            (packages / name / "__init__.py").touch()
            (packages / name / "__main__.py").write_text(PIPELINES_MAIN if name == "pipelines" else SERVICE_MAIN)
        ports = dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OFFERS_")},
            "OFFERS_HOME": str(directory / "home"),
            "PYTHONPATH": str(packages),
            **{f"OFFERS_PORT_{name.upper()}": str(port) for name, port in ports.items()},
        }
        self.settings = LocalSettings.from_environment(self.environment)

    def start(self, command: str) -> "subprocess.Popen[str]":
        """Start a command and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.local", command],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A job in the background ignores Ctrl-C, and so would its children.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and screen of a command."""
        with self.start(command) as process:
            shown, _ = process.communicate(timeout=200)
        return process.returncode, shown

    def pids(self) -> dict[str, int | None]:
        """Process id by name."""
        state = running_state(self.settings)
        return {process.name: process.pid for process in state.processes} if state else {}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("platform"))
    yield shell
    stop_supervisor(shell.settings)


@pytest.fixture
def flag(shell: Shell) -> Iterator[Path]:
    """A directory for the files that make the stand-in pipelines fail or hang."""
    shell.settings.home.mkdir(parents=True, exist_ok=True)
    yield shell.settings.home
    for name in ("fail", "hang"):
        (shell.settings.home / name).unlink(missing_ok=True)


def test_a_failed_step_is_named_with_its_log_and_what_still_runs(shell: Shell, flag: Path) -> None:
    (flag / "fail").touch()

    code, shown = shell.run("up")

    assert code == 1
    assert "pipelines: `python -m pipelines run` ended with 1" in shown
    assert "no warehouse today" in shown
    assert "make down" in shown


def test_an_interrupt_ends_the_pipelines_and_keeps_the_stores(shell: Shell, flag: Path) -> None:
    (flag / "hang").touch()
    log = shell.settings.log_directory / "pipelines.log"
    with shell.start("up") as process:
        eventually(lambda: log.exists() and "everything" in log.read_text(), seconds=120)
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Interrupted" in shown
    assert shell.pids()["valkey"]


def test_up_scores_one_person_through_each_service_and_a_second_up_reuses_what_runs(shell: Shell) -> None:
    code, shown = shell.run("up")
    first = shell.pids()
    again, _ = shell.run("up")

    assert code == again == 0, shown
    assert shown.count('"prediction": "stand-in"') == len(SERVICES)
    assert "everything 0.10 s" in shown
    assert "curl -s" in shown
    assert shell.settings.api_key_file.read_text().strip() in shown
    assert shell.pids() == first


def test_status_shows_every_process(shell: Shell) -> None:
    shell.run("up")

    code, shown = shell.run("status")

    assert code == 0
    assert [line.split()[0] for line in shown.splitlines()] == ["name", *shell.pids()]
    assert all(" ready " in line for line in shown.splitlines()[1:])


def test_a_killed_service_scores_again(shell: Shell) -> None:
    shell.run("up")
    before = shell.pids()["hourly_rate"]
    assert before is not None

    os.kill(before, signal.SIGKILL)
    eventually(lambda: shell.pids()["hourly_rate"] not in (None, before))
    wait_ready(shell.settings, "hourly_rate")

    assert shell.run("up")[0] == 0


def test_after_the_supervisor_was_killed_up_recovers(shell: Shell) -> None:
    shell.run("up")
    before = shell.pids()
    state = running_state(shell.settings)
    assert state is not None

    os.kill(state.pid, signal.SIGKILL)
    code, shown = shell.run("up")

    assert code == 0, shown
    assert not set(before.values()) & set(shell.pids().values())


def test_the_online_store_outlives_down(shell: Shell) -> None:
    shell.run("up")
    with redis.Redis.from_url(shell.settings.redis_url) as store:
        store.set("kept", "yes")

    assert shell.run("down")[0] == 0
    assert shell.pids() == {}
    assert "nothing runs" in shell.run("status")[1]
    assert "nothing runs" in shell.run("down")[1]
    assert shell.run("up")[0] == 0
    with redis.Redis.from_url(shell.settings.redis_url) as store:
        assert store.get("kept") == b"yes"
