"""No dead flags: for every flag of train_qa.py there are two values of which something that can be seen depends."""

import dataclasses
import hashlib
import itertools
import json
import logging
import re
from pathlib import Path

import datasets
import pytest
import torch
from accelerate import Accelerator
from huggingface_hub import HfApi
from torch import nn
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, PreTrainedModel

import train_qa
from qa.config import RunConfig
from qa.errors import QAError, StoppedError
from qa.presets import parse_config
from qa.runtime.core_wait import CoreWait
from qa.tracking.reporter import Reporter
from qa.training import TrainingLoop
from tests.support import tiny

pytestmark = pytest.mark.usefixtures("fresh_accelerator")

BASE = {
    "train-data": "TRAIN",
    "validation-data": "VALIDATION",
    "features.max-length": "64",
    "features.doc-stride": "16",
    "features.max-question-length": "24",
    "training.max-steps": "4",
    "training.batch-size": "2",
    "training.learning-rate": "1e-2",
    "training.evaluate-every": "2",
    "training.save-every": "2",
    "training.log-every": "1",
    "tracking.report-to": "none",
    "max-train-examples": "8",
    "max-validation-examples": "4",
}
"""Flags of all runs, unless one says otherwise."""
HUB = {"train-data": "someone/data", "validation-data": None}
LONG = {"training.max-steps": None, "max-train-examples": "4"}
TRACKED = {"tracking.report-to": "tensorboard"}
CLOCKED = ("seconds", "per_second", "mfu", "wait_share")
"""Ends of the names of values that depend on the clock."""
CASES = {
    "model": ("READER", "OTHER", {}),
    "model-revision": ("one", "two", {"model": "someone/reader"}),
    "train-data": ("TRAIN", "VALIDATION", {}),
    "train-weight": ("1.0", "2.0", {"max-train-examples": None}),
    "more-train-data": ("HALF", "VALIDATION", {"max-train-examples": None}),
    "validation-data": ("VALIDATION", "0.3", {}),
    "more-validation-data": ("FIRST", "SECOND", {}),
    "output-dir": ("RUN", "ELSEWHERE", {}),
    "seed": ("1", "2", {}),
    "resume": (None, "auto", {}),
    "max-train-examples": ("8", "6", {}),
    "max-validation-examples": ("4", "3", {}),
    "threads": ("1", "2", {}),
    "timeout-minutes": ("10.0", "0.5", {}),
    "push-to-hub": (None, "someone/reader", {}),
    "data.name": ("one", "two", HUB),
    "data.revision": ("one", "two", HUB),
    "data.train-split": ("train", "other", {"train-data": "FOLDER"}),
    "data.validation-split": ("validation", "other", {"validation-data": "FOLDER"}),
    "data.on-bad-example": ("skip", "repair", {"train-data": "BAD", "max-train-examples": None}),
    "data.allow-impossible": ("True", "False", {}),
    "features.max-length": ("64", "48", {}),
    "features.doc-stride": ("16", "2", {}),
    "features.max-question-length": ("24", "3", {}),
    "head": ("spans", "tokens", {}),
    "data.answers": ("any", "all", {"train-data": "SEVERAL"}),
    "features.all-references": ("False", "True", {"train-data": "SEVERAL"}),
    "features.least-round-trip": ("0.0", "95.0", {"train-data": "INSIDE"}),
    "features.cache-dir": ("CACHE", "OTHER_CACHE", {}),
    "training.epochs": ("1.0", "2.0", LONG),
    "training.max-steps": ("4", "2", {}),
    "training.learning-rate": ("1e-2", "1e-3", {}),
    "training.schedule": ("linear", "constant", {}),
    "training.extend": ("stretch", "restart", {"resume": "CHECKPOINT", "training.max-steps": "8"}),
    "training.warmup-ratio": ("0.1", "0.9", {}),
    "training.batch-size": ("2", "3", {}),
    "training.accumulation-steps": ("1", "2", {}),
    "training.auto-batch-size": ("False", "True", {"training.batch-size": "4"}),
    "training.weight-decay": ("0.0", "0.5", {}),
    "training.adam-epsilon": ("1e-8", "1.0", {}),
    "training.max-gradient-norm": ("1.0", "1e-6", {}),
    "training.evaluate-every": ("2", "1", {}),
    "training.save-every": ("2", "0", {}),
    "training.save-minutes": (None, "1e-5", {"training.save-every": "0", "training.keep-last": "9"}),
    "training.max-minutes": (None, "1e-5", {}),
    "training.log-every": ("1", "4", {}),
    "training.keep-last": ("2", "1", {}),
    "training.keep-best": ("1", "2", {}),
    "training.best-metric": ("HasAns_f1", "NoAns_f1", {}),
    "training.patience": (None, "1", {"training.evaluate-every": "1", "training.learning-rate": "1e-9"}),
    "training.gradient-checkpointing": ("False", "True", {}),
    "training.compile": ("False", "True", {}),
    "training.compile-mode": ("default", "reduce-overhead", {"training.compile": "True"}),
    "training.packed-length": (None, "128", {"max-train-examples": None}),
    "training.attention": ("sdpa", "no_such_kernel", {}),
    "training.tf32": (None, "True", {}),
    "training.fused": ("True", "False", {}),
    "training.profile": ("False", "True", {}),
    "training.schedule-power": ("1.0", "3.0", {"training.schedule": "polynomial"}),
    "training.warmup-steps": ("0", "3", {}),
    "training.adam-betas": ("0.9 0.999", "0.5 0.999", {}),
    "recipe.dropout": ("0.0", "0.3", {}),
    "recipe.attention-dropout": ("0.0", "0.3", {}),
    "recipe.layer-decay": ("1.0", "0.5", {}),
    "recipe.frozen-layers": ("0", "1", {}),
    "recipe.freeze-embeddings": ("False", "True", {}),
    "recipe.objective": ("independent", "joint", {}),
    "recipe.label-smoothing": ("0.0", "0.2", {}),
    "recipe.averaging": ("none", "ema", {}),
    "recipe.averaging-decay": ("0.05", "0.9", {"recipe.averaging": "ema"}),
    "recipe.averaging-share": ("0.5", "1.0", {"recipe.averaging": "tail"}),
    "recipe.short-windows": ("0.0", "1.0", {"recipe.short-length": "48"}),
    "recipe.short-length": ("48", "32", {"recipe.short-windows": "1.0"}),
    "recipe.teacher": ("READER", "OTHER", {}),
    "recipe.teacher-weight": ("0.1", "0.9", {"recipe.teacher": "OTHER"}),
    "recipe.temperature": ("1.0", "4.0", {"recipe.teacher": "OTHER"}),
    "recipe.lora-rank": ("0", "2", {}),
    "recipe.lora-alpha": ("1.0", "32.0", {"recipe.lora-rank": "2"}),
    "recipe.lora-dropout": ("0.0", "0.5", {"recipe.lora-rank": "2"}),
    "recipe.lora-targets": ("query", "query value", {"recipe.lora-rank": "2"}),
    "recipe.unlabelled-windows": ("1.0", "0.0", {"features.max-length": "48"}),
    "decoding.n-best": ("20", "2", {}),
    "decoding.max-answer-tokens": ("30", "1", {}),
    "decoding.search": ("exact", "hf_parity", {}),
    "decoding.length-cost": ("0.0", "2.0", {}),
    "decoding.choice": ("likeliest", "overlap", {}),
    "decoding.no-answer": ("True", "False", {}),
    "decoding.no-answer-threshold": ("0.0", "100.0", {}),
    "decoding.batch-size": ("32", "1", {}),
    "decoding.batch-tokens": ("1536", "40", {}),
    "decoding.language": (
        "en",
        "ko",
        {"validation-data": "WHOLE", "max-validation-examples": None, "decoding.no-answer": "False"},
    ),
    "tracking.report-to": ("none", "tensorboard", {}),
    "tracking.project": ("one", "two", TRACKED),
    "tracking.run-name": ("one", "two", {"tracking.report-to": "wandb"}),
    "tracking.table-rows": ("1", "2", TRACKED),
    "tracking.log-model": ("False", "True", {"tracking.report-to": "wandb"}),
    "tracking.registry": (
        "wandb-registry-model/one",
        "wandb-registry-model/two",
        {"tracking.report-to": "wandb", "tracking.log-model": "True"},
    ),
}
"""Of every flag two values, and what else the runs with them need."""


