"""The whole pipeline in one process: what a run leaves behind, and what the next run can do with it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

import train_qa
from qa.cli import main as commands
from qa.errors import CheckpointError, DataError
from qa.presets import parse_config
from tests.support import tiny

FILES = {
    ".lock",
    "log.txt",
    "config.json",
    "environment.json",
    "metrics.json",
    "predictions.json",
    "nbest_predictions.json",
    "null_odds.json",
    "data_problems.jsonl",
}
OFFICIAL_V2 = {"exact", "f1", "total", "best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"}
SHORT = ["--features.max-length", "96", "--features.doc-stride", "24", "--features.max-question-length", "24"]
QUIET = ["--tracking.report-to", "none", "--max-train-examples", "24", "--max-validation-examples", "9"]


pytestmark = pytest.mark.usefixtures("fresh_accelerator")


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """Folders of tiny readers by family, without dropout so that ways of cutting a batch can be compared."""

    def folder(family, **settings):
        path = tmp_path_factory.getbasetemp() / f"reader-{family}-{len(settings)}"
        return path if path.exists() else tiny.save_reader(path, family, **settings)

    return folder


def run(tmp_path, model, *flags, name="run"):
    folder = tmp_path / name
    cache = ["--features.cache-dir", str(tmp_path / "cache")]
    train_qa.run(parse_config(["--model", str(model), "--output-dir", str(folder), *cache, *SHORT, *QUIET, *flags]))
    return folder


def read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_a_run_leaves_a_complete_folder_whose_model_loads(tmp_path, readers):
    folder = run(tmp_path, readers("bert"), "--training.max-steps", "3")
    assert {path.name for path in folder.iterdir()} == FILES | {
        "attempts.jsonl",
        "history.jsonl",
        "checkpoints",
        "model",
    }
    scores = read(folder, "metrics.json")
    assert set(scores) >= OFFICIAL_V2 | {"HasAns_f1", "NoAns_f1"}
    assert scores["total"] == 9
    assert set(read(folder, "predictions.json")) == set(read(folder, "null_odds.json"))
    AutoTokenizer.from_pretrained(folder / "model")
    model = AutoModelForQuestionAnswering.from_pretrained(folder / "model")
    untrained = load_file(readers("bert") / "model.safetensors")
    assert not torch.equal(model.state_dict()["qa_outputs.weight"], untrained["qa_outputs.weight"])
    assert read(folder, "environment.json")["processes"] == 1


def test_evaluating_the_saved_model_repeats_its_scores_and_training_goes_on_from_it(tmp_path, readers):
    first = run(tmp_path, readers("bert"), "--training.max-steps", "2")
    fixed = ["--decoding.no-answer-threshold", "0"]  # else that of the first run, fitted there
    again = run(tmp_path, first / "model", "--training.max-steps", "0", *fixed, name="again")
    for name in ("metrics.json", "predictions.json", "null_odds.json", "nbest_predictions.json"):
        assert read(again, name) == read(first, name), name
    assert not (again / "model").exists()
    further = run(tmp_path, first / "model", "--training.max-steps", "2", name="further")
    before, after = (load_file(f / "model" / "model.safetensors") for f in (first, further))
    assert not torch.equal(before["qa_outputs.weight"], after["qa_outputs.weight"])


def test_two_commands_have_one_answer(tmp_path, readers):
    """A reader that knows "no answer" says it where every question has one, evaluated or asked."""
    model = run(tmp_path, readers("bert"), "--training.max-steps", "2") / "model"
    rows = [row for row in tiny.sample_rows("validation") if row["answers"]["text"]][:9]
    data = tmp_path / "answerable.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for asked in ((), ("False",), ("True",)):
        flags = (*(("--decoding.no-answer", *asked) if asked else ()), "--validation-data", str(data))
        folder = run(tmp_path, model, "--training.max-steps", "0", *flags, name=f"evaluated{asked}")
        out = tmp_path / f"predicted{asked}"
        answer = ("--no-answer", *asked) if asked else ()
        assert commands.main(["predict", str(model), str(data), str(out), "--max-question-length", "24", *answer]) == 0
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert {line["id"]: line["answer"] for line in lines} == read(folder, "predictions.json")
        assert read(folder, "metrics.json")["no_answer_possible"] == (asked != ("False",))


def test_the_fitted_threshold_is_used_by_the_next_run(tmp_path, readers):
    first = run(tmp_path, readers("bert"), "--training.max-steps", "2")
    fitted = read(first, "metrics.json")
    again = run(tmp_path, first / "model", "--training.max-steps", "0", name="again")
    scores = read(again, "metrics.json")
    assert scores["no_answer_threshold"] == fitted["fitted_threshold"]
    assert scores["f1"] == pytest.approx(fitted["fitted_f1"], abs=1e-9)


def test_without_references_predictions_are_written_and_no_scores(tmp_path, readers):
    rows = [{key: row[key] for key in ("id", "question", "context")} for row in tiny.sample_rows("validation")]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = run(tmp_path, readers("bert"), "--training.max-steps", "0", "--validation-data", str(path))
    assert {path.name for path in folder.iterdir()} == FILES - {"metrics.json"}
    predictions = read(folder, "predictions.json")
    assert len(predictions) == 9
    assert all(predictions.values()), "a reader that knows of no impossible questions answers all"


def test_training_without_references_or_without_validation_data(tmp_path, readers):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"id": "a", "question": "Who?", "context": "Ada."}) + "\n")
    with pytest.raises(DataError, match="answers"):
        run(tmp_path, readers("bert"), "--train-data", str(path), "--validation-data", "none")
    folder = run(tmp_path, readers("bert"), "--validation-data", "None", "--training.max-steps", "1", name="blind")
    assert (folder / "model" / "model.safetensors").exists()
    assert not (folder / "metrics.json").exists()


@pytest.mark.parametrize("family", ["distilbert", "roberta", "modernbert", "xlnet"])
def test_families_train_resume_and_evaluate_with_their_tokenizers_real_behaviour(tmp_path, readers, family):
    flags = ["--training.max-steps", "2", "--training.batch-size", "4", "--training.save-every", "1"]
    flags += ["--training.keep-last", "2"]
    folder = run(tmp_path, readers(family), *flags)
    last = folder / "checkpoints" / "step-00000002" / "model.safetensors"
    whole = load_file(last)
    shutil.rmtree(last.parent)
    run(tmp_path, readers(family), *flags, "--resume")
    assert all(torch.equal(value, whole[name]) for name, value in load_file(last).items())
    contexts = {row["id"]: row["context"] for row in tiny.sample_rows("validation")}
    for key, answers in read(folder, "nbest_predictions.json").items():
        for answer in answers:
            if answer["start"] is not None:
                assert contexts[key][answer["start"] : answer["end"]] == answer["text"]


def test_nested_json_and_parquet_give_the_same_files(tmp_path, readers):
    sample = Path(train_qa.__file__).parent / "qa" / "sample" / "validation.json"
    parquet = tmp_path / "validation.parquet"
    tiny.examples(*tiny.sample_rows("validation")).to_parquet(parquet)
    folders = [
        run(tmp_path, readers("bert"), "--training.max-steps", "0", "--validation-data", str(source), name=name)
        for name, source in (("json", sample), ("parquet", parquet))
    ]
    for name in ("metrics.json", "nbest_predictions.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_a_stopped_run_that_is_resumed_equals_the_uninterrupted_one(tmp_path, readers):
    """Dropout on, length groups on, accumulation, stopped inside the second epoch."""
    flags = ["--training.batch-size", "2", "--training.accumulation-steps", "2", "--training.max-steps", "26"]
    flags += ["--training.save-every", "17", "--training.keep-last", "9", "--training.learning-rate", "1e-3"]
    whole = run(tmp_path, readers("bert"), *flags, name="whole")
    stopped = tmp_path / "stopped"
    shutil.copytree(whole / "checkpoints" / "step-00000017", stopped / "checkpoints" / "step-00000017")
    run(tmp_path, readers("bert"), *flags, "--resume", name="stopped")
    for file in ("model/model.safetensors", "checkpoints/step-00000026/optimizer.safetensors"):
        one, two = load_file(whole / file), load_file(stopped / file)
        assert set(one) == set(two)
        assert all(torch.equal(one[name], two[name]) for name in one), file
    for name in ("metrics.json", "predictions.json", "nbest_predictions.json"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


def test_a_used_run_folder_is_refused(tmp_path, readers):
    run(tmp_path, readers("bert"), "--training.max-steps", "1")
    with pytest.raises(CheckpointError, match="--resume"):
        run(tmp_path, readers("bert"), "--training.max-steps", "1")


def test_training_stops_when_the_score_has_stalled(tmp_path, readers):
    """And saves its last step, so that resuming finds nothing left to do."""
    flags = ["--training.evaluate-every", "1", "--training.patience", "2", "--training.learning-rate", "1e-9"]
    flags += ["--training.max-steps", "20", "--training.save-every", "0"]
    folder = run(tmp_path, readers("bert"), *flags)
    run(tmp_path, readers("bert"), *flags, "--resume")
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000003"]


def test_errors_are_one_line_and_status_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train_qa.py", "--model", str(tmp_path / "none"), "--output-dir", str(tmp_path)])
    assert train_qa.main() == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: model")
    assert "Traceback" not in printed
