"""How uvicorn serves the app: within bounds, and saying when it listens."""

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from qa.errors import ConfigError
from qa.serving.connections import BACKLOG, HEADER_BYTES, bounded_connection
from qa.serving.settings import ServiceSettings

_PATIENCE = 30  # seconds that requests have to end after a signal to stop


class Server(uvicorn.Server):
    """Serves one app on one socket; `run` returns after SIGINT or SIGTERM, when what had come is answered."""

    def __init__(self, app: FastAPI, settings: ServiceSettings, *, listening: Callable[[str], None]) -> None:
        """Take the app and where to serve it.

        Args:
            app: the service.
            settings: address and what connections may take.
            listening: is told the address when connections are accepted, not before.

        """
        # h11, since it bounds headers; asyncio's own loop, so that connections are accepted the same way everywhere.
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="asyncio",
            http=bounded_connection(settings.connection_limits),
            h11_max_incomplete_event_size=HEADER_BYTES,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=_PATIENCE,
        )
        super().__init__(config)
        self._listening = listening

    def listen_and_run(self) -> None:
        """Bind, and serve until told to end.

        Raises:
            ConfigError: an address that cannot be had.

        """
        with _bound(self.config.host, self.config.port) as listener:
            self.run(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, and say so."""
        await super().startup(sockets)
        if self.started and sockets:
            self._listening(_address(sockets[0]))


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(f"cannot listen on {host}, port {port}: {error}") from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
