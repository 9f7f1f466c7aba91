"""A reader that needs no PyTorch: its answers, and what it says where PyTorch is missing."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from qa.inference.predictor import Predictor
from qa.modeling.settings import load_settings, save_settings
from tests.support import tiny
from tests.support.predictors import CONTEXT, QUESTION, finding_all

REFUSING = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "accelerate", "datasets", "evaluate", "wandb"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
import importlib.metadata as metadata, importlib.util as util
find = util.find_spec
util.find_spec = lambda name, *rest: None if name in ("torch", "accelerate") else find(name, *rest)
"""


def without_torch(code, *words):
    """Run code where nothing that training needs can be imported; return what it prints last, as JSON."""
    command = [sys.executable, "-c", REFUSING + code, *map(str, words)]
    environment = os.environ | {"TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("reader", ["exported", "conditional_exported"])
@pytest.mark.parametrize("options", [{"top_k": 3}, {"score": "window", "top_k": 2}, {"no_answer": True}])
def test_answers_are_those_of_pytorch(reader, options, request):
    exported = request.getfixturevalue(reader)
    rows = [{"question": row["question"], "context": row["context"]} for row in tiny.sample_rows("validation")[:6]]
    wanted = Predictor.from_pretrained(exported, device="cpu")(rows, **options)
    found = Predictor.from_pretrained(exported, backend="onnx")(rows, **options)
    for one, other in zip(found, wanted, strict=True):
        for a, b in zip(*([x] if isinstance(x, dict) else x for x in (one, other)), strict=True):
            assert (a["answer"], a["start"]) == (b["answer"], b["start"])
            assert a["score"] == pytest.approx(b["score"], abs=1e-4)


def test_in_8_bits_an_answer_does_not_depend_on_what_is_asked_beside_it(exported):
    reader = Predictor.from_pretrained(exported, backend="onnx_int8")
    texts = [CONTEXT * times for times in (1, 7, 2, 5)]
    rows = [{"question": question, "context": text} for text in texts for question in ("Who?", "In which year was it?")]
    assert reader(rows, top_k=5) == [reader(row, top_k=5) for row in rows]


def test_length_costs_the_same_as_in_pytorch(exported, tmp_path):
    folder = tmp_path / "reader"
    shutil.copytree(exported, folder)
    save_settings(replace(load_settings(folder), length_cost=0.05, choice="overlap"), folder)
    rows = [{"question": row["question"], "context": row["context"]} for row in tiny.sample_rows("validation")[:6]]
    readers = (exported, "onnx"), (folder, "onnx"), (folder, "torch")
    free, found, wanted = (
        Predictor.from_pretrained(reader, device="cpu", backend=backend)(rows, top_k=3) for reader, backend in readers
    )
    answers = [[[(one["answer"], one["start"]) for one in row] for row in rows] for rows in (free, found, wanted)]
    assert answers[0] != answers[1] == answers[2]


def test_all_answers_of_a_reader_of_tokens_are_those_of_pytorch(exported, tmp_path):
    folder = finding_all(exported, tmp_path / "tokens")
    rows = [{"question": row["question"], "context": row["context"]} for row in tiny.sample_rows("validation")[:6]]
    found, wanted = (
        Predictor.from_pretrained(folder, device="cpu", backend=backend)(rows) for backend in ("onnx", "torch")
    )
    assert max(map(len, wanted)) > 1
    for one, other in zip(found, wanted, strict=True):
        assert [(a["answer"], a["start"]) for a in one] == [(b["answer"], b["start"]) for b in other]
        assert [a["score"] for a in one] == pytest.approx([b["score"] for b in other], abs=1e-4)


@pytest.mark.slow
def test_asking_and_serving_need_no_pytorch(exported):
    code = """
import asyncio, json
from qa import Predictor
from qa.cli.main import main
folder, question, context = sys.argv[1:]
told = Predictor.from_pretrained(folder, backend="onnx")(question=question, context=context)
assert main(["ask", folder, "--backend", "onnx", "--question", question, "--context", context, "--json"]) == 0
assert main(["ask", folder, "--question", question, "--context", context]) == 1
from qa.serving.app import app_of
from qa.serving.factory import load
from qa.serving.settings import settings_from
settings = settings_from({"QA_MODEL": folder, "QA_BACKEND": "onnx"})
app = app_of(settings, lambda: load(settings))

async def served():
    sent = []
    body = json.dumps({"question": question, "context": context}).encode()
    scope = {"type": "http", "method": "POST", "path": "/answer", "raw_path": b"/answer", "query_string": b"",
             "headers": [(b"content-type", b"application/json")], "http_version": "1.1", "scheme": "http",
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": "", "asgi": {"version": "3.0"}}
    coming = [{"type": "http.request", "body": body, "more_body": False}]
    async def receive():
        return coming.pop() if coming else await asyncio.sleep(60)
    async def send(message):
        sent.append(message)
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return json.loads(b"".join(one.get("body", b"") for one in sent))

answer = asyncio.run(served())["results"][0]
answer = answer[0] if isinstance(answer, list) else answer
loaded = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "accelerate", "datasets", "evaluate", "wandb"})
print(json.dumps([told["answer"], answer["answer"], loaded]))
"""
    told, served, loaded = without_torch(code, exported, QUESTION, CONTEXT)
    assert told == served != ""
    assert loaded == []


@pytest.mark.slow
def test_what_needs_pytorch_names_its_extra(exported, tmp_path):
    for file in exported.iterdir():
        if file.name != "onnx":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").symlink_to(exported / "onnx" / "model.onnx")
    code = """
import json
from qa import Predictor
from qa.errors import MissingPackageError
said = []
for backend in ("torch", "onnx"):
    try:
        Predictor.from_pretrained(sys.argv[1], backend=backend)
    except MissingPackageError as error:
        said.append(str(error))
try:
    from qa import pipeline
except ImportError as error:
    said.append(str(error))
print(json.dumps(said))
"""
    by_torch, by_asking, pipeline = without_torch(code, tmp_path)
    for said in (by_torch, by_asking, pipeline):
        assert "torch" in said
        assert "pip install 'extractive-qa[torch]'" in said
    assert "layout.json" in by_asking
