"""`qa serve`: loads a reader and listens until it is told to end."""

import os
from collections.abc import Mapping

from qa.cli.answer_flags import Serve
from qa.cli.display import print_line
from qa.serving.app import app_of
from qa.serving.factory import load
from qa.serving.logs import log_as_json
from qa.serving.server import Server
from qa.serving.settings import ServiceSettings, settings_from


def run(arguments: Serve) -> None:
    """Serve; returns after SIGINT or SIGTERM, when the requests that had come are answered."""
    settings = settings_of(arguments, os.environ)
    predictor = load(settings)
    log_as_json(access=settings.access_log)
    app = app_of(settings, lambda: predictor)
    Server(app, settings, listening=lambda address: print_line(f"listening on {address}")).listen_and_run()


def settings_of(arguments: Serve, environment: Mapping[str, str]) -> ServiceSettings:
    """Return the settings that the flags name, and for the others the environment.

    Raises:
        ConfigError: see `settings_from`.

    """
    groups = (arguments.running, arguments.listening, arguments.limits)
    said = {name: value for group in groups for name, value in vars(group).items()}
    return settings_from(environment, model=arguments.model, **said)
