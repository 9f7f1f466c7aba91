"""The service as an ASGI server's workers make it, set up by the environment."""

import logging
import os

from fastapi import FastAPI
from transformers.utils.logging import disable_progress_bar

from qa.inference.predictor import Predictor
from qa.runtime.cores import use_model_threads
from qa.serving.app import app_of
from qa.serving.logs import log_as_json
from qa.serving.settings import ServiceSettings, settings_from


def app_from_env() -> FastAPI:
    """Make the service from QA_MODEL and the other variables of `ServiceSettings`.

    `uvicorn --factory qa.serving:app_from_env`. Every worker loads its own model when it starts, also under gunicorn's
    `--preload`: a model that was loaded before a fork would hang. What belongs to connections is the server's here, and
    not of QA_HEADER_TIMEOUT, QA_KEEP_ALIVE and QA_MAX_CONNECTIONS: behind a proxy say `--timeout-keep-alive 125` to
    uvicorn, or `--keep-alive 125` to gunicorn.

    Raises:
        ConfigError: see `settings_from`.

    """
    return app_from(settings_from(os.environ))


def app_from(settings: ServiceSettings) -> FastAPI:
    """Make the service of one worker, which logs as JSON and loads its model when it starts."""
    log_as_json(access=settings.access_log)
    return app_of(settings, lambda: load(settings))


def load(settings: ServiceSettings) -> Predictor:
    """Load the model on this process's share of the cores, without the library's bars and reports."""
    if settings.backend == "torch":
        use_model_threads()
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return Predictor.from_pretrained(
        settings.model,
        revision=settings.revision,
        device=settings.device,
        dtype=settings.dtype,
        backend=settings.backend,
    )
