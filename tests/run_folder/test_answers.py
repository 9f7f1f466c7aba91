"""Answers find their places and probabilities in the n-best file."""

import json

import pytest

from qa.errors import DataError
from qa.evaluation.mistakes import Given
from qa.run_folder.answers import what_was_given
from qa.run_folder.paths import RunPaths


def record(text, start, probability):
    return {
        "text": text,
        "start": start,
        "end": None if start is None else start + len(text),
        "probability": probability,
    }


def test_an_answer_is_its_best_candidate(tmp_path):
    paths = RunPaths(tmp_path)
    listed = [record("b", 3, 0.5), record("", None, 0.25), record("a", 1, 0.15), record("a", 7, 0.1)]
    paths.n_best.write_text(json.dumps({"x": listed, "y": listed}))
    assert what_was_given({"x": "a", "y": "", "z": "unknown"}, paths) == {
        "x": Given(text="a", place=(1, 2), probability=0.15),
        "y": Given(text="", place=None, probability=0.25),
        "z": Given(text="unknown", place=None, probability=None),
    }


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nbest_predictions\.json, which says where"):
        what_was_given({}, RunPaths(tmp_path))
