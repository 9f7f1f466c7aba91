"""The best model so far: kept whole, with its settings."""

import json
from dataclasses import asdict, replace

import pytest
from safetensors import SafetensorError
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from qa.data.examples import Examples
from qa.errors import StorageError
from qa.evaluation.evaluator import Evaluation
from qa.modeling.reader import load_reader
from qa.modeling.settings import load_settings
from qa.run_folder.best_model import keep_best, keep_model
from qa.run_folder.paths import RunPaths
from tests.support import tiny
from tests.support.checkpoints import ROWS, SETTINGS, names, new_loop
from tests.support.scored import predictions
from tests.support.trainers import assert_same_weights, loop_for, weights


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_exported_model_loads_with_the_library_and_answers_alike(family, tmp_path):
    loop = loop_for(ROWS, family=family, max_steps=1)
    list(loop.steps())
    tokenizer = tiny.tokenizer(family)
    keep_model(RunPaths(tmp_path), loop, tokenizer, SETTINGS)
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "model")
    assert_same_weights(dict(model.state_dict()), weights(loop), rtol=0, atol=0)
    again = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "Where is Zürich?", "It is in  Switzerland."
    assert again(*text)["input_ids"] == tokenizer(*text)["input_ids"]
    assert load_settings(tmp_path / "model") == SETTINGS
    assert not {".bin", ".pt", ".pkl"} & {path.suffix for path in (tmp_path / "model").iterdir()}
    assert load_reader(str(tmp_path / "model")).settings == SETTINGS


def evaluation_of(f1):
    found = predictions([[1.0]], [0.0])
    return Evaluation(
        examples=Examples(rows=tiny.small(1)),
        predictions=replace(found, ids=["q"]),
        scores=None if f1 is None else {"f1": f1},
        null_possible=True,
        threshold=0.0,
        fitted_threshold=0.0,
        seconds=1.0,
    )


@pytest.mark.parametrize(
    ("count", "scores", "kept"),
    [
        (2, [10.0, 30.0, 20.0, 5.0], [2, 3]),
        (2, [10.0, 10.0, 10.0, 10.0], [1, 2]),
        (9, [10.0, 30.0, 20.0, 5.0], [1, 2, 3, 4]),
        (1, [10.0, 30.0, 20.0, 5.0], []),
        (2, [None, None, None, None], [3, 4]),
    ],
    ids=["the best two", "of equals the first", "all", "only the best", "without scores the newest"],
)
def test_the_best_models_are_kept_each_with_its_own_weights(count, scores, kept, tmp_path):
    """Compared with copies of the weights at every step."""
    loop = loop_for(ROWS, max_steps=4, keep_best=count, evaluates=True)
    paths, weights_at = RunPaths(tmp_path), {}
    for step, score in zip(loop.steps(), scores, strict=True):
        evaluation = evaluation_of(score)
        best = loop.progress.note_scores(evaluation.scores, None)
        keep_best(paths, loop, tiny.tokenizer(), SETTINGS, evaluation, best=best)
        weights_at[step.number] = {name: tensor.clone() for name, tensor in weights(loop).items()}
    assert [step for step in range(1, 5) if paths.model_of(step).is_dir()] == kept
    assert not kept or len(names(paths.models)) == len(kept)
    first = 4 if scores[0] is None else max(range(1, 5), key=lambda step: scores[step - 1])
    for folder, step in [(paths.model, first), *((paths.model_of(step), step) for step in kept)]:
        model = AutoModelForQuestionAnswering.from_pretrained(folder)
        assert_same_weights(dict(model.state_dict()), weights_at[step], rtol=0, atol=0)
        assert load_settings(folder) == SETTINGS


def test_a_run_that_was_taken_back_keeps_none_of_what_came_after(tmp_path):
    """Step 3 was the best, then the run is resumed from step 2, and does worse."""
    loop, paths = loop_for(ROWS, max_steps=4, keep_best=2, evaluates=True), RunPaths(tmp_path)

    def evaluated(step, score):
        loop.progress.step = step
        best = loop.progress.note_scores({"f1": score}, None)
        keep_best(paths, loop, tiny.tokenizer(), SETTINGS, evaluation_of(score), best=best)
        return asdict(loop.progress)

    evaluated(1, 10.0)
    saved = json.loads(json.dumps(evaluated(2, 30.0)))
    evaluated(3, 40.0)
    assert names(paths.models) == ["step-00000002", "step-00000003"]
    loop.progress.restore(saved)
    evaluated(3, 5.0)
    evaluated(4, 20.0)
    assert names(paths.models) == ["step-00000002", "step-00000004"]


def test_failed_export_leaves_the_earlier_model(tmp_path, monkeypatch):
    loop = new_loop(max_steps=1)
    keep_model(RunPaths(tmp_path), loop, tiny.tokenizer(), SETTINGS)
    before = names(tmp_path / "model")

    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(type(loop.model), "save_pretrained", full)
    with pytest.raises(StorageError, match=r"cannot write the model .*No space left"):
        keep_model(RunPaths(tmp_path), loop, tiny.tokenizer(), SETTINGS)
    assert names(tmp_path / "model") == before
    assert names(tmp_path) == ["model"]
