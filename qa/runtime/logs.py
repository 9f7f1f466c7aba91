"""Log by rank on the terminal, and on the main process into a file."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from accelerate import Accelerator
from transformers.utils.logging import disable_progress_bar

PACKAGE, ONLY_IN_FILE = "qa", "qa.only_in_file"
"""Loggers: of all lines, and of those that a terminal does not show since it has a progress bar."""
_LINE = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")

for_file = logging.getLogger(ONLY_IN_FILE)
for_file.propagate = False
for_file.addHandler(logging.NullHandler())
for_file.setLevel(logging.INFO)


def configure_logging(accelerator: Accelerator) -> None:
    """Log this package's information lines on the main process and warnings on all."""
    rank = f"[{accelerator.process_index}/{accelerator.num_processes}] " if accelerator.num_processes > 1 else ""
    logging.basicConfig(format=f"%(asctime)s {rank}%(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("transformers").setLevel(logging.ERROR)  # its report on a new head is no news here
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    logging.getLogger(PACKAGE).setLevel(logging.INFO if accelerator.is_main_process else logging.WARNING)


@contextlib.contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Append all lines of this package to a file, which may be replaced meanwhile."""
    handler = _FileHandler(path)
    handler.setFormatter(_LINE)
    loggers = [logging.getLogger(PACKAGE), for_file]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


class _FileHandler(logging.Handler):
    """Opens the file for each line, so that it may be replaced meanwhile; a full disk loses lines, not the run."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{self.format(record)}\n")
