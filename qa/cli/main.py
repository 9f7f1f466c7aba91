"""Parse, run, exit status.

Exit statuses: 0 done, 1 an error of input, model or machine, 2 a wrong command line, 130 interrupted.
"""

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Annotated, assert_never

import tyro
from tyro.conf import subcommand

from qa import __version__
from qa.cli.answer_flags import Ask, Ground, Predict, Serve
from qa.cli.data_flags import Cache, Convert, Inspect, Score, Split, Unanswerable
from qa.cli.experiment_flags import Adapt, Compare, Crossval, Errors, Sweep
from qa.cli.model_flags import Calibrate, Export, ExportCheckpoint, Trim
from qa.cli.start_flags import Configs, Demo, Train, Tutorial
from qa.cli.streams import flushed, give_up_output, is_of_output, open_streams
from qa.cli.usage import told_examples
from qa.errors import MissingPackageError, QAError, UsageError
from qa.runtime.cores import sleep_where_cores_are_busy
from qa.runtime.terminal import widen_narrow_terminal

Command = (
    Annotated[Demo, subcommand("demo")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Configs, subcommand("configs")]
    | Annotated[Ask, subcommand("ask")]
    | Annotated[Ground, subcommand("ground")]
    | Annotated[Predict, subcommand("predict")]
    | Annotated[Score, subcommand("score")]
    | Annotated[Inspect, subcommand("inspect")]
    | Annotated[Convert, subcommand("convert")]
    | Annotated[Split, subcommand("split")]
    | Annotated[Unanswerable, subcommand("unanswerable")]
    | Annotated[Calibrate, subcommand("calibrate")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Trim, subcommand("trim")]
    | Annotated[Serve, subcommand("serve")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Errors, subcommand("errors")]
    | Annotated[Adapt, subcommand("adapt")]
    | Annotated[Crossval, subcommand("crossval")]
    | Annotated[Tutorial, subcommand("tutorial")]
    | Annotated[Cache, subcommand("cache")]
    | Annotated[ExportCheckpoint, subcommand("export-checkpoint")]
)
"""All commands, in the order of --help. A new one is a line here, a case below, and a file that runs it."""
_DATA: dict[str, tuple[str, ...]] = {"train": ("datasets",)}
_MODELS: dict[str, tuple[str, ...]] = {"train": ("datasets", "torch")}
_RUNS: dict[str, tuple[str, ...]] = {"train": ("accelerate", "datasets", "evaluate", "filelock", "torch", "wandb")}
_EXTRAS: dict[type, dict[str, tuple[str, ...]]] = {
    **dict.fromkeys((Calibrate, Convert, Inspect, Predict, Score, Split), _DATA),
    Trim: _MODELS,
    Unanswerable: _DATA | {"search": ("bm25s",)},
    **dict.fromkeys((Adapt, Cache, Demo, Errors, ExportCheckpoint, Train), _RUNS),
    Compare: _RUNS | {"experiments": ("matplotlib", "scipy")},
    Sweep: _RUNS | {"experiments": ("matplotlib", "scipy")},
    Crossval: _RUNS | {"experiments": ("scipy",)},
    Export: _MODELS | {"export": ("onnx", "onnxruntime", "onnxscript")},
    Serve: {"serve": ("fastapi", "fastapi_offline", "prometheus_client", "uvicorn")},
}
"""Packages that a command needs besides what every installation has, by the extra that installs them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (by default those of the process) name; return the exit status.

    Exits like any command line tool, with status 2, on a wrong command line, and on `--help`.
    """
    open_streams()
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # such as that PyTorch was not found
    sleep_where_cores_are_busy()  # before torch is loaded
    try:
        return flushed(_status(list(sys.argv[1:] if arguments is None else arguments)))
    except SystemExit as end:  # of help, and of wrong command lines
        written = flushed(0)
        raise SystemExit(end.code or written) from None
    except OSError as error:
        if not is_of_output(error):
            raise
        return give_up_output(error)


