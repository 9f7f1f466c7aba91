"""Every error of the package: said by its message, sent between processes, and raised somewhere."""

import ast
import inspect
import pickle

import pytest

from qa import errors
from qa.errors import QAError, StoppedError, in_a_line
from tests.support.source import FILES, tree

CLASSES = dict(inspect.getmembers(errors, inspect.isclass))
OF_THE_SERVICE = {"QueueFullError", "TooLargeError", "ForkError", "GoneError"}
"""Answered by the service itself with a status of HTTP."""
OF_USERS = sorted(CLASSES.keys() - OF_THE_SERVICE - {"QAError", "StoppedError"})


def names_used():
    """Names that modules other than errors.py call, as an error is made, or raise."""
    nodes = (node for module, path in FILES.items() if module != "qa.errors" for node in ast.walk(tree(path)))
    used = (
        node.func if isinstance(node, ast.Call) else node.exc if isinstance(node, ast.Raise) else None for node in nodes
    )
    return {one.id for one in used if isinstance(one, ast.Name)}


@pytest.mark.parametrize("name", OF_USERS)
def test_what_a_user_can_cause_is_one_kind_of_error(name):
    error = CLASSES[name]("found this; wanted that")
    assert isinstance(error, QAError)
    assert str(error) == "found this; wanted that"
    assert CLASSES[name].__doc__


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"QAError"}))
def test_every_error_is_raised_somewhere(name):
    assert name in names_used()


@pytest.mark.parametrize("name", OF_USERS)
def test_an_error_arrives_at_other_processes_as_it_was(name):
    sent = pickle.loads(pickle.dumps(CLASSES[name]("too few")))
    assert (type(sent), str(sent)) == (CLASSES[name], "too few")


def test_a_request_to_stop_is_no_failure_that_a_library_could_swallow():
    stopped = StoppedError("stopped by SIGTERM", 143)
    assert not isinstance(stopped, Exception)
    sent = pickle.loads(pickle.dumps(stopped))
    assert (str(sent), sent.reason, sent.status) == ("stopped by SIGTERM", "stopped by SIGTERM", 143)


@pytest.mark.parametrize("name", sorted(OF_THE_SERVICE))
def test_an_error_of_the_service_is_none_of_the_command_line(name):
    assert issubclass(CLASSES[name], Exception)
    assert not issubclass(CLASSES[name], QAError)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError("\n  first  \n second"), "first  "),
        (ValueError(" "), "ValueError"),
        (KeyError(), "KeyError"),
    ],
)
def test_a_librarys_error_is_its_first_line_or_its_class(error, line):
    assert in_a_line(error) == line
