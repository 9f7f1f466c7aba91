"""Anything as input: through files, features, a model, answers and scores, in batches, without a crash.

The generator is our own: hypothesis shrinks one example at a time, while what is expensive here is a batch.
`QA_FUZZ_SEED` and `QA_FUZZ_EXAMPLES` draw others and more.
"""

import json
import os
import random

import pyarrow as pa
import pytest
import torch
from accelerate import Accelerator
from pyarrow import parquet

from qa.config import DataConfig, DecodingConfig, FeaturesConfig
from qa.data.examples import load_examples, take
from qa.errors import QAError
from qa.evaluation.evaluator import Evaluator
from qa.features.windows import build_features
from qa.metrics import score
from qa.modeling.quirks import model_inputs
from tests.support import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_accelerator")]

EXAMPLES = int(os.environ.get("QA_FUZZ_EXAMPLES", "20000"))
BATCH = 2000
WINDOWS = FeaturesConfig(max_length=32, doc_stride=8, max_question_length=8)
PIECES = (
    *("a", "B", "7", ".", ",", "?", "'", '"', "the", "The", "Zürich", "word", "  ", " ", "\t", "\n", "\r\n", "\r"),
    *("\0", "\ufeff", "\u200b", "\u200d", "\u2028", "\u202e", "\u00a0", "\u0301", "\u00ad"),
    *(
        "שלום",
        "مرحبا",
        "漢字",
        "カナ",
        "한글",
        "ไทย",
        "👩‍👩‍👧‍👦",
        "🇨🇭",
        "👍🏽",
        "é",
        "e\u0301",
        "ﬁ",
        "ß",
        "İ",
        "𝔘",
        "[SEP]",
        "[CLS]",
        "##x",
    ),
)
SURROGATES = ("\ud800", "\udfff", "\ud83d")  # alone they cannot be encoded, so that a text with one is no text
HUGE = 100_000
MANY = 200_000


def text(chance, longest=30):
    if chance.random() < 0.02:
        return ""
    pieces = [chance.choice(PIECES) + chance.choice(("", " ")) for _ in range(chance.randint(1, longest))]
    if chance.random() < 0.02:
        pieces.insert(chance.randint(0, len(pieces)), chance.choice(SURROGATES))
    return "".join(pieces)


def reference(chance, context):
    """Mostly a right one, of one character up to all of the context, at its ends too; else one wrong in some way."""
    if context and chance.random() < 0.85:
        start = chance.choice((0, chance.randrange(len(context))))
        end = chance.choice((len(context), start + 1, chance.randint(start + 1, len(context))))
        return context[start:end], start
    wrong = (-1, -5, len(context), len(context) + 3, 10**9, 2**40, None, "0", 1.5, True, [0])
    return chance.choice((context[:3], "absent", "", " ", None, 7, ["x"])), chance.choice(wrong)


def answers(chance, context):
    pairs = [reference(chance, context) for _ in range(chance.choice((0, 1, 1, 1, 2, 3)))]
    whole = {"text": [pair[0] for pair in pairs], "answer_start": [pair[1] for pair in pairs]}
    listed = [{"text": pair[0], "answer_start": pair[1]} for pair in pairs]
    broken = ({"text": ["a"]}, {"text": ["a"], "answer_start": []}, "a", 3, [1], {"text": "a", "answer_start": 0})
    return chance.choice((*[whole] * 12, *[listed] * 4, chance.choice(broken)))


def row(chance, at):
    context = text(chance, chance.choice((3, 30, 120)))
    made = {"id": f"q{at}", "question": text(chance, 12), "context": context, "answers": answers(chance, context)}
    if chance.random() < 0.03:
        made["id"] = chance.choice((f"q{max(0, at - 1)}", at, "", None, 1.5, "\ud83d", f"id\0{at}", True))
    if chance.random() < 0.03:
        del made[chance.choice(("id", "question", "context", "answers"))]
    if chance.random() < 0.02:
        made[chance.choice(("question", "context"))] = chance.choice((None, 3, [], {}, True, ["a"]))
    return made if chance.random() > 0.005 else chance.choice((None, 1, "row", [made], True))


def write(path, rows):
    """As JSON's ASCII, which can hold lone surrogates too; the first row is good, so that all columns are there."""
    first = {
        "id": "first",
        "question": "Who?",
        "context": "Ada was.",
        "answers": {"text": ["Ada"], "answer_start": [0]},
    }
    path.write_text("".join(json.dumps(row) + "\n" for row in [first, *rows]))
    return path


def load(path, on_bad_example="skip"):
    return load_examples(str(path), split="train", config=DataConfig(on_bad_example=on_bad_example))


def error_of(path, on_bad_example):
    """The message of our own error, empty if there is none; any other error passes through and fails the test."""
    try:
        load(path, on_bad_example)
    except QAError as error:
        return str(error)
    return ""


def evaluate(examples, reader):
    model, tokenizer = reader
    features = build_features(examples.rows, tokenizer, WINDOWS)
    evaluator = Evaluator(
        accelerator=Accelerator(cpu=True),
        examples=examples,
        features=features,
        input_names=model_inputs(model),
        config=DecodingConfig(batch_size=256, n_best=3),
        null_possible=examples.has_impossible,
        threshold=0.0,
    )
    return evaluator.evaluate(model)


