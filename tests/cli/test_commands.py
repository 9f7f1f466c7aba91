"""The command line: every command by its result, as text and as JSON; errors and exit statuses."""

import importlib
import importlib.util
import io
import json
import subprocess
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import qa
from qa import metrics
from qa.cli import predict
from qa.cli.main import main
from qa.inference.predictor import Predictor
from qa.modeling.settings import DEFAULT_SETTINGS, SETTINGS_FILE, load_settings
from tests.support import tiny

PROJECT = tomllib.loads((Path(qa.__file__).parents[1] / "pyproject.toml").read_text())["project"]
CONTEXT = "The Amazon carries 209,000 cubic metres of water a second. Francisco de Orellana named it in 1541."
QUESTION = "Who named the Amazon?"
SETTINGS = replace(DEFAULT_SETTINGS, max_length=128, doc_stride=32, max_question_length=32, null_possible=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def predicted(folder, tmp_path_factory):
    """Predictions of 40 examples of the embedded set, and the references, as files."""
    where = tmp_path_factory.mktemp("predicted")
    references = where / "references.jsonl"
    references.write_text("".join(f"{json.dumps(row)}\n" for row in tiny.sample_rows("validation")[:40]))
    assert main(["predict", str(folder), str(references), str(where / "out.jsonl")]) == 0
    return where


def saved(folder, own=SETTINGS):
    tiny.save_reader(folder)
    (folder / SETTINGS_FILE).write_text(json.dumps(asdict(own)))
    return folder


def output(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == status
    return capsys.readouterr()


def stdin(content):
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def read_lines(path):
    return json_lines(path.read_text())


# --- ask ---


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


def test_ask_marks_by_colour_on_a_terminal(capsys, folder, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = output(capsys, "ask", folder, "--question", QUESTION, "--context", CONTEXT, "--no-answer", "False").out
    assert "\x1b[1;7m" in out
    assert ">>>" not in out


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


def test_ask_answers_questions_line_by_line_until_an_empty_one(capsys, folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", stdin(f"{QUESTION}\nWhen?\n\nNever read\n".encode()))
    found = json_lines(output(capsys, "ask", folder, "--context", CONTEXT, "--json").out)
    assert [line["question"] for line in found] == [QUESTION, "When?"]
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
    monkeypatch.setattr("sys.stdin", stdin(text.encode()))
    assert json_lines(output(capsys, "ask", folder, *asked).out) == [line]


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


def test_a_long_context_is_shown_around_the_answer(capsys, folder):
    long = "many words " * 400
    out = output(capsys, "ask", folder, "--question", QUESTION, "--context", long, "--no-answer", "False").out
    marked = out.splitlines()[0]
    assert ">>>" in marked
    assert "…" in marked
    assert len(marked) < 1200


# --- predict ---


def test_predict_writes_a_line_an_example_in_order(predicted, folder):
    found = read_lines(predicted / "out.jsonl")
    rows = tiny.sample_rows("validation")[:40]
    wanted = Predictor.from_pretrained(folder, device="cpu")(list(rows))
    assert [line["id"] for line in found] == [row["id"] for row in rows]
    assert [{key: line[key] for key in wanted[0]} for line in found] == wanted
    for line, row in zip(found, rows, strict=True):
        assert line["best_span"] in row["context"]
        assert (line["answer"] == "") == (line["null_odds"] > 0)
        assert line["answer"] in {"", line["best_span"]}


def test_predict_writes_several_answers_and_a_summary(capsys, folder, tmp_path):
    path = tmp_path / "out.jsonl"
    flags = ("--max-examples", "5", "--top-k", "3", "--no-answer", "1e6", "--json")
    summary = json.loads(output(capsys, "predict", folder, "sample", path, *flags).out)
    assert summary["examples"] == 5
    assert summary["out"] == str(path)
    for line in read_lines(path):
        assert len(line["answers"]) == 3
        assert line["answers"][0]["answer"] == line["answer"] == line["best_span"] != ""


def test_predict_answers_examples_without_references(capsys, folder, tmp_path):
    data, path = tmp_path / "data.jsonl", tmp_path / "out.jsonl"
    data.write_text(json.dumps({"id": "a", "question": QUESTION, "context": CONTEXT}))
    output(capsys, "predict", folder, data, path)
    assert [line["id"] for line in read_lines(path)] == ["a"]


def test_a_failed_prediction_keeps_what_was_done(capsys, folder, tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    monkeypatch.setattr("qa.cli.predict.records", lambda *_: iter([object()]))
    with pytest.raises(TypeError):
        main(["predict", str(folder), "sample", str(path), "--max-examples", "2"])
    assert not path.exists()
    assert (tmp_path / "out.jsonl.part").exists()
    assert "cannot write" in output(capsys, "predict", folder, "sample", tmp_path / "no" / "out", status=1).err


def test_predict_writes_to_standard_output(capsys, folder, predicted):
    out, err = output(capsys, "predict", folder, predicted / "references.jsonl", "-")
    assert json_lines(out) == read_lines(predicted / "out.jsonl")
    assert "40 examples in" in err


def test_predict_goes_on_where_it_was_interrupted(capsys, folder, predicted, tmp_path, monkeypatch):
    """With the same lines as without an interruption; what is there is not overwritten unasked."""
    flags = ["predict", folder, predicted / "references.jsonl", tmp_path / "out"]
    for module in ("predict", "loading"):
        monkeypatch.setattr(f"qa.cli.{module}.AT_ONCE", 16)
    output(capsys, *flags[:3], tmp_path / "whole")
    made, calls = predict.records, iter(range(9))

    def interrupted(*given):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return made(*given)

    with monkeypatch.context() as patched:
        patched.setattr(predict, "records", interrupted)
        assert "--resume goes on from there" in output(capsys, *flags, status=130).err
    assert len(read_lines(tmp_path / "out.part")) == 32
    assert "wanted --resume or --overwrite" in output(capsys, *flags, status=2).err
    assert "made of something else: top_k" in output(capsys, *flags, "--resume", "--top-k", "2", status=2).err
    output(capsys, *flags, "--resume")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert "out exists" in output(capsys, *flags, status=2).err
    output(capsys, *flags, "--overwrite")


def test_output_that_a_code_page_lacks_is_escaped(monkeypatch, folder):
    """As in a Windows console: JSON stays JSON, and nothing is a traceback."""
    for flags in (["--json"], []):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
        monkeypatch.setattr(sys, "stdout", stream)
        text = "灯塔由拉格纳建造 🙂 łódź"
        assert main(["ask", str(folder), "--question", "谁?", "--context", text, "--top-k", "1", *flags]) == 0
        stream.flush()
        shown = stream.buffer.getvalue().decode("cp1252")
        assert shown
        assert not flags or json.loads(shown)


# --- score ---


def test_score_of_what_predict_wrote_is_the_official_score(capsys, predicted):
    scores = json.loads(output(capsys, "score", predicted / "references.jsonl", predicted / "out.jsonl", "--json").out)
    lines = {line["id"]: line for line in read_lines(predicted / "out.jsonl")}
    references = {row["id"]: row["answers"]["text"] for row in read_lines(predicted / "references.jsonl")}
    spans = {key: line["best_span"] for key, line in lines.items()}
    odds = {key: line["null_odds"] for key, line in lines.items()}
    assert scores == metrics.score(spans, references, null_odds=odds) | {"no_answer_threshold": None}
    assert {"exact", "f1", "HasAns_f1", "NoAns_f1", "best_f1", "best_f1_thresh"} <= scores.keys()


def test_score_tries_a_threshold(capsys, predicted):
    files = predicted / "references.jsonl", predicted / "out.jsonl"
    always = json.loads(output(capsys, "score", *files, "--threshold", "-1e9", "--json").out)
    assert always["NoAns_exact"] == 100.0
    assert always["HasAns_exact"] == 0.0


@pytest.fixture
def official(predicted, tmp_path):
    """The same predictions in the official v2.0 format."""
    lines = read_lines(predicted / "out.jsonl")
    texts, odds = tmp_path / "predictions.json", tmp_path / "null_odds.json"
    texts.write_text(json.dumps({line["id"]: line["answer"] for line in lines}))
    odds.write_text(json.dumps({line["id"]: line["null_odds"] for line in lines}))
    return texts, odds


def test_score_takes_the_official_formats_of_v2(capsys, predicted, official):
    texts, odds = official
    own = json.loads(output(capsys, "score", predicted / "references.jsonl", predicted / "out.jsonl", "--json").out)
    plain = json.loads(output(capsys, "score", predicted / "references.jsonl", texts, "--json").out)
    assert plain == {key: value for key, value in own.items() if not key.startswith("best_")}
    with_odds = ("--null-odds", odds, "--json")
    swept = json.loads(output(capsys, "score", predicted / "references.jsonl", texts, *with_odds).out)
    assert swept.keys() == own.keys()
    assert {key: swept[key] for key in plain} == plain


def test_score_of_v1_has_the_keys_of_v1(capsys, tmp_path):
    rows = [row for row in tiny.sample_rows("validation") if row["answers"]["text"]][:3]
    references, texts = tmp_path / "references.jsonl", tmp_path / "predictions.json"
    references.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    texts.write_text(json.dumps({row["id"]: row["answers"]["text"][0] for row in rows[:2]} | {rows[2]["id"]: "?"}))
    found = json.loads(output(capsys, "score", references, texts, "--json").out)
    assert found == {"exact_match": pytest.approx(200 / 3), "f1": pytest.approx(200 / 3)}
    shown = output(capsys, "score", references, texts).out
    assert "exact_match" in shown
    assert "66.67" in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "line 1 is not JSON"),
        ("[1]", "wanted an object with texts id and answer"),
        ('{"id": "a"}', "wanted an object with texts id and answer"),
        ('{"id": "a", "answer": "x"}\n\n{"id": "a", "answer": "y"}', "line 3: id 'a' is there twice"),
        ('{"a": 3}', "example 'a' has 3"),
        ('{"a": "x"}', "a prediction but no reference"),
    ],
)
def test_score_says_what_is_wrong_with_a_file(capsys, predicted, tmp_path, content, message):
    path = tmp_path / "predictions"
    path.write_text(content)
    assert message in output(capsys, "score", predicted / "references.jsonl", path, status=1).err


def test_score_needs_what_it_needs(capsys, predicted, official, tmp_path):
    references = predicted / "references.jsonl"
    assert "null odds" in output(capsys, "score", references, official[0], "--threshold", "0", status=1).err
    assert "cannot read" in output(capsys, "score", references, tmp_path / "none", status=1).err
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps({"id": "a", "question": QUESTION, "context": CONTEXT}))
    assert "no references" in output(capsys, "score", bare, official[0], status=1).err


# --- inspect ---


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


# --- calibrate ---


def test_calibrate_saves_what_does_better_with_the_model(capsys, tmp_path):
    folder = saved(tmp_path / "model", replace(SETTINGS, temperature=0.1))
    before = Predictor.from_pretrained(folder)(question=QUESTION, context=CONTEXT, no_answer=0.0)
    report = json.loads(output(capsys, "calibrate", folder, "sample", "--max-examples", "60", "--json").out)
    settings = load_settings(folder)
    assert settings == replace(SETTINGS, no_answer_threshold=report["threshold"], temperature=report["temperature"])
    assert settings.temperature != 0.1
    assert report["fitted_examples"] + report["measured_examples"] == 60
    assert {"exact", "f1", "calibration_error", "area", "log_loss"} <= report["fitted"].keys()
    after = Predictor.from_pretrained(folder)(question=QUESTION, context=CONTEXT, no_answer=0.0)
    assert after["answer"] == before["answer"]
    assert after["score"] != before["score"]


def test_calibrate_keeps_what_it_cannot_better_and_says_why(capsys, tmp_path):
    folder = saved(tmp_path / "model")
    content = (folder / SETTINGS_FILE).read_bytes()
    shown = output(capsys, "calibrate", folder, "sample", "--max-examples", "12").out
    assert "expected calibration error" in shown
    assert "kept as it was: found 12 examples; wanted 50 or more" in " ".join(shown.split())
    assert "saved in" not in shown
    assert (folder / SETTINGS_FILE).read_bytes() == content


def test_calibrate_does_not_save_unless_it_can_or_may(capsys, folder, tmp_path):
    content = (folder / SETTINGS_FILE).read_bytes()
    output(capsys, "calibrate", folder, "sample", "--max-examples", "10", "--no-save")
    assert (folder / SETTINGS_FILE).read_bytes() == content
    assert "no folder to save into" in output(capsys, "calibrate", "some/hub-id", "sample", status=2).err
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps({"id": "a", "question": QUESTION, "context": CONTEXT}))
    assert "no references" in output(capsys, "calibrate", folder, bare, status=1).err


