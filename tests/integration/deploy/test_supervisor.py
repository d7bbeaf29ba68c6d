"""The supervisor over stand-in processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from deploy.local.leftovers import leftovers
from deploy.local.lifecycle import go_on, running_state, stop_supervisor, wait_ready
from deploy.local.screen import StepFailedError
from deploy.local.state import read_state
from platform_stand_ins import Platform, eventually, stand_in


def test_a_killed_process_comes_back_under_a_new_pid(platform: Platform) -> None:
    platform.start(stand_in("one"), stand_in("two"))
    before, other = wait_ready(platform.settings, "one").pid, wait_ready(platform.settings, "two").pid
    assert before is not None

    os.kill(before, signal.SIGKILL)
    eventually(lambda: platform.process("one").restarts == 1)
    after = wait_ready(platform.settings, "one")

    assert after.pid not in (None, before)
    assert after.last_exit == -signal.SIGKILL
    assert platform.pid("two") == other


def test_a_process_that_was_ready_has_its_deaths_forgiven(platform: Platform) -> None:
    platform.start(stand_in("one"))
    wait_ready(platform.settings, "one")
    for restarts in range(1, 4):
        os.kill(platform.pid("one"), signal.SIGKILL)
        eventually(lambda restarts=restarts: platform.process("one").restarts == restarts)
        wait_ready(platform.settings, "one")

    assert platform.process("one").deaths_in_a_row == 0


def test_a_crash_loop_backs_off_and_is_named(platform: Platform) -> None:
    spec = stand_in("bad")
    platform.start(type(spec)(name="bad", command=(*spec.command[:3], "die"), port=spec.port, probe=spec.probe))

    with pytest.raises(StepFailedError, match="dies at start") as failure:
        wait_ready(platform.settings, "bad")

    assert failure.value.log is not None
    assert "refusing to live" in failure.value.log.read_text()
    assert platform.process("bad").status in ("backoff", "starting")


def test_a_command_that_does_not_exist_is_a_crash_loop(platform: Platform) -> None:
    spec = stand_in("absent")
    platform.start(type(spec)(name="absent", command=("no-such-program",), port=spec.port, probe=spec.probe))

    with pytest.raises(StepFailedError, match="dies at start"):
        wait_ready(platform.settings, "absent")

    assert "cannot start no-such-program" in (platform.settings.log_directory / "absent.log").read_text()


def test_stage_one_waits_for_the_word(platform: Platform) -> None:
    platform.start(stand_in("store"), stand_in("service", stage=1))
    wait_ready(platform.settings, "store")
    assert platform.process("service").status == "waiting"

    go_on(platform.settings)

    assert wait_ready(platform.settings, "service").status == "ready"


def test_down_stops_its_own_and_nothing_else_and_may_be_repeated(platform: Platform) -> None:
    bystander = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    try:
        state = platform.start(stand_in("one", "with-worker"), stand_in("two"))
        wait_ready(platform.settings, "one")
        wait_ready(platform.settings, "two")
        worker = psutil.Process(platform.pid("one")).children()[0]

        assert stop_supervisor(platform.settings) == 2

        assert leftovers(state.run_id) == []
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        assert not psutil.pid_exists(state.pid) or psutil.Process(state.pid).status() == psutil.STATUS_ZOMBIE
        assert running_state(platform.settings) is None
        assert bystander.poll() is None
        assert stop_supervisor(platform.settings) == 0
    finally:
        bystander.kill()
        bystander.wait()


def test_a_second_supervisor_is_refused(platform: Platform) -> None:
    state = platform.start(stand_in("one"))

    second = subprocess.run(platform.command(), capture_output=True, text=True, timeout=30, check=False)

    assert second.returncode == 1
    assert "holds" in second.stderr
    assert platform.state().pid == state.pid


def test_starting_again_keeps_what_runs(platform: Platform) -> None:
    platform.start(stand_in("one"))
    before = wait_ready(platform.settings, "one")

    platform.start()

    assert platform.pid("one") == before.pid


def test_other_specs_replace_the_supervisor(platform: Platform) -> None:
    first = platform.start(stand_in("one"))

    second = platform.start(stand_in("two"))

    assert second.pid != first.pid
    assert [process.name for process in second.processes] == ["two"]
    assert leftovers(first.run_id) == []


def test_children_die_with_a_killed_supervisor_and_the_next_start_recovers(platform: Platform) -> None:
    state = platform.start(stand_in("one", "with-worker"), stand_in("two"))
    wait_ready(platform.settings, "one")
    wait_ready(platform.settings, "two")
    two = platform.pid("two")

    os.kill(state.pid, signal.SIGKILL)
    eventually(lambda: running_state(platform.settings) is None)
    if sys.platform == "linux":
        eventually(lambda: not psutil.pid_exists(two) or psutil.Process(two).status() == psutil.STATUS_ZOMBIE)
    assert read_state(platform.settings.run_directory) is not None  # stale
    fresh = platform.start()
    wait_ready(platform.settings, "one")
    wait_ready(platform.settings, "two")

    assert fresh.run_id != state.run_id
    assert leftovers(state.run_id) == []


def test_down_clears_up_after_a_killed_supervisor(platform: Platform) -> None:
    state = platform.start(stand_in("one", "with-worker"))
    wait_ready(platform.settings, "one")
    os.kill(state.pid, signal.SIGKILL)
    eventually(lambda: running_state(platform.settings) is None)

    stop_supervisor(platform.settings)

    assert leftovers(state.run_id) == []
    assert read_state(platform.settings.run_directory) is None


def test_a_state_file_that_cannot_be_read_is_no_obstacle(platform: Platform) -> None:
    platform.settings.run_directory.mkdir(parents=True)
    (platform.settings.run_directory / "state.json").write_text('{"run_id": ')

    platform.start(stand_in("one"))

    assert wait_ready(platform.settings, "one").status == "ready"


def test_removing_the_home_stops_what_lived_in_it(platform: Platform) -> None:
    state = platform.start(stand_in("one"))
    wait_ready(platform.settings, "one")

    shutil.rmtree(platform.settings.home)

    eventually(lambda: leftovers(state.run_id) == [])


def test_a_taken_port_is_named_with_who_has_it(platform: Platform) -> None:
    spec = stand_in("residency")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", spec.port or 0))
        taken.listen()

        with pytest.raises(StepFailedError) as failure:
            platform.start(spec)

    assert f"port {spec.port} for residency is taken by process {os.getpid()}" in str(failure.value)
    assert "OFFERS_PORT_RESIDENCY" in str(failure.value)
    assert running_state(platform.settings) is None
