"""`qa predict`: a line for every example, whatever happens meanwhile."""

import json

import pytest

from qa.cli import predict
from qa.cli.main import main
from qa.inference.predictor import Predictor
from tests.support import tiny
from tests.support.commands import json_lines, output, read_lines
from tests.support.predictors import CONTEXT, QUESTION, saved


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


def test_predict_writes_all_answers_beside_the_best(capsys, folder, tmp_path):
    path = tmp_path / "out.jsonl"
    flags = ("--max-examples", "4", "--answers", "all", "--no-answer", "30")
    output(capsys, "predict", folder, "sample", path, *flags)
    lines, rows = read_lines(path), tiny.sample_rows("validation")
    reader = Predictor.from_pretrained(folder, device="cpu")
    contexts = {row["id"]: row for row in rows}
    for line in lines:
        wanted = reader(contexts[line["id"]], answers="all", no_answer=30.0)
        assert [(one["answer"], one["start"]) for one in line["answers"]] == [
            (one["answer"], one["start"]) for one in wanted
        ]
        assert line["answer"] == wanted[0]["answer"]
    output(capsys, "predict", folder, "sample", tmp_path / "none.jsonl", *flags[:-1], "-50")
    assert [(line["answer"], line["answers"]) for line in read_lines(tmp_path / "none.jsonl")] == [("", [])] * 4


def test_predict_answers_examples_without_references(capsys, folder, tmp_path):
    data, path = tmp_path / "data.jsonl", tmp_path / "out.jsonl"
    data.write_text(json.dumps({"id": "a", "question": QUESTION, "context": CONTEXT}))
    output(capsys, "predict", folder, data, path)
    assert [line["id"] for line in read_lines(path)] == ["a"]


def test_a_failed_prediction_keeps_what_was_done(capsys, folder, tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    monkeypatch.setattr("qa.cli.predict.lines_of", lambda *_: [object()])
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
    for module in ("predict", "answering"):
        monkeypatch.setattr(f"qa.cli.{module}.AT_ONCE", 16)
    output(capsys, *flags[:3], tmp_path / "whole")
    made, calls = predict.lines_of, iter(range(9))

    def interrupted(*given):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return made(*given)

    with monkeypatch.context() as patched:
        patched.setattr(predict, "lines_of", interrupted)
        assert "--resume goes on from there" in output(capsys, *flags, status=130).err
    assert len(read_lines(tmp_path / "out.part")) == 32
    assert "wanted --resume or --overwrite" in output(capsys, *flags, status=2).err
    assert "made of something else: top_k" in output(capsys, *flags, "--resume", "--top-k", "2", status=2).err
    output(capsys, *flags, "--resume")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert "out exists" in output(capsys, *flags, status=2).err
    output(capsys, *flags, "--overwrite")


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
