"""What commands are tried with in the place of the hub, of processes, of a listening server and of slow work."""

import hashlib
import runpy
import sys
from pathlib import Path

import datasets
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from qa.experiments.running import Ended, Runner
from tests.support import tiny
from tests.support.command_words import FEW


def stand_in(monkeypatch, calls, words):
    """Put all of it in its places; what is asked of it is noted in `calls`."""
    _for_the_hub(monkeypatch, calls, words)
    for command in ("sweep", "crossval", "adapt"):
        monkeypatch.setattr(f"qa.cli.{command}.Runner", _runner(calls))
    monkeypatch.setattr("qa.cli.serve.load", calls.append)
    monkeypatch.setattr("qa.cli.serve.app_of", lambda *_: None)
    monkeypatch.setattr("qa.cli.serve.log_as_json", lambda **given: calls.append(given))
    monkeypatch.setattr("qa.cli.serve.Server", _server(calls))
    monkeypatch.setattr("qa.cli.export.export_onnx", _noted_export(calls))
    monkeypatch.setattr("qa.cli.export.compare", lambda *given: calls.append(given[2].rows["id"][:]) or [])
    monkeypatch.setattr(
        "qa.tracking.wandb_tables.send_tables", lambda project, *_, **__: calls.append(project) or "wandb sync"
    )


def _for_the_hub(monkeypatch, calls, words):
    load_model, load_tokenizer = AutoModelForQuestionAnswering.from_pretrained, AutoTokenizer.from_pretrained

    def model(source, *, revision=None, **options):
        calls.append(("model", revision))
        made, info = load_model(source if Path(source).is_dir() else words["READER"], **options)
        made.register_forward_pre_hook(
            lambda _, __, inputs: calls.append(("forward", *inputs["input_ids"].shape)), with_kwargs=True
        )
        return made, info

    def tokenizer(source, **options):
        return load_tokenizer(source, **options) if Path(source).is_dir() else tiny.tokenizer()

    def load_dataset(source, **options):
        calls.append(("data", source, sorted(options.items(), key=str)))
        return tiny.examples(*FEW)

    monkeypatch.setattr(AutoModelForQuestionAnswering, "from_pretrained", model)
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", tokenizer)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)


def _runner(calls):
    """A runner whose jobs, Python programs, run in this process; each takes a minute."""

    class InProcess(Runner):
        def __init__(self, at_once):
            super().__init__(at_once)
            calls.append(("at once", at_once))

        def run(self, jobs, began):
            for job in jobs:
                began(job)
                before, sys.argv = sys.argv, list(job.words[1:])
                try:
                    runpy.run_path(sys.argv[0], run_name="__main__")
                finally:
                    sys.argv = before
                yield Ended(job=job, status=0, seconds=60.0)

    return InProcess


def _server(calls):
    class Server:
        def __init__(self, _app, settings, *, listening):
            calls.append(settings)
            self.listen_and_run = lambda: listening("http://somewhere")

    return Server


def _noted_export(calls):
    def export(reader, folder):
        weights = reader.model.qa_outputs.weight.detach().numpy().tobytes()
        calls.append(("export", hashlib.sha256(weights).hexdigest(), folder.name))

    return export
