"""`qa ask`: one question or many, of a text from anywhere."""

import re

import pytest
import torch

from qa.inference.predictor import Predictor
from tests.support.commands import json_lines, output, stdin
from tests.support.predictors import CONTEXT, FINDS_ALL, QUESTION, saved


def test_ask_marks_the_answer_and_lists_the_best(capsys, folder):
    out = output(
        capsys, "ask", folder, "--question", QUESTION, "--context", CONTEXT, "--no-answer", "False", "--top-k", "3"
    ).out
    answers = Predictor.from_pretrained(folder, device="cpu")(
        question=QUESTION, context=CONTEXT, no_answer=False, top_k=3
    )
    marked = out.splitlines()[0]
    start, end = answers[0]["start"], answers[0]["end"]
    assert marked == f"{CONTEXT[:start]}>>>{CONTEXT[start:end]}<<<{CONTEXT[end:]}"
    rows = out.splitlines()[2:]
    assert len(rows) == 3
    for row, answer in zip(rows, answers, strict=True):
        assert f"{answer['start']}–{answer['end']}" in row
        assert answer["answer"] in row


def test_ask_says_that_there_is_no_answer(capsys, folder):
    out = output(capsys, "ask", folder, "--question", QUESTION, "--context", CONTEXT, "--no-answer", "-1e6").out
    assert out.startswith("The text does not answer this (probability 1.00).")
    assert "(no answer)" in out


def test_ask_prints_json_of_what_the_predictor_gives(capsys, folder):
    flags = ("--top-k", "1", "--max-answer-length", "2", "--align-to-words", "--json")
    out = output(capsys, "ask", folder, "--question", QUESTION, "--context", CONTEXT, *flags).out
    wanted = Predictor.from_pretrained(folder)(
        question=QUESTION, context=CONTEXT, max_answer_length=2, align_to_words=True
    )
    assert json_lines(out) == [{"question": QUESTION, "answers": [wanted]}]


def test_ask_reads_the_context_from_a_file_or_standard_input(capsys, folder, tmp_path, monkeypatch):
    file = tmp_path / "context.txt"
    file.write_text(CONTEXT, encoding="utf-8")
    given = output(capsys, "ask", folder, "--question", QUESTION, "--context", CONTEXT, "--json").out
    assert output(capsys, "ask", folder, "--question", QUESTION, "--file", file, "--json").out == given
    monkeypatch.setattr("sys.stdin", stdin(CONTEXT.encode()))
    assert output(capsys, "ask", folder, "--question", QUESTION, "--json").out == given


def test_ask_answers_questions_line_by_line_and_passes_over_empty_ones(capsys, folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", stdin(f"{QUESTION}\nWhen?\n\nWhere?\n".encode()))
    found = json_lines(output(capsys, "ask", folder, "--context", CONTEXT, "--json").out)
    assert [line["question"] for line in found] == [QUESTION, "When?", "Where?"]
    monkeypatch.setattr("sys.stdin", stdin(b"To the end?"))
    assert len(json_lines(output(capsys, "ask", folder, "--context", CONTEXT, "--json").out)) == 1


def test_ask_counts_the_characters_of_a_file_as_they_are(capsys, folder, tmp_path, monkeypatch):
    """Line ends of two characters are two."""
    text = CONTEXT.replace(". ", ".\r\n")
    (tmp_path / "text").write_bytes(text.encode())
    asked = ("--question", QUESTION, "--top-k", "1000", "--no-answer", "False", "--json")
    (line,) = json_lines(output(capsys, "ask", folder, "--file", tmp_path / "text", *asked).out)
    assert len(line["answers"]) > 100
    assert all(text[one["start"] : one["end"]] == one["answer"] for one in line["answers"])
    assert any("\r\n" in one["answer"] for one in line["answers"])
    for named in ((), ("--file", "-")):
        monkeypatch.setattr("sys.stdin", stdin(text.encode()))
        assert json_lines(output(capsys, "ask", folder, *named, *asked).out) == [line]


@pytest.mark.parametrize("asked", [("--question", QUESTION), ("--context", CONTEXT)])
def test_standard_input_that_is_not_utf_8_is_a_line(capsys, folder, asked, monkeypatch):
    monkeypatch.setattr("sys.stdin", stdin(b"caf\xe9 by Ren\xe9"))
    found = output(capsys, "ask", folder, *asked, status=1).err
    assert found.startswith("error: cannot read standard input: ")
    assert found.endswith("wanted UTF-8\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--top-k", "0"), "top_k is 0; wanted a whole number, 1 or more"),
        (("--top-k=-1", "--json"), "top_k is -1"),
        (("--no-answer", "nan", "--json"), "no_answer is nan"),
        (("--overlap", "2"), "overlap is 2.0; wanted a share"),
        (("--max-answer-length", "0"), "max_answer_length is 0"),
        (("--max-question-length", "-3"), "max_question_length is -3"),
        (("--device", "cuda"), "device is 'cuda'; this machine has cpu"),
        (("--device", "mps"), "device is 'mps'"),
        (("--dtype", "float8_e4m3fn"), "dtype is 'float8_e4m3fn'; wanted one of float32, bfloat16"),
    ],
)
@pytest.mark.skipif(torch.accelerator.is_available(), reason="its devices are those of a machine without any")
def test_ask_and_predict_say_what_is_wrong_with_a_flag(capsys, folder, tmp_path, flags, message):
    asked = ("ask", folder, "--question", QUESTION, "--context", CONTEXT)
    predicted = ("predict", folder, "sample", tmp_path / "out", "--max-examples", "2")
    for command in (asked, predicted):
        found = output(capsys, *command, *flags, status=1)
        assert found.err.splitlines()[-1].startswith(f"error: {message}")
        assert not found.out


