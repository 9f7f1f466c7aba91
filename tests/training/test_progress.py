"""What a run knows of itself: the best score, evaluations without a better one, what a checkpoint holds."""

import dataclasses
import json

import pytest

from qa.errors import ConfigError
from qa.training.progress import Progress, StepReport


def test_best_is_the_highest_of_the_chosen_score():
    progress = Progress()
    assert progress.note_scores({"exact": 10.0, "f1": 20.0}, None)
    assert not progress.note_scores({"exact": 30.0, "f1": 20.0}, None)
    assert progress.note_scores({"exact": 5.0, "f1": 20.5}, None)
    assert progress.best_score == 20.5
    exact = Progress()
    assert [exact.note_scores({"exact": value, "f1": 0.0}, "exact") for value in (1.0, 3.0, 2.0)] == [True, True, False]


def test_best_threshold_score_counts_with_unanswerable_questions():
    progress = Progress()
    progress.note_scores({"f1": 10.0, "best_f1": 50.0}, None)
    assert progress.best_score == 50.0


def test_score_of_zero_is_a_score():
    progress = Progress()
    assert progress.note_scores({"f1": 0.0}, None)
    assert not progress.note_scores({"f1": 0.0}, None)


def test_newest_model_is_the_best_without_references():
    progress = Progress()
    assert progress.note_scores(None, None)
    progress.step = 3
    assert progress.note_scores(None, "f1")
    assert progress.best_score is None
    assert progress.best_steps(2) == [3, 0]


def test_unknown_score_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'exact_match'; wanted one of exact, f1"):
        Progress().note_scores({"exact": 1.0, "f1": 1.0}, "exact_match")


def test_run_stalls_after_patience_evaluations_without_a_better_score():
    progress = Progress()
    stalled = []
    for score in (5.0, 4.0, 6.0, 6.0, 5.0):
        progress.note_scores({"f1": score}, None)
        stalled.append(progress.has_stalled(2))
    assert stalled == [False, False, False, False, True]
    assert not progress.has_stalled(None)


def test_the_best_steps_are_those_of_the_best_scores_the_earlier_first():
    progress = Progress()
    for step, score in ((2, 5.0), (4, 7.0), (6, 7.0), (8, 6.0)):
        progress.step = step
        progress.note_scores({"f1": score}, None)
    assert progress.best_steps(3) == [4, 6, 8]
    assert progress.best_steps(9) == [4, 6, 8, 2]
    progress.note_scores({"f1": 1.0}, None)  # step 8 again, as after a resume
    assert progress.best_steps(9) == [4, 6, 2, 8]


def test_what_is_forgotten_is_the_best_and_not_the_step_and_that_is_said(caplog):
    caplog.set_level("INFO", logger="qa")
    progress = Progress(step=4)
    progress.forget_best()
    assert not caplog.text
    progress.note_scores({"f1": 50.0}, None)
    progress.forget_best()
    assert "best score of before, 50.00, does not count" in caplog.text
    assert (progress.step, progress.best_score, progress.best_scores, progress.best_steps(9)) == (4, None, {}, [])
    assert progress.note_scores({"f1": 1.0}, None)


def test_progress_comes_back_from_json_and_what_is_unknown_stays():
    progress = Progress(step=7, batch_limit=4)
    progress.note_scores({"f1": 50.0}, None)
    place = {"number": 7, "epoch": 1.5, "ends_epoch": False, "evaluation_due": False, "save_due": True}
    progress.unlogged = [StepReport(**place, loss=2.5, own_seconds=[1.5, 2.0])]
    values = json.loads(json.dumps(dataclasses.asdict(progress)))
    again = Progress()
    again.restore(values | {"of another version": 1})
    assert again == progress
    older = Progress(step=3)
    older.restore({name: values[name] for name in ("step", "best_score")})
    assert (older.step, older.best_score, older.evaluated) == (7, 50.0, [])
    assert not hasattr(older, "of another version")


def test_numbers_that_come_later_are_asked_for_once():
    asked = []
    report = StepReport(number=1, epoch=0.1, ends_epoch=False, evaluation_due=False, save_due=False)
    assert (report.loss, report.gradient_norm, report.padded_tokens, report.trained) == (0.0, 0.0, 0, True)
    report.read_later(loss=lambda: asked.append("loss") or 2.5)
    assert asked == []
    assert [report.loss, report.loss] == [2.5, 2.5]
    assert asked == ["loss"]
