"""The GPU's benchmark goes its way without one, at tiny sizes: nothing fails on the first machine that has one."""

import json

import pytest

from tests.benchmarks import gpu


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    def run(*only):
        command = ["gpu", "--dry-run", "--output", str(tmp_path), "--only", *only]
        monkeypatch.setattr("sys.argv", command)
        status = gpu.main()
        return status, json.loads((tmp_path / "gpu.json").read_text())

    return run


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_accelerator")
def test_training_and_evaluation_of_both_sides_are_measured(arguments):
    status, found = arguments("fp32, batch 32", "evaluation", "padded", "packed, bf16, batch 32")
    assert status == 0
    assert {(one["job"], one["batches"]) for one in found} == {
        ("training", "length groups"),
        ("training", "packed"),
        ("training", "padded to 384"),
        ("evaluation", "length groups"),
        ("evaluation", "packed"),
        ("evaluation", "in order"),
    }
    assert all(one["features_per_second"] > 0 for one in found)


def test_what_fails_is_a_line_of_the_table_and_the_status(arguments, monkeypatch):
    monkeypatch.setattr(gpu, "contestant", lambda *_, **__: 1 / 0)
    status, found = arguments("fp32")
    assert status == 1
    assert [one["error"] for one in found] == ["ZeroDivisionError: division by zero"]


def test_features_have_the_lengths_of_squad():
    features, labels = gpu.features_of(2000, vocabulary=100)
    assert features.lengths.mean() == pytest.approx(170.75, rel=0.03)
    assert features.lengths.max() <= 384
    assert (labels.last < features.size).all()
