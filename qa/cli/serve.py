"""`qa serve`: loads a reader and listens until it is told to end."""

import logging
from pathlib import Path

import uvicorn

from qa.cli.display import print_line
from qa.cli.flags import Serve
from qa.cli.loading import load_predictor
from qa.serving.app import build_app
from qa.serving.schema import Limits

_PATIENCE = 30  # seconds that requests have to end after a signal to stop


def run(arguments: Serve) -> None:
    """Serve; returns after SIGINT or SIGTERM, when the requests that had come are answered."""
    limits = Limits(
        body_bytes=arguments.max_body_bytes, waiting=arguments.max_waiting, seconds=float(arguments.timeout)
    )
    predictor = load_predictor(arguments.model)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # The last part of a path: clients need not know where on this machine a model is.
    app = build_app(predictor, name=Path(arguments.model.model).resolve().name, limits=limits)
    config = uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE,
    )
    listener = config.bind_socket()
    host, port = listener.getsockname()[:2]
    print_line(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}")
    uvicorn.Server(config).run(sockets=[listener])
