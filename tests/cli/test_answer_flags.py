"""No dead flags: for every flag of the commands that answer there are two values with two outcomes."""

from tests.support import tiny
from tests.support.command_flags import JSON, MODEL, SOURCE, FlagTests

LONG_TEXT = "The Amazon carries much water. Francisco de Orellana named it in 1541. " * 12
READING = {
    "max-answer-length": ("30", "1", {}),
    "max-length": ("96", "48", "long"),
    "doc-stride": ("24", "2", "long"),
    "max-question-length": ("24", "3", {}),
    "batch-size": ("32", "1", "long"),
    "no-answer": ("False", "-1e6", {}),
    "align-to-words": (False, True, {"top-k": "20"}),
    "overlap": (None, "0.0", {"top-k": "20"}),
    "answers": ("any", "all", {"no-answer": "1e6"}),
}


def reading(**long):
    """The flags about reading; some need a text of several windows."""
    return {name: (one, other, long if more == "long" else more) for name, (one, other, more) in READING.items()}


CLAIM = {"sources": ("WORD",), "quotes": (f"someone had a {tiny.one_token_word()} here",)}
"""A claim that stands nowhere, and a source of which an untrained reader finds the only word."""
BASE = {
    "ask": {
        "model": "READER",
        "question": "Who was it that named the Amazon?",
        "context": LONG_TEXT[:71],
        "no-answer": "False",
        "json": True,
    },
    "ground": {"sources": ("TEXT",), "quotes": ("Francisco de Orellana",), "json": True},
    "predict": {"model": "READER", "data": "DATA", "out": "WORK/out.jsonl", "json": True},
    "serve": {"model": "READER"},
}
"""Flags of all runs of a command, unless a case says otherwise."""
CASES = {
    "ask": {
        **MODEL,
        "question": ("Who named it?", "When?", {}),
        "context": (LONG_TEXT[:71], "It was Orellana.", {}),
        "file": ("TEXT", "OTHER_TEXT", {"context": None}),
        "top-k": ("5", "1", {}),
        **reading(context=LONG_TEXT),
        **JSON,
    },
    "ground": {
        "sources": (("TEXT",), ("OTHER_TEXT",), {}),
        "answer": ("Francisco de Orellana", "named it", {"quotes": None}),
        "file": ("TEXT", "OTHER_TEXT", {"quotes": None}),
        "quotes": (("Orellana",), ("Orellana", "in 1541"), {}),
        "model": (None, "READER", CLAIM),
        "backend": ("torch", "onnx", CLAIM | {"model": "READER"}),
        "min-score": ("0", "1", CLAIM | {"model": "READER"}),
        **JSON,
    },
    "predict": {
        **MODEL,
        **SOURCE,
        "on-bad-example": ("skip", "error", {"data": "WORSE"}),
        "out": ("WORK/out.jsonl", "WORK/other.jsonl", {}),
        "overwrite": (True, False, {"out": "WORK/done.jsonl"}),
        "resume": (False, True, {"overwrite": True}),  # what is gone on with is tested with `qa predict`
        "top-k": ("1", "3", {}),
        "engine": (None, "local", {}),  # the others are tested where their packages are
        "workers": (None, "2", {"engine": "local"}),
        "keep": (("id",), ("id", "title"), {"engine": "local"}),
        **reading(data="LONG"),
        **JSON,
    },
    # What each of these does is tested where it is done, by two values.
    "serve": {
        "model": ("READER", "OTHER_READER", {}),
        "revision": (None, "one", {}),
        "device": (None, "cuda:1", {}),
        "dtype": (None, "bfloat16", {}),
        "backend": ("torch", "onnx", {}),
        "host": (None, "::1", {}),
        "port": ("8000", "0", {}),
        "root-path": (None, "/qa", {}),
        "cors-origins": (("https://a.org",), ("https://a.org", "https://b.org"), {}),
        "access-log": ("True", "False", {}),
        "max-waiting": ("256", "3", {}),
        "max-body-bytes": (None, "50", {}),
        "timeout": ("30", "0.5", {}),
        "header-timeout": ("10", "0.3", {}),
        "keep-alive": ("125", "620", {}),
        "max-connections": ("256", "4", {}),
    },
}
"""Of every flag two values, and what else the command needs with them."""


class TestAnswerFlags(FlagTests):
    module, base, cases = "qa.cli.answer_flags", BASE, CASES