def _status(words: list[str]) -> int:
    """Run the command that words name; return the exit status."""
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


def parse(words: Sequence[str]) -> Command:
    """Return the command that words name; all that follows `train` is the page's. Exits like `main`."""
    if words[:1] == ["train"]:
        return Train(arguments=tuple(words[1:]))
    widen_narrow_terminal()
    return tyro.cli(
        Command,
        args=words,
        prog="qa",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName),
        description="Train, evaluate and use extractive question-answering readers. `qa --version` names the version.",
    )


def _require_packages(command: type) -> None:
    wanted = [(extra, package) for extra, packages in _EXTRAS.get(command, {}).items() for package in packages]
    missing = {package: extra for extra, package in wanted if importlib.util.find_spec(package) is None}
    if missing:
        extras = ",".join(dict.fromkeys(missing.values()))
        raise MissingPackageError(
            f"not installed: {', '.join(missing)}; install them with: pip install 'extractive-qa[{extras}]'"
        )


def _failed(error: QAError, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    return status


# --- each command's module, imported when it is asked for: models and services take seconds -----------------------


def _run(command: Command) -> int:
    """Run a command; return the exit status."""
    match command:
        case Train():
            from qa.cli import train

            return train.run(command)
        case Demo() | Configs() | Tutorial():
            _run_start(command)
        case Predict():
            from qa.cli import predict

            return predict.run(command)
        case Ask() | Ground() | Serve():
            _run_answers(command)
        case Inspect() | Convert() | Split() | Unanswerable() | Score() | Cache():
            _run_data(command)
        case Calibrate() | Export() | Trim() | ExportCheckpoint():
            _run_models(command)
        case Sweep() | Compare() | Errors() | Adapt() | Crossval():
            _run_experiments(command)
        case _:
            assert_never(command)
    return 0


def _run_start(command: Demo | Configs | Tutorial) -> None:
    match command:
        case Demo():
            from qa.cli import demo

            demo.run(command)
        case Configs():
            from qa.cli import configs

            configs.run(command)
        case Tutorial():
            from qa.cli import tutorial

            tutorial.run(command)
        case _:
            assert_never(command)


def _run_answers(command: Ask | Ground | Serve) -> None:
    match command:
        case Ask():
            from qa.cli import ask

            ask.run(command)
        case Ground():
            from qa.cli import ground

            ground.run(command)
        case Serve():
            from qa.cli import serve

            serve.run(command)
        case _:
            assert_never(command)


def _run_data(command: Inspect | Convert | Split | Unanswerable | Score | Cache) -> None:
    match command:
        case Inspect():
            from qa.cli import inspect

            inspect.run(command)
        case Convert():
            from qa.cli import convert

            convert.run(command)
        case Split():
            from qa.cli import split

            split.run(command)
        case Unanswerable():
            from qa.cli import unanswerable

            unanswerable.run(command)
        case Score():
            from qa.cli import score

            score.run(command)
        case Cache():
            from qa.cli import cache

            cache.run(command)
        case _:
            assert_never(command)


def _run_models(command: Calibrate | Export | Trim | ExportCheckpoint) -> None:
    match command:
        case Calibrate():
            from qa.cli import calibrate

            calibrate.run(command)
        case Export():
            from qa.cli import export

            export.run(command)
        case Trim():
            from qa.cli import trim

            trim.run(command)
        case ExportCheckpoint():
            from qa.cli import export_checkpoint

            export_checkpoint.run(command)
        case _:
            assert_never(command)


def _run_experiments(command: Sweep | Compare | Errors | Adapt | Crossval) -> None:
    match command:
        case Sweep():
            from qa.cli import sweep

            sweep.run(command)
        case Compare():
            from qa.cli import compare

            compare.run(command)
        case Errors():
            from qa.cli import errors

            errors.run(command)
        case Adapt():
            from qa.cli import adapt

            adapt.run(command)
        case Crossval():
            from qa.cli import crossval

            crossval.run(command)
        case _:
            assert_never(command)
