"""A service as a process: `python -m <service>`."""

import gc
import socket
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from serving.app import create_app
from serving.connections import SharedConnection, SharedConnections
from serving.logs import configure_logging
from serving.service import Service
from serving.settings import Settings
from serving.workers import run_workers

__all__ = ["listening_socket", "run", "serve", "server_of"]

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
    with listening_socket(settings.host, port) as listener:
        serve(create_app(service, settings), listener, settings)


def serve(app: ASGIApp, listener: socket.socket, settings: Settings) -> None:
    """Serve an app on a bound socket, as one of `settings.siblings` workers, until the process is told to stop."""
    server_of(app, settings).run(sockets=[listener])


def server_of(app: ASGIApp, settings: Settings) -> "Server":
    """Make the server of an app."""
    config = uvicorn.Config(
        app,
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
    shared = None
    if settings.siblings > 1 and settings.counts_directory is not None:
        shared = SharedConnections(settings.counts_directory, settings.worker, settings.siblings)
        config.http = partial(SharedConnection, shared)  # type: ignore[assignment]  # called like the class
    return Server(config, shared)


class Server(uvicorn.Server):
    """Uvicorn's server, whose connections may be shared with other workers."""

    def __init__(self, config: uvicorn.Config, shared: SharedConnections | None) -> None:
        super().__init__(config)
        self.shared = shared

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then take from the others."""
        await super().startup(sockets)
        if self.shared is not None:
            state, app_state = self.server_state, self.lifespan.state
            self.shared.open(
                partial(SharedConnection, self.shared, config=self.config, server_state=state, app_state=app_state)
            )
        # All that is there stays: the collector need not look through it again while requests wait.
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, and end what is held."""
        if self.shared is not None:
            await self.shared.close()
        await super().shutdown(sockets)


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind with SO_REUSEPORT, so that several processes share the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener
