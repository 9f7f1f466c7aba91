"""`qa export`: ONNX files beside a model's weights, and how they compare with them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from qa.commands import Export
from qa.config import DataConfig
from qa.data import load_examples, take
from qa.display import print_json, print_line, print_table
from qa.errors import ModelError, UsageError
from qa.export import BackendReport, compare, export_onnx
from qa.files import write_json
from qa.model import SETTINGS_FILE, Reader, load_reader
from qa.onnx_model import ONNX_FILES


def run(arguments: Export) -> None:
    """Export, compare and show."""
    own = Path(arguments.model)
    if arguments.out is None and not own.is_dir():
        raise UsageError(f"{own} is no folder to export into; wanted a folder, or --out FOLDER")
    folder = arguments.out or own
    examples = take(load_examples(arguments.data, split=arguments.split, config=DataConfig()), arguments.max_examples)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    reader = load_reader(arguments.model, revision=arguments.revision)
    if reader.has_new_head:
        raise ModelError(f"model {arguments.model!r} has no span head: its answers would be random; fine-tune it")
    if folder != own:
        save_surroundings(reader, folder)
    export_onnx(reader, folder)
    reports = compare(reader, folder, examples)
    if arguments.json:
        print_json({"folder": str(folder), "examples": len(examples), "backends": [asdict(one) for one in reports]})
    else:
        _show(reports, folder, len(examples))


def save_surroundings(reader: Reader, folder: Path) -> None:
    """Save what it takes to answer besides the weights: configuration, tokenizer and settings."""
    folder.mkdir(parents=True, exist_ok=True)
    reader.model.config.save_pretrained(folder)
    reader.tokenizer.save_pretrained(folder)
    if reader.settings is not None:
        write_json(folder / SETTINGS_FILE, asdict(reader.settings))


def _show(reports: Sequence[BackendReport], folder: Path, examples: int) -> None:
    print_line(f"{examples} examples")
    print_table(
        ("backend", "MB", "exact (%)", "F1 (%)", "ms an example", "speed", "largest logit difference", "equal (%)"),
        [tuple("–" if value is None else value for value in asdict(report).values()) for report in reports],
    )
    for name in ONNX_FILES.values():
        print_line(f"{folder / name}")
