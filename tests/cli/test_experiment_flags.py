"""No dead flags: for every flag of the commands about runs there are two values with two outcomes."""

from tests.support.command_flags import JSON, FlagTests

PROGRAM = "${interpreter} ${program}"
LABELS = {"train-data": "DATA", "validation-data": "OTHER"}
BASE = {
    "compare": {"runs": ("RUN", "OTHER_RUN"), "json": True},
    "sweep": {"file": "SWEEP", "json": True},
    "errors": {"run": "RUN", "json": True},
    "adapt": {"texts": ("TEXTS",), "examples": "30", "held-out": "2", "json": True},
    "crossval": {"data": "EXAMPLES", "folds": "2", "json": True},
}
"""Flags of all runs of a command, unless a case says otherwise."""
CASES = {
    "compare": {
        "runs": (("RUN", "OTHER_RUN"), ("OTHER_RUN", "RUN"), {}),
        "each": (False, True, {"runs": ("RUN", "SAME_RUN", "OTHER_RUN")}),
        "data": (None, "REWRITTEN/test.jsonl", {}),
        "split": ("test", "other", {"data": "REWRITTEN"}),
        "plot": (None, "WORK/plot.svg", {}),
        "wandb": ("one", "two", {}),
        **JSON,
    },
    "sweep": {
        "file": ("SWEEP", "OTHER_SWEEP", {"dry-run": True, "json": None}),
        "out": (None, "WORK/elsewhere", {"dry-run": True, "json": None}),
        "command": (f"{PROGRAM} ${{args}}", f"{PROGRAM} minilm-squad ${{args}}", {"dry-run": True, "json": None}),
        "jobs": ("1", "2", {}),
        "search-seed": ("0", "1", {"file": "RANDOM_SWEEP", "dry-run": True, "json": None}),
        "dry-run": (False, True, {}),
        **JSON,
    },
    "errors": {
        "run": ("RUN", "SAME_RUN", {}),
        "kind": ("elsewhere", "missed", {}),
        "examples": (None, "1", {}),
        "html": (None, "WORK/page.html", {}),
        "data": (None, "REWRITTEN/test.jsonl", {}),
        "split": ("test", "other", {"data": "REWRITTEN"}),
        **JSON,
    },
    "adapt": {
        "texts": (("TEXTS",), ("TEXTS", "TEXT"), {}),
        "model": ("minilm", "OTHER_READER", {}),
        "split": ("train", "other", {"texts": ("ARTICLES_BY_SPLIT",)}),
        "examples": ("30", "12", {}),
        "held-out": ("1", "0", {}),
        "seed": ("0", "1", {}),
        "out": ("WORK/one", "WORK/two", {}),
        "train-data": ("DATA", "EXAMPLES", LABELS),
        "validation-data": ("OTHER", "EXAMPLES", LABELS),
        "adapt-command": (f"{PROGRAM} adapt", f"{PROGRAM} adapt --seed 3", {}),
        "command": (f"{PROGRAM} few-labels", f"{PROGRAM} few-labels --seed 3", LABELS),
        **JSON,
    },
    "crossval": {
        "data": ("EXAMPLES", "TITLED", {}),
        "split": ("train", "other", {"data": "REWRITTEN"}),
        "data-name": ("one", "two", {"data": "someone/data"}),
        "on-bad-example": ("skip", "repair", {"data": "BAD"}),
        "folds": ("2", "3", {}),
        "seed": ("0", "1", {}),
        "out": (None, "WORK/elsewhere", {}),
        "command": (f"{PROGRAM} few-labels", f"{PROGRAM} few-labels --training.epochs=1.0", {}),
        "jobs": ("1", "2", {}),
        **JSON,
    },
}
"""Of every flag two values, and what else the command needs with them."""


class TestExperimentFlags(FlagTests):
    module, base, cases = "qa.cli.experiment_flags", BASE, CASES
