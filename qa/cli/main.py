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

from qa.cli.experiment_flags import Compare, Crossval, Sweep
from qa.cli.flags import Command, Export, Serve
from qa.errors import MissingPackageError, QAError, UsageError

_EXTRAS = {
    Export: ("onnx", ("onnx", "onnxruntime", "onnxscript")),
    Compare: ("experiments", ("matplotlib", "scipy")),
    Sweep: ("experiments", ("matplotlib", "scipy")),
    Crossval: ("experiments", ("scipy",)),
    Serve: ("serve", ("fastapi", "fastapi_offline", "prometheus_client", "uvicorn")),
}
"""Packages that a command needs besides the project's own, and the extra that installs them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (by default those of the process) name; return the exit status.

    Exits like any command line tool, with status 2, on a wrong command line, and on `--help`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console's code page, such as cp1252, lacks most letters
    command: object = tyro.cli(
        Command,
        args=arguments,
        prog="qa",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName),
        description="Use extractive question-answering readers.",
    )
    try:
        _require_packages(command)
        _run(command)
    except UsageError as error:
        return _failed(error, 2)
    except QAError as error:
        return _failed(error, 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _run(command: object) -> None:
    """Import a command's module, `qa.cli.` and its name, when it is asked for: models and services take seconds."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(command).__name__).lower()
    importlib.import_module(f"qa.cli.{name}").run(command)


def _require_packages(command: object) -> None:
    extra, packages = _EXTRAS.get(type(command), ("", ()))
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingPackageError(f"not installed: {', '.join(missing)}; install them with: pip install 'qa[{extra}]'")


def _failed(error: QAError, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    return status
