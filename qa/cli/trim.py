"""`qa trim`: a model with the part of its vocabulary that texts use."""

import logging
from collections.abc import Iterator

from transformers.utils.logging import disable_progress_bar

from qa.cli.display import print_json, print_line
from qa.cli.model_flags import Trim
from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.errors import StorageError
from qa.modeling.reader import Reader, load_reader
from qa.modeling.saving import save_whole
from qa.modeling.vocabulary import trim_reader


def run(arguments: Trim) -> None:
    """Trim, save, and say how much is left."""
    if arguments.out.exists():
        raise StorageError(f"{arguments.out} is there already; wanted a new folder")
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    logging.getLogger("transformers").setLevel(logging.ERROR)
    reader = load_reader(arguments.model, revision=arguments.revision)
    before = _sizes(reader)
    trimmed = trim_reader(reader, _texts(arguments))
    save_whole(trimmed, arguments.out)
    now = _sizes(trimmed)
    if arguments.json:
        print_json({"out": str(arguments.out), "before": before, "now": now})
        return
    for name, size in now.items():
        print_line(f"{size:,} of {before[name]:,} {name}")
    print_line(f"{arguments.out}")


def _texts(arguments: Trim) -> Iterator[str]:
    """Yield questions and contexts; what is wrong with answers does not matter here."""
    for source in arguments.data:
        config = DataConfig(on_bad_example="skip")
        examples = load_examples(source, split=arguments.split, config=config, purpose="nothing")
        for name in ("question", "context"):
            yield from examples.rows[name][:]


def _sizes(reader: Reader) -> dict[str, int]:
    return {"tokens": len(reader.tokenizer), "parameters": sum(one.numel() for one in reader.model.parameters())}