# --- statuses ---


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["answer"],
        ["ask"],
        ["ask", "folder", "--no-such-flag"],
        ["predict", "folder", "sample"],
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--context", "c", "--file", "f", "--question", "q"], []])
def test_flags_that_do_not_go_together_exit_with_2(capsys, flags):
    assert output(capsys, "ask", "folder", *flags, status=2).err.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask", "{folder}", "--question", " ", "--context", "c"], "question is ' '"),
        (["ask", "{folder}", "--question", "q", "--file", "/none"], "cannot read /none"),
        (["ask", "/none", "--question", "q", "--context", "c"], "model '/none': no such folder"),
        (["ask", "{folder}", "--question", "q", "--context", "c", "--device", "gpu7"], "device is 'gpu7'"),
        (["predict", "{folder}", "/none.json", "out"], "no such file"),
        (["inspect", "/none.json"], "no such file"),
        (["inspect", "sample", "--model", "/none"], "no such folder"),
    ],
)
def test_errors_are_one_line_without_a_traceback_and_exit_with_1(capsys, folder, arguments, message):
    found = output(capsys, *(argument.format(folder=folder) for argument in arguments), status=1).err
    assert found.startswith("error: ")
    assert message in found
    assert "Traceback" not in found


@pytest.mark.parametrize(("command", "extra"), [("serve", "serve"), ("export", "onnx"), ("compare", "experiments")])
def test_a_command_names_the_extra_that_is_not_installed(command, extra, capsys, folder, monkeypatch):
    requirements = PROJECT["optional-dependencies"][extra]
    packages = [requirement.split(">")[0].replace("-", "_") for requirement in requirements]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in packages else find(name))
    error = output(capsys, command, folder, status=1).err
    assert error == f"error: not installed: {', '.join(packages)}; install them with: pip install 'qa[{extra}]'\n"


def test_an_interruption_exits_with_130(capsys, folder, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("qa.cli.ask.run", interrupt)
    output(capsys, "ask", folder, status=130)


def test_help_needs_neither_torch_nor_transformers():
    command = (
        "import sys; from qa.cli.main import main\ntry: main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    for name in ("ask", "predict", "score", "inspect", "calibrate"):
        assert name in found.stdout


def test_the_script_is_the_command_line():
    module, function = PROJECT["scripts"]["qa"].split(":")
    assert getattr(importlib.import_module(module), function) is main


@pytest.mark.processes
def test_python_m_qa_is_the_command_line(folder):
    command = [sys.executable, "-m", "qa", "ask", str(folder), "--question", QUESTION, "--json"]
    found = subprocess.run(command, input=CONTEXT, capture_output=True, text=True, check=True)
    (line,) = json_lines(found.stdout)
    answers = Predictor.from_pretrained(folder, device="cpu")(question=QUESTION, context=CONTEXT, top_k=5)
    assert [answer["answer"] for answer in line["answers"]] == [answer["answer"] for answer in answers]
    np.testing.assert_allclose([one["score"] for one in line["answers"]], [one["score"] for one in answers], rtol=1e-5)
    assert found.stderr == ""
