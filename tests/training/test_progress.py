"""What a run knows of itself: the best score, evaluations without a better one, what a checkpoint holds."""

import pytest

from qa.errors import ConfigError
from qa.training.progress import Progress


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
    assert progress.note_scores(None, "f1")
    assert progress.best_score is None


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
