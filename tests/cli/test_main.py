"""The command line as a whole: exit statuses, one-line errors, missing packages, and what it imports."""

import importlib
import importlib.util
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import qa
from qa.cli.main import main
from qa.cli.usage import EXAMPLES
from qa.inference.predictor import Predictor
from tests.support.command_flags import COMMANDS
from tests.support.commands import json_lines, output
from tests.support.predictors import CONTEXT, QUESTION

PROJECT = tomllib.loads((Path(qa.__file__).parents[1] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["answer"],
        ["ask"],
        ["ask", "folder", "--no-such-flag"],
        ["predict", "folder", "sample"],
        ["cache", "--json", "False"],  # a switch takes no word, which would be lost or mean the opposite
        ["--json", "cache"],
        ["cache", "--jso"],
        ["inspect", "sample", "sample"],
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err


def unread():
    """A pipe that nobody reads any more, as after `| head`."""
    ends = os.pipe()
    os.close(ends[0])
    return os.fdopen(ends[1], "w")


def full():
    """A disk without space."""
    return open("/dev/full", "w")  # noqa: PTH123


@pytest.mark.parametrize(
    ("place", "said"), [(unread, ""), (full, "error: cannot write standard output: No space left on device\n")]
)
def test_output_that_cannot_be_written_ends_with_1_and_is_not_tried_again(place, said, monkeypatch, capsys):
    if place is full and not Path("/dev/full").exists():
        pytest.skip("this system has no disk that is always full")
    with place() as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(["--version"]) == 1
        stream.flush()
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask", "{folder}", "--question", " ", "--context", "c"], "question is ' '"),
        (["ask", "{folder}", "--question", "q", "--file", "/none"], "cannot read /none"),
        (["ask", "/none", "--question", "q", "--context", "c"], "model '/none': no such folder"),
        (["ask", "{folder}", "--question", "q", "--context", "c", "--device", "gpu7"], "device is 'gpu7'"),
        (["predict", "{folder}", "/none.json", "out"], "no such file"),
        (["inspect", "/none.json"], "no such file"),
        (["inspect", "sample", "--model", "/none"], "no such folder"),
    ],
)
def test_errors_are_one_line_without_a_traceback_and_exit_with_1(capsys, folder, arguments, message):
    found = output(capsys, *(argument.format(folder=folder) for argument in arguments), status=1).err
    assert found.startswith("error: ")
    assert message in found
    assert "Traceback" not in found


def test_all_extras_that_a_command_lacks_are_named_at_once(capsys, folder, monkeypatch):
    find = importlib.util.find_spec
    absent = {"torch", "datasets", "onnx"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    told = "not installed: datasets, torch, onnx; install them with: pip install 'extractive-qa[train,export]'"
    assert output(capsys, "export", folder, status=1).err == f"error: {told}\n"


@pytest.mark.parametrize(("command", "extra"), [("serve", "serve"), ("export", "export"), ("compare", "experiments")])
def test_a_command_names_the_extra_that_is_not_installed(command, extra, capsys, folder, monkeypatch):
    requirements = PROJECT["optional-dependencies"][extra]
    own = [requirement for requirement in requirements if not requirement.startswith("extractive-qa")]
    packages = [requirement.split(">")[0].replace("-", "_") for requirement in own]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in packages else find(name))
    error = output(capsys, command, folder, status=1).err
    assert (
        error
        == f"error: not installed: {', '.join(packages)}; install them with: pip install 'extractive-qa[{extra}]'\n"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_run_by_the_module_of_its_name(name, monkeypatch):
    seen = []
    monkeypatch.setattr(f"qa.cli.{name.replace('-', '_')}.run", lambda command: seen.append(type(command)) or 0)
    assert main(shlex.split(EXAMPLES[name][0])[1:]) == 0
    assert seen == [COMMANDS[name]]


def test_an_interruption_exits_with_130(capsys, folder, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("qa.cli.ask.run", interrupt)
    output(capsys, "ask", folder, status=130)


def test_help_needs_neither_torch_nor_transformers():
    command = (
        "import sys; from qa.cli.main import main\ntry: main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    for name in ("ask", "predict", "score", "inspect", "calibrate"):
        assert name in found.stdout


def test_the_script_is_the_command_line():
    module, function = PROJECT["scripts"]["qa"].split(":")
    assert getattr(importlib.import_module(module), function) is main


@pytest.mark.processes
def test_python_m_qa_is_the_command_line(folder):
    command = [sys.executable, "-m", "qa", "ask", str(folder), "--question", QUESTION, "--json"]
    found = subprocess.run(command, input=CONTEXT, capture_output=True, text=True, check=True)
    (line,) = json_lines(found.stdout)
    answers = Predictor.from_pretrained(folder, device="cpu")(question=QUESTION, context=CONTEXT, top_k=5)
    assert [answer["answer"] for answer in line["answers"]] == [answer["answer"] for answer in answers]
    np.testing.assert_allclose([one["score"] for one in line["answers"]], [one["score"] for one in answers], rtol=1e-5)
    assert found.stderr == ""