def check_answers(examples, evaluation):
    predictions = evaluation.predictions
    assert list(predictions.ids) == list(examples.rows["id"])
    contexts = examples.rows["context"][:]
    for example, found, start, end in zip(
        predictions.example.tolist(),
        predictions.text,
        predictions.start.tolist(),
        predictions.end.tolist(),
        strict=True,
    ):
        assert contexts[example][start:end] == found
        assert found.strip()
    assert len(predictions.texts(0.0)) == len(examples)
    if examples.has_references:
        assert 0 <= evaluation.scores["f1"] <= 100
        assert evaluation.scores.get("total", len(examples)) == len(examples)  # v1.1 scores have no counts


@pytest.fixture(scope="module")
def reader():
    torch.set_num_threads(1)
    return tiny.model(num_hidden_layers=1), tiny.tokenizer()


def test_any_examples_are_answered_or_named(tmp_path, reader):
    """All that is valid gets an answer or "no answer"; all that is not is reported with row and id."""
    chance = random.Random(os.environ.get("QA_FUZZ_SEED", "5"))
    kept = 0
    for batch in range(EXAMPLES // BATCH):
        rows = [row(chance, at) for at in range(BATCH)]
        path = write(tmp_path / f"{batch}.jsonl", rows)
        on_bad_example = chance.choice(("skip", "repair"))
        examples = load(path, on_bad_example)
        dropped = [problem for problem in examples.problems if problem.action == "skipped"]
        assert len(examples) + len(dropped) == BATCH + 1
        for problem in dropped:
            raw = rows[problem.row - 1]
            known = raw.get("id") if isinstance(raw, dict) else None
            assert problem.id == (str(known) if isinstance(known, str | int) else "")
        check_answers(examples, evaluate(examples, reader))
        kept += len(examples)
    print(f"{EXAMPLES} examples fuzzed, {kept} of them valid")
    assert EXAMPLES / 3 < kept < EXAMPLES


def test_bad_example_stops_a_strict_run_by_row_and_id(tmp_path):
    chance = random.Random(11)
    for at in range(100):
        path = write(tmp_path / "rows.jsonl", [row(chance, at)])
        message = error_of(path, "error")
        assert not message or ("row 1, id " in message and "row 0" not in message.split("found")[0])


@pytest.mark.parametrize(
    ("question", "context", "answer"),
    [
        ("Who?", "word " * (HUGE // 5), "word"),
        ("who " * (HUGE // 4), "Ada was.", "Ada"),
        ("Who?", "x" * HUGE, "x"),
        ("Who?", "\u200b" * 500 + "Ada", "Ada"),
        ("Who?", "Ada " * (HUGE // 4), "Ada " * (HUGE // 4)),
        ("?", "👩‍👩‍👧‍👦" * 2000, "👩‍👩‍👧‍👦"),
    ],
    ids=["context", "question", "word", "invisible", "answer", "emoji"],
)
def test_huge_examples_are_answered(question, context, answer, tmp_path, reader):
    rows = [{"id": "huge", "question": question, "context": context, "answers": [{"text": answer, "answer_start": 0}]}]
    rows[0]["answers"][0]["answer_start"] = context.index(answer)
    examples = load(write(tmp_path / "rows.jsonl", rows))
    check_answers(examples, evaluate(examples, reader))


def test_damaged_files_are_errors_of_ours(tmp_path):
    """Cut at any place, with any byte changed, empty, or without columns."""
    chance = random.Random(3)
    nested = {
        "data": [{"paragraphs": [{"context": "Ada was.", "qas": [{"id": "a", "question": "Who?", "answers": []}]}]}]
    }
    whole = json.dumps(nested).encode()
    path = tmp_path / "rows.json"
    for _ in range(500):
        content = bytearray(whole)
        content[chance.randrange(len(whole))] = chance.randrange(256)
        path.write_bytes(content[: chance.choice((len(whole), chance.randrange(len(whole))))])
        message = error_of(path, "skip")
        assert not message or str(path) in message


def test_many_rows_of_one_context(tmp_path, reader):
    """Its tokens are kept once; the model, at this size a matter of time alone, answers some of them."""
    rows = {
        "id": [str(at) for at in range(MANY)],
        "question": [f"Who was {at % 1000}?" for at in range(MANY)],
        "context": ["Ada was it."] * MANY,
        "answers": [{"text": ["Ada"], "answer_start": [0]}] * MANY,
    }
    parquet.write_table(pa.table(rows), tmp_path / "rows.parquet")
    examples = load(tmp_path / "rows.parquet", "error")
    features = build_features(examples.rows, reader[1], WINDOWS)
    assert len(features) == len(examples) == MANY
    assert len(features.context_ids.values) < 100
    few = take(examples, 2000)
    check_answers(few, evaluate(few, reader))
    references = {key: found["text"] for key, found in zip(rows["id"], rows["answers"], strict=True)}
    assert score(dict.fromkeys(rows["id"], "Ada"), references) == {"exact_match": 100.0, "f1": 100.0}
