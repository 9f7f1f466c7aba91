"""`qa errors`: what it says of a run, as text, JSON and page."""

import json

import pytest

from qa.cli.main import main
from qa.config import DataConfig
from tests.support import tiny
from tests.support.finished import ROWS, answers, write_data, write_run


def candidates(row, text):
    """The n-best records of an answer at its first place, "no answer" after it."""
    start = row["context"].find(text) if text else None
    spans = [{"text": text, "start": start, "end": start + len(text), "probability": 0.75}] if text else []
    return [*spans, {"text": "", "start": None, "end": None, "probability": 0.25}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on 60 examples: a third right, a third the first words of the context, a third "no answer"."""
    where = tmp_path_factory.mktemp("errors")
    data = write_data(where / "data.jsonl")
    tiny.save_reader(where / "reader")
    right = answers(lambda at: at % 3 == 0)
    found = {
        row["id"]: right[row["id"]] if at % 3 == 0 else row["context"][:8].strip() if at % 3 == 1 else ""
        for at, row in enumerate(ROWS)
    }
    history = [(10, 5.0, 20.0), (20, 9.0, 31.0)]
    folder = write_run(where / "run", data, found, history=history, model=str(where / "reader"))
    rows = {row["id"]: row for row in ROWS}
    n_best = {key: candidates(rows[key], text) for key, text in found.items()}
    (folder / "nbest_predictions.json").write_text(json.dumps(n_best))
    return folder


def output(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main(["errors", *map(str, arguments)]) == status
    return capsys.readouterr()


def read(capsys, *arguments):
    return json.loads(output(capsys, *arguments, "--json").out)


def test_all_answers_are_counted_by_kind(capsys, run):
    found = read(capsys, run)
    scores = json.loads((run / "metrics.json").read_text())
    assert found["examples"] == len(ROWS)
    assert 100 * found["exact"][0] == pytest.approx(scores["exact"])
    assert 100 * found["f1"][0] == pytest.approx(scores["f1"])
    assert sum(found["kinds"].values()) == len(ROWS)
    assert found["kinds"]["right"] == round(scores["exact"] * len(ROWS) / 100)
    assert min(found["kinds"][kind] for kind in ("missed", "invented", "elsewhere")) > 3
    assert {one["kind"] for one in found["slices"]} >= {"question word", "windows", "answerable"}


def test_kinds_filter_and_a_number_bounds(capsys, run):
    assert len(read(capsys, run)["errors"]) == 10
    found = read(capsys, run, "--kind", "missed", "--examples", "3")["errors"]
    assert [one["kind"] for one in found] == ["missed"] * 3
    assert all(one["answer"] == "" and one["references"] for one in found)
    both = read(capsys, run, "--kind", "missed", "invented", "--examples", "6")["errors"]
    assert {one["kind"] for one in both} == {"missed", "invented"}


def test_answers_and_references_are_marked_in_the_context(capsys, run):
    text = output(capsys, run, "--kind", "elsewhere", "--examples", "1").out
    one = read(capsys, run, "--kind", "elsewhere", "--examples", "1")["errors"][0]
    assert f"{one['id']} (elsewhere" in text
    assert f">>>{one['answer']}<<<" in text
    assert f"[[[{one['references'][0]}]]]" in text


def test_answers_are_coloured_on_a_terminal(capsys, run, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = output(capsys, run, "--kind", "elsewhere", "--examples", "1").out
    assert "\x1b[1;7m" in text
    assert ">>>" not in text


def test_the_page_has_errors_right_answers_and_the_history(capsys, run, tmp_path):
    path = tmp_path / "page.html"
    assert str(path) in output(capsys, run, "--html", path).out
    html = path.read_text(encoding="utf-8")
    assert html.count("<article") == len(ROWS)
    assert html.count('data-kind="right"') == read(capsys, run)["kinds"]["right"]
    assert "F1: 31 at 20" in html
    output(capsys, run, "--html", path, "--examples", "8", "--kind", "missed")
    html = path.read_text(encoding="utf-8")
    assert (html.count('data-kind="missed"'), html.count('data-kind="right"')) == (6, 2)


def test_references_may_come_from_elsewhere(capsys, run, tmp_path):
    other = [dict(row, answers={"text": [], "answer_start": []}) for row in ROWS]
    found = read(capsys, run, "--data", write_data(tmp_path / "other.jsonl", other))
    assert found["kinds"]["missed"] == 0
    assert found["kinds"]["invented"] > read(capsys, run)["kinds"]["invented"]


def test_a_split_is_that_of_the_other_data(capsys, run, tmp_path):
    write_data(tmp_path / "validation.jsonl")
    write_data(tmp_path / "test.jsonl", ROWS[:3])
    assert read(capsys, run, "--data", tmp_path)["examples"] == len(ROWS)
    assert "57 of the 60 ids" in output(capsys, run, "--data", tmp_path, "--split", "test", status=1).err


def test_what_cannot_be_read_is_named(capsys, run, tmp_path):
    assert "is no run folder" in output(capsys, tmp_path, status=1).err
    copy = write_run(tmp_path / "copy", write_data(tmp_path / "data.jsonl"), {ROWS[0]["id"]: "x"})
    assert "nbest_predictions.json" in output(capsys, copy, status=1).err
    bare = [{key: row[key] for key in ("id", "question", "context")} for row in ROWS]
    assert "no references" in output(capsys, run, "--data", write_data(tmp_path / "bare.jsonl", bare), status=1).err


def test_windows_are_left_out_without_the_tokenizer(capsys, run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for file in run.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((run / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model": "/no/such/model"}))
    assert "windows" not in {one["kind"] for one in read(capsys, folder)["slices"]}


def test_a_run_that_was_to_find_all_answers_is_one_line(capsys, tmp_path):
    data = write_data(tmp_path / "data.jsonl")
    several = write_run(tmp_path / "all", data, answers(lambda _: True), data=DataConfig(answers="all"))
    found = output(capsys, several, status=1).err
    assert found.startswith(f"error: {several} was to find all answers (data.answers all)")
    assert found.endswith("qa score --answers all scores its all_answers.json\n")
