"""A home of its own, free ports and stand-in processes."""

import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from deploy.local.lifecycle import ensure_supervisor, running_state
from deploy.local.process_spec import ProcessSpec, http_probe
from deploy.local.settings import LocalSettings
from deploy.local.state import PlatformState, ProcessState

HERE = Path(__file__).parent


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Poll until true; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def stand_in(name: str, *arguments: str, stage: int = 0) -> ProcessSpec:
    """A process that is ready when it answers."""
    port = free_ports(1)[0]
    return ProcessSpec(
        name=name,
        command=(sys.executable, "-S", str(HERE / "stand_in.py"), str(port), *arguments),
        port=port,
        probe=http_probe("/readyz"),
        stage=stage,
        grace_seconds=2.0,
    )


@dataclass
class Platform:
    """A supervisor over stand-ins in a home of its own."""

    settings: LocalSettings
    specs: list[ProcessSpec] = field(default_factory=list)

    def command(self) -> list[str]:
        """The supervisor's command line."""
        specs_file = self.settings.home / "specs.json"
        specs_file.parent.mkdir(parents=True, exist_ok=True)
        specs_file.write_bytes(msgspec.json.encode(self.specs))
        return [sys.executable, str(HERE / "supervise_stand_ins.py"), str(self.settings.home), str(specs_file)]

    def start(self, *specs: ProcessSpec) -> PlatformState:
        """Bring these up, as `make up` does."""
        self.specs = list(specs) or self.specs
        return ensure_supervisor(self.settings, self.specs, self.command())

    def state(self) -> PlatformState:
        """State of the running supervisor."""
        state = running_state(self.settings)
        assert state is not None
        return state

    def process(self, name: str) -> ProcessState:
        """One process of it."""
        return next(process for process in self.state().processes if process.name == name)

    def pid(self, name: str) -> int:
        """Process id of one that runs."""
        pid = self.process(name).pid
        assert pid is not None
        return pid