def leaves(config, prefix=""):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{field.name}.")
        else:
            yield f"{prefix}{field.name}".replace("_", "-")


def test_every_flag_has_its_case():
    assert set(CASES) == set(leaves(RunConfig()))


# --- files ---


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """What stands for the words in capitals."""
    folder = tmp_path_factory.mktemp("sources")
    rows = tiny.sample_rows("train")[:40]
    moved = rows[0] | {"id": "moved", "answers": {"text": ["the"], "answer_start": [0]}}
    whole = [row | {"answers": {"text": [row["context"]], "answer_start": [0]}} for row in rows[:4]]
    named = [row for row in rows if "the" in row["context"]]
    starts = [row["context"].index("the") for row in named]
    several = [
        row | {"answers": {"text": [row["context"][:9], "the"], "answer_start": [0, at]}}
        for row, at in zip(named, starts, strict=True)
    ]
    inside = [
        row | {"answers": {"text": ["h"], "answer_start": [at + 1]}} for row, at in zip(named, starts, strict=True)
    ]
    files = {
        "TRAIN": rows[:30],
        "VALIDATION": [*rows[30:38], tiny.example("Who?", "Nobody was here.", id="none")],
        "BAD": [*rows[:5], moved],
        "SEVERAL": several,
        "INSIDE": inside,  # of tokens, so that no label translates back
        "WHOLE": whole,  # so that whatever an untrained reader answers shares words with its reference
        "FOLDER/train": rows[:9],
        "FOLDER/validation": rows[9:18],
        "FOLDER/other": rows[18:30],
    }
    (folder / "FOLDER").mkdir()
    for name, part in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    found = {name: str(folder / f"{name}.jsonl") for name in files} | {"FOLDER": str(folder / "FOLDER")}
    for name, seed in (("READER", 0), ("OTHER", 1)):
        found[name] = str(tiny.save_reader(folder / name, seed=seed))
    found |= {"FIRST": f"first={found['TRAIN']}", "SECOND": f"second={found['TRAIN']}"}
    found["HALF"] = f"{found['VALIDATION']}*0.5"
    found["CHECKPOINT"] = str(folder / "earlier" / "checkpoints" / "step-00000004")
    return found


