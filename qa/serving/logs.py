"""Logs as JSON lines on standard error."""

import json
import logging
import sys
from datetime import UTC, datetime

from qa.serving.measures import ACCESS_LOG


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, what came in `extra={"fields": …}`, the error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; texts of clients cannot break it, since JSON escapes line ends."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def log_as_json(*, access: bool) -> None:
    """Let the service's loggers and the server's write JSON lines; `access` says whether requests are logged."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("uvicorn.error", logging.WARNING), ("qa", logging.INFO), ("py.warnings", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    logging.captureWarnings(capture=True)
    ACCESS_LOG.disabled = not access
