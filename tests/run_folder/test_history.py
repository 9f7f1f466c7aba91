"""What a resumed run does again stands once in history and log; the clock goes on over attempts."""

import json

import pytest

from qa.run_folder.history import History, forget_later_lines
from qa.run_folder.paths import RunPaths
from qa.training.progress import Progress

LOG = """2026-01-01T00:00:00 INFO training on 3 examples
2026-01-01T00:00:01 INFO step 1/9 epoch 0.1 loss 4.0
2026-01-01T00:00:02 WARNING step 3: tracker wandb failed
2026-01-01T00:00:02 INFO step 2/9 epoch 0.2 loss 3.0
2026-01-01T00:00:02 INFO step 2: f1 10.00
2026-01-01T00:00:03 INFO step 3/9 epoch 0.3 loss 2.0
2026-01-01T00:00:03 INFO step 3"""


@pytest.fixture
def paths(tmp_path):
    found = RunPaths(tmp_path)
    history = History(found.history)
    for step in (1, 2):
        history.append({"step": step, "train/loss": float(step)})
    history.append({"step": 2, "eval/f1": 10.0})
    history.append({"step": 3, "train/loss": float("nan")})
    found.log.write_text(LOG)
    return found


def lines(paths):
    return [json.loads(line) for line in paths.history.read_text().splitlines()]


def names(paths):
    return [(line["step"], *(name for name in line if "/" in name)) for line in lines(paths)]


def test_lines_after_the_checkpoint_are_forgotten(paths):
    forget_later_lines(paths, Progress(step=2))
    assert names(paths) == [(1, "train/loss"), (2, "train/loss"), (2, "eval/f1")]
    kept = paths.log.read_text()
    assert "step 2: f1" in kept
    assert "step 3/9" not in kept
    assert "WARNING step 3: tracker wandb failed" in kept


def test_an_evaluation_that_is_done_again_is_forgotten(paths):
    forget_later_lines(paths, Progress(step=2, evaluation_due=True))
    assert names(paths) == [(1, "train/loss"), (2, "train/loss")]
    assert "step 2: f1" not in paths.log.read_text()


def test_a_run_that_starts_over_has_no_history(paths):
    forget_later_lines(paths, Progress())
    assert lines(paths) == []


def test_lines_that_a_kill_cut_are_dropped(paths):
    whole = paths.history.read_text()
    paths.history.write_text(whole.replace('{"step": 2, "eval', '{"ste\n{"step": 2, "eval') + '{"step": 2, "tr')
    forget_later_lines(paths, Progress(step=2))
    assert names(paths) == [(1, "train/loss"), (2, "train/loss"), (2, "eval/f1")]


def test_numbers_that_json_lacks_are_null(paths):
    assert lines(paths)[-1]["train/loss"] is None


def test_the_clock_goes_on(paths):
    """Seconds are those of all attempts together."""
    text = paths.history.read_text().splitlines()
    last = json.loads(text[-1]) | {"seconds": 500.0}
    paths.history.write_text("\n".join([*text[:-1], json.dumps(last)]) + "\n")
    History(paths.history).append({"step": 4, "train/loss": 1.0})
    assert 500.0 <= lines(paths)[-1]["seconds"] < 600.0
