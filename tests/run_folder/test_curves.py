"""What a run reported becomes values over steps and minutes."""

import pytest

from qa.errors import StorageError
from qa.run_folder.curves import Curve, charts, curve, read_history

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


def test_charts_are_of_what_was_reported():
    history = [
        {"step": 1, "train/loss": 4.0},
        {"step": 2, "train/loss": 3.0, "eval/f1": 20.0, "eval/exact_match": 10.0, "eval/own set/f1": 5.0},
        {"step": 3, "eval/f1": None},
    ]
    assert charts(history) == {
        "Loss": {"loss": [(1, 4.0), (2, 3.0)]},
        "Scores (%)": {"exact": [(2, 10.0)], "F1": [(2, 20.0)]},
    }
    assert charts(history, ["own set", "without references"])["F1 of further sets (%)"] == {"own set": [(2, 5.0)]}
    assert charts([]) == {}


@pytest.mark.parametrize("points", [1, 2, 999, 1000, 1001, 2500, 100_000])
def test_a_long_course_is_drawn_by_its_ends_and_points_between(points):
    found = charts([{"step": step, "train/loss": step / 7} for step in range(1, points + 1)])["Loss"]["loss"]
    assert len(found) == points if points <= 1000 else 500 < len(found) <= 1000
    assert (found[0][0], found[-1][0]) == (1, points)
    assert [step for step, _ in found] == sorted({step for step, _ in found})
    assert all(value == step / 7 for step, value in found)
