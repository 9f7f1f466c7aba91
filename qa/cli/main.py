"""Parse, run, exit status.

Exit statuses: 0 done, 1 an error of input, model or machine, 2 a wrong command line, 130 interrupted.
"""

import importlib
import importlib.util
import io
import re
import sys
from collections.abc import Sequence

import tyro

from qa import __version__
from qa.cli.data_flags import Convert, Split
from qa.cli.experiment_flags import Adapt, Compare, Crossval, Errors, Sweep
from qa.cli.flags import Cache, Calibrate, Command, Export, ExportCheckpoint, Inspect, Predict, Score, Serve, Trim
from qa.cli.start_flags import Demo, Train
from qa.cli.usage import told_examples
from qa.errors import MissingPackageError, QAError, UsageError

_DATA: dict[str, tuple[str, ...]] = {"train": ("datasets",)}
_RUNS: dict[str, tuple[str, ...]] = {"train": ("accelerate", "datasets", "evaluate", "filelock", "wandb")}
_EXTRAS: dict[type, dict[str, tuple[str, ...]]] = {
    **dict.fromkeys((Calibrate, Convert, Inspect, Predict, Score, Split, Trim), _DATA),
    **dict.fromkeys((Adapt, Cache, Demo, Errors, ExportCheckpoint, Train), _RUNS),
    Compare: _RUNS | {"experiments": ("matplotlib", "scipy")},
    Sweep: _RUNS | {"experiments": ("matplotlib", "scipy")},
    Crossval: _RUNS | {"experiments": ("scipy",)},
    Export: _DATA | {"onnx": ("onnx", "onnxruntime", "onnxscript")},
    Serve: {"serve": ("fastapi", "fastapi_offline", "prometheus_client", "uvicorn")},
}
"""Packages that a command needs besides what every installation has, by the extra that installs them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (by default those of the process) name; return the exit status.

    Exits like any command line tool, with status 2, on a wrong command line, and on `--help`.
    """
    _write_any_letter()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"extractive-qa {__version__}")  # noqa: T201
        return 0
    try:
        command = parse(words)
        _require_packages(type(command))
        return _run(command)
    except SystemExit as end:
        if not end.code and words and (told := told_examples(words[0])):
            print(told)  # noqa: T201  # below the help
        raise
    except UsageError as error:
        return _failed(error, 2)
    except QAError as error:
        return _failed(error, 1)
    except KeyboardInterrupt:
        return 130


def _write_any_letter() -> None:
    """Escape letters that a console's code page, such as cp1252, lacks: most of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def parse(words: Sequence[str]) -> object:
    """Return the command that words name; all that follows `train` is the page's. Exits like `main`."""
    if words[:1] == ["train"]:
        return Train(arguments=tuple(words[1:]))
    return tyro.cli(
        Command,
        args=words,
        prog="qa",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName),
        description="Train, evaluate and use extractive question-answering readers. `qa --version` names the version.",
    )


def _run(command: object) -> int:
    """Import a command's module, `qa.cli.` and its name, when it is asked for: models and services take seconds."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(command).__name__).lower()
    status: int | None = importlib.import_module(f"qa.cli.{name}").run(command)
    return status or 0


def _require_packages(command: type) -> None:
    for extra, packages in _EXTRAS.get(command, {}).items():
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if missing:
            raise MissingPackageError(
                f"not installed: {', '.join(missing)}; install them with: pip install 'extractive-qa[{extra}]'"
            )


def _failed(error: QAError, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    return status
