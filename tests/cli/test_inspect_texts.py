"""`qa inspect` on texts that tokenizers do not cover, or do not know."""

import json

import pytest

from qa.cli.main import main
from tests.support import tiny
from tests.support.predictors import saved


def inspected(capsys, tmp_path, *rows, flags=()):
    path = tmp_path / "rows.jsonl"
    named = [row | {"id": f"q{at}"} for at, row in enumerate(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in named), encoding="utf-8")
    capsys.readouterr()
    assert main(["inspect", str(path), "--json", *flags]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("The tower of Sable\u0301 was drawn by Andre\u0301 in 1871.", "Andre\u0301"),
        ("दीपस्तंभ लुंड ने बनाया।", "लुंड ने"),
        ("Ngo\u0323n ha\u0309i \u0111a\u0306ng na\u0300y cao.", "na\u0300y"),
        ("كَتَبَ مُحَمَّدٌ الكِتَابَ.", "مُحَمَّدٌ"),
        ("\u1103\u1173\u11bc\u1103\u1162 \u1102\u1173\u11ab", "\u1103\u1173\u11bc\u1103\u1162"),
    ],
    ids=["accents", "Hindi", "Vietnamese", "vocalised Arabic", "Hangul"],
)
def test_labels_of_decomposed_texts_translate_back(capsys, tmp_path, context, answer):
    found = inspected(capsys, tmp_path, tiny.example("Who?", context, answer))
    assert found["labels_that_give_back_their_reference"] == 1.0
    assert (found["labels_wider_than_their_reference"], found["labels_narrower_than_their_reference"]) == (0, 0)


def test_a_window_is_labelled_with_the_reference_that_it_holds(capsys, tmp_path):
    words = [f"word{at}" for at in range(60)]
    words[2] = words[40] = "Lund"
    context = " ".join(words)
    row = tiny.example("Who?", context, "Lund", ("Lund", context.rindex("Lund")))
    flags = ["--max-length", "40", "--doc-stride", "0", "--max-question-length", "8"]
    assert inspected(capsys, tmp_path, row, flags=flags)["labelled_windows"] == 2


def test_the_share_of_unknown_tokens_is_said_and_warned_of(capsys, tmp_path):
    known = inspected(capsys, tmp_path, tiny.example("Who built it?", "Ada built it.", "Ada"))
    assert (known["unknown_question_tokens"], known["unknown_context_tokens"], known["warnings"]) == (0.0, 0.0, [])
    strange = tiny.example("ᚠᚢᚦᚨ ᚱᚲ?", "Ada built it.", "Ada")
    found = inspected(capsys, tmp_path, strange)
    assert found["unknown_question_tokens"] > 0.5
    assert "does not know these texts" in found["warnings"][0]
    assert main(["inspect", str(tmp_path / "rows.jsonl")]) == 0
    assert "warning: the tokenizer does not know" in " ".join(capsys.readouterr().out.split())


def test_predict_says_the_share_and_warns(capsys, tmp_path, caplog):
    model = saved(tmp_path / "model")
    for question, share in (("Who built it?", 0.0), ("ᚠᚢᚦᚨ ᚱᚲ?", 2 / 3)):
        path = tmp_path / "rows.jsonl"
        path.write_text(json.dumps({"id": "a", "question": question, "context": "Ada built it."}) + "\n")
        caplog.clear()
        assert main(["predict", str(model), str(path), str(tmp_path / f"{share}.jsonl"), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["unknown_tokens"]
        assert found == {"questions": pytest.approx(share), "contexts": 0.0}
        assert ("does not know these texts" in caplog.text) == (share > 0)
