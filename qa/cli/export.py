"""`qa export`: ONNX files beside a model's weights, and how they compare with them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from qa.cli.display import print_json, print_line, print_table
from qa.cli.model_flags import Export
from qa.config import DataConfig
from qa.data.examples import load_examples, take
from qa.errors import UsageError
from qa.inference.comparison import BackendReport, compare
from qa.inference.onnx import ONNX_FILES
from qa.inference.onnx_export import export_onnx
from qa.modeling.reader import load_trained_reader
from qa.modeling.saving import save_surroundings


def run(arguments: Export) -> None:
    """Export, compare and show."""
    own = Path(arguments.model)
    if arguments.out is None and not own.is_dir():
        raise UsageError(f"{own} is no folder to export into; wanted a folder, or --out FOLDER")
    folder = arguments.out or own
    examples = take(load_examples(arguments.data, split=arguments.split, config=DataConfig()), arguments.max_examples)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    reader = load_trained_reader(arguments.model, revision=arguments.revision)
    if folder != own:
        save_surroundings(reader, folder)
    export_onnx(reader, folder)
    reports = compare(reader, folder, examples)
    if arguments.json:
        print_json({"folder": str(folder), "examples": len(examples), "backends": [asdict(one) for one in reports]})
    else:
        _show(reports, folder, len(examples))


def _show(reports: Sequence[BackendReport], folder: Path, examples: int) -> None:
    print_line(f"{examples} examples")
    print_table(
        ("backend", "MB", "exact (%)", "F1 (%)", "ms an example", "speed", "largest logit difference", "equal (%)"),
        [tuple("–" if value is None else value for value in asdict(report).values()) for report in reports],
    )
    for name in ONNX_FILES.values():
        print_line(f"{folder / name}")
