"""`qa inspect`: counts, lengths and labels; examples named and drawn; texts that a tokenizer does not cover or know."""

import json

import pytest

from qa.cli.main import main
from tests.support import tiny
from tests.support.commands import inspected, output
from tests.support.predictors import CONTEXT, QUESTION


def read(capsys, *arguments):
    return json.loads(inspected(capsys, *arguments, "--json").out)


def test_the_longest_examples_are_named_one_for_a_context(capsys, long_contexts):
    found = read(capsys, long_contexts, "--longest", "3")["longest"]
    assert found[0]["id"] == "long"
    assert found[0]["windows"] > 1
    assert len(found) == 3
    assert "same context" not in {one["id"] for one in found}
    assert [one["tokens"] for one in found] == sorted((one["tokens"] for one in found), reverse=True)
    assert "longest" in inspected(capsys, long_contexts, "--longest", "1").out
    assert read(capsys, long_contexts)["longest"] == []


def test_drawn_examples_differ_unless_seeded(capsys, long_contexts):
    def drawn(*flags):
        return [row["id"] for row in read(capsys, long_contexts, "--examples", "8", *flags)["examples_shown"]]

    assert drawn("--seed", "3") == drawn("--seed", "3")
    assert len({tuple(drawn()) for _ in range(4)}) > 1


def test_inspect_counts_and_measures(capsys):
    flags = ("inspect", "sample", "--json", "--max-examples", "50", "--max-length", "128")
    found = json.loads(output(capsys, *flags, "--seed", "0").out)
    every = tiny.sample("validation")
    rows = every.select([at * len(every) // 50 for at in range(50)])
    assert found["examples"] == 50
    assert found["contexts"] == len(set(rows["context"]))
    assert found["unanswerable"] == sum(not answers["text"] for answers in rows["answers"])
    assert found["windows"]["total"] > 50
    assert found["windows"]["most"] > 1
    assert found["questions_cut"] == 0
    assert len(found["examples_shown"]) == 3
    again = output(capsys, *flags, "--seed", "1")
    assert json.loads(again.out)["examples_shown"] != found["examples_shown"]


def test_inspect_shows_problems_and_marks_answers(capsys, tmp_path):
    good = tiny.example(QUESTION, CONTEXT, "1541", ("1541", CONTEXT.index("1541")), "Orellana", id="good")
    none = tiny.example("Why?", CONTEXT, id="none")
    bad = tiny.example("How?", CONTEXT, ("river", 3), id="bad")
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in (good, none, bad)))
    out = output(capsys, "inspect", path).out
    assert "answer not at its offset" in out
    assert "id 'bad'" in out
    assert "named it in >>>1541<<<." in out
    assert "also: Orellana" in out
    assert "(no answer)" in out
    assert "answer not at its offset" in output(capsys, "inspect", path, "--on-bad-example", "error", status=1).err


def test_inspect_takes_data_without_references(capsys, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"id": "a", "question": "long " * 80, "context": CONTEXT}))
    found = json.loads(output(capsys, "inspect", path, "--json").out)
    assert "unanswerable" not in found
    assert found["questions_cut"] == 1
    assert found["question_tokens"]["most"] == 80
    assert CONTEXT in output(capsys, "inspect", path).out


def inspected_rows(capsys, tmp_path, *rows, flags=()):
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
    found = inspected_rows(capsys, tmp_path, tiny.example("Who?", context, answer))
    assert found["labels_that_give_back_their_reference"] == 1.0
    assert (found["labels_wider_than_their_reference"], found["labels_narrower_than_their_reference"]) == (0, 0)


def test_a_window_is_labelled_with_the_reference_that_it_holds(capsys, tmp_path):
    words = [f"word{at}" for at in range(60)]
    words[2] = words[40] = "Lund"
    context = " ".join(words)
    row = tiny.example("Who?", context, "Lund", ("Lund", context.rindex("Lund")))
    flags = ["--max-length", "40", "--doc-stride", "0", "--max-question-length", "8"]
    assert inspected_rows(capsys, tmp_path, row, flags=flags)["labelled_windows"] == 2


def test_the_share_of_unknown_tokens_is_said_and_warned_of(capsys, tmp_path):
    known = inspected_rows(capsys, tmp_path, tiny.example("Who built it?", "Ada built it.", "Ada"))
    assert (known["unknown_question_tokens"], known["unknown_context_tokens"], known["warnings"]) == (0.0, 0.0, [])
    strange = tiny.example("ᚠᚢᚦᚨ ᚱᚲ?", "Ada built it.", "Ada")
    found = inspected_rows(capsys, tmp_path, strange)
    assert found["unknown_question_tokens"] > 0.5
    assert "does not know these texts" in found["warnings"][0]
    assert main(["inspect", str(tmp_path / "rows.jsonl")]) == 0
    assert "warning: the tokenizer does not know" in " ".join(capsys.readouterr().out.split())
