"""No dead flags: for every flag of the commands that change or write models there are two values with two outcomes."""

from tests.support.command_flags import JSON, MODEL, SOURCE, FlagTests

BASE = {
    "calibrate": {"model": "READER", "data": "DATA", "save": False, "json": True},
    "export": {"model": "READER", "out": "WORK/exported", "data": "DATA", "json": True},
    "trim": {"model": "READER", "out": "WORK/small", "data": ("DATA",), "json": True},
    "export-checkpoint": {"checkpoint": "AVERAGED/checkpoints/step-00000003", "output": "WORK/model"},
}
"""Flags of all runs of a command, unless a case says otherwise."""
CASES = {
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
    "export-checkpoint": {
        "checkpoint": ("AVERAGED/checkpoints/step-00000003", "AVERAGED/checkpoints/step-00000001", {}),
        "output": ("WORK/model", "WORK/other", {}),
        "weights": ("trained", "averaged", {}),
        "overwrite": (True, False, {"output": "COPY_OF_READER"}),
    },
}
"""Of every flag two values, and what else the command needs with them."""


class TestModelFlags(FlagTests):
    module, base, cases = "qa.cli.model_flags", BASE, CASES
