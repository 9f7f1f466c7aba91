"""Folds and what their runs found: every example once, and scores as the official script has them."""

import json

import pytest

from qa import metrics
from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.errors import ComparisonError, DataError
from qa.experiments.crossval import join_runs, trials_of, write_folds
from qa.experiments.finished import read_run
from tests.support.finished import ROWS, answers, write_data, write_run


@pytest.fixture
def examples(tmp_path):
    return load_examples(str(write_data(tmp_path / "data.jsonl")), split="train", config=DataConfig())


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_example_is_held_out_once_and_no_context_is_on_both_sides(examples, tmp_path):
    folds = write_folds(examples, tmp_path / "folds", count=3, seed=0)
    held_out = [row["id"] for fold in folds for row in rows(fold.validation)]
    assert sorted(held_out) == sorted(row["id"] for row in ROWS)
    for number, fold in enumerate(folds, start=1):
        train, validation = rows(fold.train), rows(fold.validation)
        assert (fold.number, fold.examples) == (number, len(validation))
        assert len(train) + len(validation) == len(ROWS)
        assert not {row["context"] for row in train} & {row["context"] for row in validation}


def test_folds_are_those_of_the_seed(examples, tmp_path):
    found = [
        [rows(fold.validation) for fold in write_folds(examples, tmp_path / name, count=2, seed=seed)]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert found[0] == found[1] != found[2]


def test_examples_without_references_have_no_folds(tmp_path):
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps({"id": "a", "question": "q", "context": "c"}))
    examples = load_examples(str(bare), split="train", config=DataConfig())
    with pytest.raises(DataError, match="no references"):
        write_folds(examples, tmp_path / "folds", count=2, seed=0)


def test_a_run_of_a_fold_is_evaluated_at_its_end_only(examples, tmp_path):
    folds = write_folds(examples, tmp_path / "folds", count=2, seed=0)
    trials = trials_of(folds, ["few-labels"])
    assert [dict(trial.setting) for trial in trials] == [{"fold": 1}, {"fold": 2}]
    assert {trial.flags["training.evaluate-every"] for trial in trials} == {0}
    assert trials[0].flags["train-data"] == str(folds[0].train)
    other = trials_of(folds, ["demo"])
    assert not {trial.name for trial in trials} & {trial.name for trial in other}


@pytest.fixture
def runs(examples, tmp_path):
    """The runs of two folds, which are right on every third example; odds stand for "no answer" on every fifth."""
    folders = []
    for fold in write_folds(examples, tmp_path / "folds", count=2, seed=0):
        held_out = rows(fold.validation)
        found = answers(lambda at: at % 3 == 0, held_out)
        folder = write_run(tmp_path / f"run-{fold.number}", fold.validation, found, rows=held_out)
        spans = {key: [{"text": text or "x", "start": 0, "end": 1}] for key, text in found.items()}
        (folder / "nbest_predictions.json").write_text(json.dumps(spans))
        odds = {key: 1.0 if at % 5 == 0 else -1.0 for at, key in enumerate(found)}
        (folder / "null_odds.json").write_text(json.dumps(odds))
        folders.append(folder)
    return folders


def test_scores_are_the_official_ones_over_all_examples(examples, runs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    found = join_runs(runs, examples, out, source="data.jsonl")
    spans, odds = ({}, {})
    for folder in runs:
        n_best = json.loads((folder / "nbest_predictions.json").read_text())
        spans |= {key: one[0]["text"] for key, one in n_best.items()}
        odds |= json.loads((folder / "null_odds.json").read_text())
    references = {row["id"]: row["answers"]["text"] for row in ROWS}
    order = [row["id"] for row in ROWS]
    assert found.scores == metrics.score(
        {key: spans[key] for key in order}, references, null_odds={key: odds[key] for key in order}, threshold=0.0
    )
    answered = {key: "" if odds[key] > 0 else spans[key] for key in order}
    exact = [100 * metrics.exact_match(answered[key], references[key]) for key in order]
    assert found.exact.mean == pytest.approx(sum(exact) / len(exact))
    assert found.exact.low < found.exact.mean < found.exact.high
    assert json.loads((out / "metrics.json").read_text()) == found.scores
    joined = read_run(out)
    assert list(joined.answers) == order
    assert (joined.config.train_data, joined.config.output_dir) == ("data.jsonl", out)


def test_answers_that_are_missing_or_doubled_are_refused(examples, runs, tmp_path):
    with pytest.raises(ComparisonError, match=rf"wanted one to each of {len(ROWS)}"):
        join_runs(runs[:1], examples, tmp_path, source="s")
    with pytest.raises(ComparisonError, match=rf"have \d+ answers to {len(ROWS)} examples"):
        join_runs([*runs, runs[0]], examples, tmp_path, source="s")
    (runs[0] / "null_odds.json").unlink()
    with pytest.raises(ComparisonError, match=r"cannot read .*null_odds\.json"):
        join_runs(runs, examples, tmp_path, source="s")
