"""A service as a process: `python -m <service>`."""

import gc
import socket

import uvicorn

from serving.app import create_app
from serving.logs import configure_logging
from serving.service import Service
from serving.settings import Settings
from serving.workers import run_workers

__all__ = ["listening_socket", "run"]

_BACKLOG = 2048


def run(service: Service, settings: Settings | None = None) -> None:
    """Serve until the process is told to stop."""
    settings = settings or Settings()
    configure_logging(service.name, settings.log_level, settings.worker)
    port = settings.port if settings.port is not None else service.port
    if settings.workers > 1:
        # Held, and not listened on: all workers get the same port, a chosen one too.
        with listening_socket(settings.host, port) as held:
            run_workers(settings.workers, held.getsockname()[1])
        return
    config = uvicorn.Config(
        create_app(service, settings),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        # Nothing asks who called or by which scheme.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=10,
    )
    with listening_socket(settings.host, port) as listener:
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # All that is there stays: the collector need not look through it again while requests wait.
        gc.collect()
        gc.freeze()


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind with SO_REUSEPORT, so that several processes share the port and the kernel spreads connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener
