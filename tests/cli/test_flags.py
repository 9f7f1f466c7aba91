"""No dead flags: for every flag of the commands about models there are two values with two outcomes."""

import pytest

from tests.support import tiny
from tests.support.command_flags import JSON, MODEL, SOURCE, flags, of_module, pairs, two_outcomes
from tests.support.finished import ROWS

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
    "score": {"references": "DATA", "predictions": "RIGHT", "json": True},
    "inspect": {
        "data": "DATA",
        "model": "READER",
        "max-length": "64",
        "doc-stride": "16",
        "max-question-length": "24",
        "seed": "0",
        "json": True,
    },
    "calibrate": {"model": "READER", "data": "DATA", "save": False, "json": True},
    "export": {"model": "READER", "out": "WORK/exported", "data": "DATA", "json": True},
    "trim": {"model": "READER", "out": "WORK/small", "data": ("DATA",), "json": True},
    "serve": {"model": "READER"},
    "cache": {"cache-dir": "CACHE", "json": True},
    "export-checkpoint": {"checkpoint": "AVERAGED/checkpoints/step-00000003", "output": "WORK/model"},
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
        **reading(data="LONG"),
        **JSON,
    },
    "score": {
        "references": ("DATA", "EXAMPLES", {"missing": "zero"}),
        "predictions": ("RIGHT", "WRONG", {}),
        "null-odds": (None, "ODDS", {"predictions": "OFFICIAL"}),
        "threshold": (None, "official", {}),
        "missing": ("zero", "error", {"predictions": "PARTIAL"}),
        "split": ("validation", "other", {"references": "SPLITS", "missing": "zero", "predictions": "BOTH"}),
        "data-name": ("one", "two", {"references": "someone/data"}),
        "data-revision": ("one", "two", {"references": "someone/data"}),
        "max-examples": (None, "2", {}),
        "on-bad-example": ("skip", "error", {"references": "WORSE"}),
        "language": ("en", "de", {"predictions": "ARTICLES"}),
        **JSON,
    },
    "inspect": {
        **SOURCE,
        "on-bad-example": ("skip", "repair", {"data": "BAD"}),
        "model": ("READER", "BYTES", {}),
        "max-length": ("64", "48", {}),
        "doc-stride": ("16", "2", {"data": "LONG"}),
        "max-question-length": ("24", "3", {}),
        "examples": ("3", "1", {}),
        "seed": ("0", "1", {}),
        "id": (None, ROWS[0]["id"], {}),
        "longest": ("0", "2", {}),
        **JSON,
    },
    "calibrate": {
        **MODEL,
        **SOURCE,
        "on-bad-example": ("skip", "error", {"data": "WORSE"}),
        "batch-size": ("32", "1", {"data": "LONG"}),
        "language": ("en", "ko", {"data": "WHOLE"}),
        "searches": ("0", "4", {}),
        "save": (True, False, {"model": "COPY_OF_COLD", "data": "sample", "max-examples": "60"}),
        **JSON,
    },
    "export": {
        "model": ("READER", "OTHER_READER", {}),
        "revision": ("one", "two", {"model": "someone/reader"}),
        "out": ("WORK/exported", "WORK/elsewhere", {}),
        "data": ("DATA", "OTHER", {}),
        "split": ("validation", "other", {"data": "SPLITS"}),
        "max-examples": ("200", "2", {}),
        **JSON,
    },
    "trim": {
        "model": ("READER", "OTHER_READER", {}),
        "out": ("WORK/small", "WORK/smaller", {}),
        "data": (("DATA",), ("DATA", "OTHER"), {}),
        "split": ("train", "other", {"data": ("SPLITS",)}),
        "revision": ("one", "two", {"model": "someone/reader"}),
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
        "max-connections": ("256", "4", {}),
    },
    "cache": {
        "cache-dir": ("CACHE", "SMALL_CACHE", {}),
        "prune-days": (None, "0", {"cache-dir": "COPY_OF_CACHE"}),
        **JSON,
    },
    "export-checkpoint": {
        "checkpoint": ("AVERAGED/checkpoints/step-00000003", "AVERAGED/checkpoints/step-00000001", {}),
        "output": ("WORK/model", "WORK/other", {}),
        "weights": ("trained", "averaged", {}),
        "overwrite": (True, False, {"output": "COPY_OF_READER"}),
    },
}
"""Of every flag two values, and what else the command needs with them."""


@pytest.mark.parametrize("command", sorted(of_module("qa.cli.flags")))
def test_every_flag_has_its_case(command):
    assert set(CASES[command]) == set(flags(command))


@pytest.mark.parametrize("command", CASES)
def test_the_same_values_have_the_same_outcome(command, outcome):
    assert outcome(command, BASE[command], again=True) == outcome(command, BASE[command], again=True)


@pytest.mark.parametrize(("command", "flag"), pairs(CASES))
def test_two_values_of_a_flag_have_two_outcomes(command, flag, outcome):
    first, second = two_outcomes(outcome, BASE[command], CASES[command][flag], command, flag)
    assert first != second
