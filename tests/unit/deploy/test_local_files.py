"""Logs, locks, state and key of a home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from deploy.local.api_key import local_api_key
from deploy.local.log_files import bound, open_log, tail
from deploy.local.pid_lock import LockHeldError, holder, pid_lock
from deploy.local.state import PlatformState, ProcessState, read_state, write_state
from deploy.local.supervisor import backoff_seconds


def test_a_log_that_outgrows_its_bound_keeps_one_older_generation_and_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "log" / "one.log"
    with open_log(path) as log:
        log.write(b"old\n" * 100)
        bound(path, limit_bytes=100)
        log.write(b"new\n")

    assert path.read_bytes() == b"new\n"
    assert path.with_name("one.log.1").read_bytes() == b"old\n" * 100


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    path.write_text("\n".join(str(number) for number in range(100)))

    assert tail(path, 3) == ["97", "98", "99"]
    assert tail(tmp_path / "absent.log") == []


def test_a_lock_names_its_holder_and_is_free_when_that_ends(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    with pid_lock(path):
        assert holder(path) == os.getpid()
        with pytest.raises(LockHeldError), pid_lock(path):
            pass

    assert holder(path) is None


def test_a_lock_survives_no_killed_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import os, signal, sys; from pathlib import Path; from deploy.local.pid_lock import pid_lock\n"
        "with pid_lock(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=root, check=False, timeout=60)

    assert path.read_text()
    assert holder(path) is None


def test_state_comes_back_as_written_and_damage_reads_as_none(tmp_path: Path) -> None:
    state = PlatformState("run", 1, "fingerprint", 2.0, (ProcessState("valkey", "ready", 6380, 3),))
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state

    (tmp_path / "state.json").write_text("{")

    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "absent") is None


def test_the_wait_before_a_start_grows_to_a_bound() -> None:
    waits = [backoff_seconds(deaths) for deaths in range(1, 12)]

    assert waits[0] == pytest.approx(0.2)
    assert waits == sorted(waits)
    assert waits[-1] == 10.0


def test_a_local_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "api-key"
    key = local_api_key(path)

    assert len(key) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert local_api_key(path) == key


def test_a_key_with_a_name_is_read_without_it(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("me:secret\nother:word\n")

    assert local_api_key(tmp_path / "api-key") == "secret"
