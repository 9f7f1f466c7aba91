"""Who logs what, and where to."""

import logging
import logging.handlers
import re

import pytest
from accelerate import Accelerator

from qa.runtime.logs import PACKAGE, configure_logging, for_file, logged_to

pytestmark = pytest.mark.usefixtures("fresh_accelerator")


def test_main_process_logs_information_and_others_warnings(monkeypatch):
    package = logging.getLogger("qa")
    before = package.level
    accelerator = Accelerator(cpu=True)
    try:
        configure_logging(accelerator)
        assert package.level == logging.INFO
        monkeypatch.setattr(type(accelerator), "is_main_process", False)
        configure_logging(accelerator)
        assert package.level == logging.WARNING
    finally:
        package.setLevel(before)


@pytest.fixture
def package():
    """The package's logger, at information and back."""
    found = logging.getLogger(PACKAGE)
    before = found.level
    found.setLevel(logging.INFO)
    yield found
    found.setLevel(before)


def test_a_file_gets_the_packages_lines_with_time_and_level_and_no_others(package, tmp_path):
    path = tmp_path / "log.txt"
    with logged_to(path):
        logging.getLogger("qa.training").info("step %d", 1)
        package.warning("hot")
        package.debug("too small")
        logging.getLogger("elsewhere").error("not ours")
    package.info("too late")
    lines = path.read_text().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d ", "", line) for line in lines] == ["INFO step 1", "WARNING hot"]
    assert re.match(r"\d{4}-\d\d-\d\dT", lines[0])


@pytest.mark.usefixtures("package")
def test_what_a_progress_bar_shows_is_in_the_file_only(tmp_path):
    terminal = logging.handlers.BufferingHandler(9)
    logging.root.addHandler(terminal)
    with logged_to(tmp_path / "log.txt"):
        for_file.info("loss 1.5")
        logging.getLogger("qa.training").info("step 1")
    logging.root.removeHandler(terminal)
    assert (tmp_path / "log.txt").read_text().endswith("INFO step 1\n")
    assert "INFO loss 1.5\n" in (tmp_path / "log.txt").read_text()
    assert [record.getMessage() for record in terminal.buffer] == ["step 1"]


def test_a_file_that_is_replaced_or_cannot_be_written_stops_nobody(package, tmp_path):
    path = tmp_path / "log.txt"
    with logged_to(path):
        package.info("one")
        path.rename(tmp_path / "old.txt")
        package.info("two")
        path.unlink()
        path.mkdir()
        package.info("lost")
        path.rmdir()
        package.info("three")
    assert (tmp_path / "old.txt").read_text().endswith("one\n")
    assert path.read_text().endswith("three\n")
    assert len(path.read_text().splitlines()) == 1