@pytest.fixture
def earlier_run(paths, fresh_accelerator):
    """A run of four steps that others continue."""
    folder = Path(paths["CHECKPOINT"]).parents[1]
    if not folder.exists():
        given = {"model": "READER", "output-dir": str(folder), "features.cache-dir": str(folder.parent / "cache")}
        train_qa.run(parse_config(arguments_of(given | BASE, paths)))
        fresh_accelerator()


# --- what can be seen of a run ---


@pytest.fixture
def calls(monkeypatch, paths):
    """What a run asks of the hub, the libraries and the trackers."""
    seen = []
    load, table, init = AutoModelForQuestionAnswering.from_pretrained, Reporter.table, Accelerator.init_trackers

    def from_pretrained(source, *, revision=None, **options):
        seen.append(("model", revision))
        model, info = load(paths["READER"] if source == "someone/reader" else source, **options)
        model.register_forward_pre_hook(
            lambda _, __, inputs: seen.append(("forward", *inputs["input_ids"].shape)), with_kwargs=True
        )
        return model, info

    def load_dataset(source, **options):
        seen.append(("data", source, sorted(options.items(), key=str)))
        return tiny.examples(*tiny.sample_rows("train")[:30])

    monkeypatch.setattr(AutoModelForQuestionAnswering, "from_pretrained", from_pretrained)
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda *_, **__: tiny.tokenizer())
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(HfApi, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(HfApi, "upload_folder", lambda *_, **given: seen.append(("push", given["repo_id"])))
    monkeypatch.setattr(nn.Module, "compile", lambda *_, mode, **__: seen.append(("compile", mode)))
    monkeypatch.setattr(
        PreTrainedModel, "activation_checkpointing_enable", lambda *_, **__: seen.append(("recompute",))
    )
    monkeypatch.setattr(Reporter, "table", lambda *given: (seen.append(("rows", len(given[3]))), table(*given)))
    monkeypatch.setattr(Reporter, "model", lambda self, *_: seen.append(("sent", self.tracker.registry)))
    monkeypatch.setattr(
        Accelerator,
        "init_trackers",
        lambda self, project, **given: (
            seen.append((project, given["init_kwargs"].get("wandb", {}).get("name"))),
            init(self, project, **given),
        )[1],
    )
    monkeypatch.setattr(CoreWait, "take", lambda _: None)  # which other programs decide, and says a line of its own
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return seen


def loop_of(calls):
    """The loop that a run makes, noting the optimizer's kernel; with so little memory that 4 features do not fit."""

    def made(accelerator, model, optimizer, *others, loss):
        def limited(start, end, batch):
            if len(batch) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return loss(start, end, batch)

        calls.append(("fused", optimizer.optimizer.defaults["fused"]))
        calls.append(("timeout", accelerator.init_handler.timeout))
        return TrainingLoop(accelerator, model, optimizer, *others, loss=limited)

    return made


def arguments_of(given, words):
    arguments = []
    for name, value in given.items():
        if value in {"True", "False"} and name not in {"training.fused", "training.tf32", "decoding.no-answer"}:
            section, _, switch = name.rpartition(".")
            arguments.append(f"--{section}.{switch if value == 'True' else f'no-{switch}'}")
        else:
            arguments += [f"--{name}", *words.get(value, str(value)).split()]
    return arguments


def observe(folder, flags, paths, calls, monkeypatch, caplog):
    """Run in `folder`; all that can be seen afterwards."""
    words = paths | {name: str(folder / name.lower()) for name in ("RUN", "ELSEWHERE", "CACHE", "OTHER_CACHE")}
    given = {"model": "READER", "output-dir": "RUN", "features.cache-dir": "CACHE"} | BASE | flags
    arguments = arguments_of(given, words)
    monkeypatch.setattr(train_qa, "TrainingLoop", loop_of(calls))
    calls.clear()
    caplog.clear()
    ended = None
    try:
        with caplog.at_level(logging.INFO, logger="qa"):
            train_qa.run(parse_config(arguments))
    except (QAError, StoppedError) as error:
        ended = str(error)
    return {
        "ended": ended,
        "calls": list(calls),
        "lines": [re.sub(r"\d[\d.]* examples/s.*|/\S+", "", record.getMessage()) for record in caplog.records],
        "files": {name_of(path, folder): content(path) for path in sorted(folder.rglob("*"))},
    }


def name_of(path, folder):
    """Without the clock in names of trackers' files, and the hash in those of features, which every flag changes."""
    return re.sub(r"[0-9a-f]{32}|\d{9,}.*", "…", str(path.relative_to(folder)))


def content(path):
    """The hash of a file that holds nothing of clocks, places and random ids."""
    if path.name == "state.json":
        return json.loads(path.read_text())["progress"] | {"tracker_ids": None, "unlogged": None}
    if path.name == "history.jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [{name: value for name, value in line.items() if not name.endswith(CLOCKED)} for line in lines]
    told = {"metrics.json", "predictions.json", "nbest_predictions.json", "null_odds.json", "reader.json"}
    if path.name == "attempts.jsonl" or (path.name not in told and path.suffix not in {".jsonl", ".safetensors"}):
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- the tests ---


@pytest.fixture
def outcome(tmp_path, paths, calls, monkeypatch, caplog, fresh_accelerator):
    """A function that runs with flags and returns all that can be seen."""
    folders = (tmp_path / str(at) for at in itertools.count())

    def outcome_of(flags):
        fresh_accelerator()
        folder = next(folders)
        folder.mkdir()
        return observe(folder, flags, paths, calls, monkeypatch, caplog)

    return outcome_of


@pytest.mark.parametrize("flags", [{}, TRACKED], ids=["untracked", "tracked"])
def test_the_same_values_have_the_same_outcome(flags, outcome):
    assert outcome(flags) == outcome(flags)


@pytest.mark.usefixtures("earlier_run")
@pytest.mark.parametrize("flag", CASES)
def test_two_values_of_a_flag_have_two_outcomes(flag, outcome):
    if "lora" in flag:
        pytest.importorskip("peft", reason="trains low-rank matrices: pip install 'extractive-qa[lora]'")
    one, other, needed = CASES[flag]
    assert outcome(needed | {flag: one}) != outcome(needed | {flag: other})
