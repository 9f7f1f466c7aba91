"""No dead flags: for every flag of the commands about data sets there are two values with two outcomes."""

from tests.support.command_flags import JSON, SOURCE, FlagTests
from tests.support.finished import ROWS

BASE = {
    "inspect": {
        "data": "DATA",
        "model": "READER",
        "max-length": "64",
        "doc-stride": "16",
        "max-question-length": "24",
        "seed": "0",
        "json": True,
    },
    "convert": {"data": "DATA", "out": "WORK/out.jsonl", "json": True},
    "split": {"data": "TITLED", "out": "WORK/parts", "validation": "0.2", "json": True},
    "unanswerable": {"data": "TITLED", "out": "WORK/out.jsonl", "share": "1", "json": True},
    "score": {"references": "DATA", "predictions": "RIGHT", "json": True},
    "cache": {"cache-dir": "CACHE", "json": True},
}
"""Flags of all runs of a command, unless a case says otherwise."""
CASES = {
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
    "convert": {
        **SOURCE,
        "on-bad-example": ("skip", "repair", {"data": "BAD"}),
        "references": ("texts", "spans", {"data": "PLACELESS"}),
        "out": ("WORK/out.jsonl", "WORK/out.json", {}),
        "overwrite": (True, False, {"out": "WORK/done.jsonl"}),
        **JSON,
    },
    "split": {
        **SOURCE,
        "data": ("TITLED", "EXAMPLES", {}),
        "max-examples": (None, "40", {}),
        "on-bad-example": ("skip", "repair", {"data": "BAD"}),
        "references": ("texts", "spans", {"data": "PLACELESS"}),
        "out": ("WORK/parts", "WORK/others", {}),
        "validation": ("0.2", "0.5", {}),
        "test": ("0", "0.3", {}),
        "folds": (None, "2", {}),
        "by": ("context", "title", {}),
        "seed": ("0", "1", {"validation": "0.4"}),
        "format": ("jsonl", "json", {}),
        **JSON,
    },
    "unanswerable": {
        **SOURCE,
        "data": ("TITLED", "EXAMPLES", {}),
        "max-examples": (None, "40", {}),
        "on-bad-example": ("skip", "error", {"data": "WORSE"}),
        "out": ("WORK/out.jsonl", "WORK/out.json", {}),
        "overwrite": (True, False, {"out": "WORK/done.jsonl"}),
        "share": ("1", "0.5", {}),
        "seed": ("0", "1", {"share": "0.5"}),
        **JSON,
    },
    "score": {
        "references": ("DATA", "EXAMPLES", {"missing": "zero"}),
        "predictions": ("RIGHT", "WRONG", {}),
        "null-odds": (None, "ODDS", {"predictions": "OFFICIAL"}),
        "threshold": (None, "official", {}),
        "answers": ("any", "all", {"predictions": "LISTS"}),
        "missing": ("zero", "error", {"predictions": "PARTIAL"}),
        "split": ("validation", "other", {"references": "SPLITS", "missing": "zero", "predictions": "BOTH"}),
        "data-name": ("one", "two", {"references": "someone/data"}),
        "data-revision": ("one", "two", {"references": "someone/data"}),
        "max-examples": (None, "2", {}),
        "on-bad-example": ("skip", "error", {"references": "WORSE"}),
        "language": ("en", "de", {"predictions": "ARTICLES"}),
        **JSON,
    },
    "cache": {
        "cache-dir": ("CACHE", "SMALL_CACHE", {}),
        "prune-days": (None, "0", {"cache-dir": "COPY_OF_CACHE"}),
        **JSON,
    },
}
"""Of every flag two values, and what else the command needs with them."""


class TestDataFlags(FlagTests):
    module, base, cases = "qa.cli.data_flags", BASE, CASES