def test_ask_lists_disjoint_answers_on_demand(capsys, folder):
    asked = ("--question", QUESTION, "--context", CONTEXT, "--no-answer", "False", "--top-k", "4", "--json")
    (every,), (apart,) = (
        json_lines(output(capsys, "ask", folder, *asked, *flags).out) for flags in ((), ("--overlap", "0"))
    )
    assert every["answers"] != apart["answers"]
    best, *others = apart["answers"]
    assert others
    assert all(one["end"] <= best["start"] or one["start"] >= best["end"] for one in others)


def test_ask_reads_as_much_of_a_question_as_is_said(capsys, folder, caplog):
    asked = (
        "--question",
        "the long story of the towers of which many clerks wrote " * 3 + QUESTION,
        "--context",
        CONTEXT,
    )
    whole, cut = (output(capsys, "ask", folder, *asked, *flags).out for flags in ((), ("--max-question-length", "5")))
    assert whole != cut
    assert "cut to their first 5 tokens" in caplog.text


@pytest.mark.parametrize("flags", [["--context", "c", "--file", "f", "--question", "q"], ["--file", "-"], []])
def test_flags_that_do_not_go_together_exit_with_2(capsys, flags):
    assert output(capsys, "ask", "folder", *flags, status=2).err.startswith("error: ")


# --- all answers ---


@pytest.fixture(scope="module")
def finds_all(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("tokens"), own=FINDS_ALL)


def test_ask_lists_and_marks_all_answers_of_a_reader_that_finds_them(capsys, finds_all):
    asked = ("ask", finds_all, "--question", QUESTION, "--context", CONTEXT)
    wanted = Predictor.from_pretrained(finds_all, device="cpu")(question=QUESTION, context=CONTEXT)
    assert len(wanted) > 1
    assert json_lines(output(capsys, *asked, "--json").out) == [{"question": QUESTION, "answers": wanted}]
    marked, _, *rows = output(capsys, *asked).out.splitlines()
    assert len(rows) == len(wanted)
    plain, inside = marked.replace(">>>", "").replace("<<<", ""), re.findall(">>>(.*?)<<<", marked)
    assert plain == CONTEXT
    assert "".join("".join(inside).split()) == "".join(
        "".join(one["answer"] for one in sorted(wanted, key=lambda one: one["start"])).split()
    )


def test_ask_lists_as_many_of_all_as_are_said_or_only_the_best(capsys, finds_all):
    asked = ("ask", finds_all, "--question", QUESTION, "--context", CONTEXT, "--json")
    every, two, best = (
        json_lines(output(capsys, *asked, *flags).out)[0]["answers"]
        for flags in ((), ("--top-k", "2"), ("--answers", "any", "--top-k", "1"))
    )
    assert two == every[:2]
    assert [one["answer"] for one in best] == [every[0]["answer"]]


def test_ask_says_that_no_span_is_above_a_threshold(capsys, finds_all):
    asked = ("ask", finds_all, "--question", QUESTION, "--context", CONTEXT, "--no-answer", "-50")
    assert output(capsys, *asked).out == "The text does not answer this.\n"
    assert json_lines(output(capsys, *asked, "--json").out) == [{"question": QUESTION, "answers": []}]


def test_ask_refuses_a_share_of_overlap_where_answers_are_disjoint(capsys, finds_all, folder):
    for model, flags, why in (
        (finds_all, ("--answers", "any"), "the reader has the head tokens"),
        (folder, ("--answers", "all"), "answers is 'all'"),
    ):
        asked = ("ask", model, "--question", QUESTION, "--context", CONTEXT, "--overlap", "0.5", *flags)
        found = output(capsys, *asked, status=1).err
        assert found == f"error: overlap is 0.5, and {why}: answers are disjoint; wanted 0, or none\n"
