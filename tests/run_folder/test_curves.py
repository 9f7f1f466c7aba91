"""What a run reported becomes values over steps and minutes."""

import pytest

from qa.errors import StorageError
from qa.run_folder.curves import Curve, curve, read_history

LINES = """\
{"step": 2, "seconds": 30.0, "train/loss": 4.0}
{"step": 4, "seconds": 60.0, "train/loss": null}
{"step": 4, "seconds": 90.0, "eval/f1": 20.5}
{"step": 8, "seconds": 180.0, "eval/f1": 41}
"""


def test_values_over_steps_and_minutes(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(LINES)
    history = read_history(path)
    assert curve(history, "eval/f1") == Curve(steps=(4, 8), values=(20.5, 41.0), minutes=(1.5, 3.0))
    assert curve(history, "train/loss") == Curve(steps=(2,), values=(4.0,), minutes=(0.5,))
    assert curve(history, "eval/exact") == Curve(minutes=())


def test_line_without_seconds_leaves_no_minutes(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(LINES + '{"step": 9, "eval/f1": 42.0}\n')
    assert curve(read_history(path), "eval/f1") == Curve(steps=(4, 8, 9), values=(20.5, 41.0, 42.0))


def test_last_line_that_was_cut_is_left_out_and_any_other_damage_named(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(LINES + '{"step": 9, "ev')
    assert len(read_history(path)) == 4
    path.write_text('{"ev\n' + LINES)
    with pytest.raises(StorageError, match="line 1 is not JSON"):
        read_history(path)
    path.write_text('{"steps": 1}\n')
    with pytest.raises(StorageError, match="integer step"):
        read_history(path)
    assert read_history(tmp_path / "none.jsonl") == []
