"""Plots and slices of a card: from what the run wrote, and nothing that it does not know."""

import json
from xml.etree import ElementTree as ET

import pytest

from qa.config import DataConfig, RunConfig
from qa.errors import StorageError
from qa.run_folder.illustrations import plots_of, slice_rows, summary_of, write_plots
from qa.run_folder.paths import RunPaths
from tests.support.finished import ROWS, answers, write_run

HISTORY = [(10, 5.0, 20.0), (20, 9.0, 31.0)]


def finished(folder, *, probability=0.75, rows=ROWS, history=HISTORY, **changes):
    """Write a run of which every other answer is right; return its paths and configuration."""
    found = answers(lambda at: at % 2 == 0, rows)
    kept = {name: value for name, value in changes.items() if name != "data"}  # which is also a name of its own there
    write_run(folder, "sample", found, history=history, rows=rows, **kept)
    listed = {key: [{"text": text, "start": 0, "end": 1, "probability": probability}] for key, text in found.items()}
    (folder / "nbest_predictions.json").write_text(json.dumps(listed))
    (folder / "model").mkdir()
    return RunPaths(folder), RunConfig(output_dir=folder, validation_data="sample", **changes)


def test_slices_are_those_of_the_answers(tmp_path):
    paths, config = finished(tmp_path / "run")
    scores = json.loads(paths.metrics.read_text())
    summary = summary_of(paths, config, [{**row, "windows": 1 + at % 2} for at, row in enumerate(ROWS)])
    assert 100 * summary.exact.mean == pytest.approx(scores["exact"])
    rows = slice_rows(summary)
    assert rows[0][:3] == ("all", "", "60")
    assert rows[0][3].startswith(f"{scores['exact']:.1f} (")
    kinds = [kind for kind, *_ in rows]
    assert {"question word", "words of the answer", "characters of the context", "place of the answer"} < {*kinds}
    assert ("answerable", "no") in [row[:2] for row in rows]
    assert [row[1:3] for row in rows if row[0] == "windows"] == [("one", "30"), ("two", "30")]


def test_without_references_there_is_nothing_to_judge_and_the_courses_stay(tmp_path):
    paths, config = finished(tmp_path / "run")
    assert summary_of(paths, config, []) is None
    assert set(plots_of(paths, config, None)) == {"scores.svg"}


def test_where_all_answers_are_wanted_one_is_not_judged(tmp_path):
    paths, config = finished(tmp_path / "run", data=DataConfig(answers="all"))
    assert summary_of(paths, config, ROWS) is None


def test_data_without_impossible_questions_has_its_slices(tmp_path):
    rows = [row for row in ROWS if row["answers"]["text"]]
    paths, config = finished(tmp_path / "run", rows=rows)
    found = [row[:3] for row in slice_rows(summary_of(paths, config, rows)) if row[0] == "answerable"]
    assert found == [("answerable", "yes", str(len(rows)))]


def test_plots_are_pictures_of_what_is_known(tmp_path):
    paths, config = finished(tmp_path / "run", more_validation_data=("own_set=x",))
    lines = [{"step": step, "train/loss": 1 / step, "eval/own_set/f1": 5.0} for step in (1, 2)]
    with paths.history.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    plots = plots_of(paths, config, summary_of(paths, config, ROWS))
    assert list(plots) == ["reliability.svg", "loss.svg", "scores.svg", "further_scores.svg"]
    assert {ET.fromstring(plot.svg).tag for plot in plots.values()} == {"{http://www.w3.org/2000/svg}svg"}
    assert "60 answers of confidence 0.75" in plots["reliability.svg"].svg


def test_what_was_said_once_or_never_is_no_plot(tmp_path):
    paths, config = finished(tmp_path / "once", history=HISTORY[:1], probability=None)
    assert plots_of(paths, config, summary_of(paths, config, ROWS)) == {}
    paths.history.unlink()
    assert plots_of(paths, config, None) == {}


def test_a_card_that_is_written_again_keeps_no_plot_of_before(tmp_path):
    paths, config = finished(tmp_path / "run")
    write_plots(paths, plots_of(paths, config, summary_of(paths, config, ROWS)))
    (paths.model / "own.svg").write_text("<svg/>")
    assert {file.name for file in paths.model.iterdir()} == {"reliability.svg", "scores.svg", "own.svg"}
    write_plots(paths, plots_of(paths, config, None))
    assert {file.name for file in paths.model.iterdir()} == {"scores.svg", "own.svg"}


def test_answers_that_cannot_be_read_are_named(tmp_path):
    paths, config = finished(tmp_path / "run")
    paths.predictions.write_text("{")
    with pytest.raises(StorageError, match=r"predictions\.json"):
        summary_of(paths, config, ROWS)
