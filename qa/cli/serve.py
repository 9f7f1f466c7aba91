"""`qa serve`: loads a reader and listens until it is told to end."""

import os

from qa.cli.answer_flags import Serve
from qa.cli.display import print_line
from qa.serving.app import app_of
from qa.serving.factory import load
from qa.serving.logs import log_as_json
from qa.serving.server import Server
from qa.serving.settings import settings_from


def run(arguments: Serve) -> None:
    """Serve; returns after SIGINT or SIGTERM, when the requests that had come are answered."""
    settings = settings_from(os.environ, **vars(arguments))
    predictor = load(settings)
    log_as_json(access=settings.access_log)
    app = app_of(settings, lambda: predictor)
    Server(app, settings, listening=lambda address: print_line(f"listening on {address}")).listen_and_run()
