"""Pictures: their marks stand where the numbers are. What is drawn is asked of the library's figure, not of pixels."""

import pytest
from matplotlib.figure import Figure

from qa.errors import StorageError
from qa.experiments import plots
from qa.experiments.comparison import compare_systems
from qa.experiments.finished import read_run, systems_of
from qa.experiments.plots import plot_comparison, plot_estimates
from qa.experiments.statistics import mean_estimate
from tests.support.finished import answers, write_data, write_run


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, which are not written."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: figures.append((self, path)))
    return figures


def test_a_row_has_its_mean_its_interval_and_its_runs(drawn, tmp_path):
    first, second = mean_estimate([10.0, 14.0]), mean_estimate([7.0])
    plot_estimates([("a", first), ("b", second)], [[10.0, 14.0], [7.0]], tmp_path / "plot.png", label="F1")
    ((figure, path),) = drawn
    assert path == tmp_path / "plot.png"
    (axes,) = figure.axes
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]
    assert lines == [
        ([first.low, first.high], [0, 0]),
        ([12.0], [0]),
        ([10.0, 14.0], [0, 0]),
        ([7.0, 7.0], [1, 1]),
        ([7.0], [1]),
        ([7.0], [1]),
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    low, high = axes.get_ylim()
    assert low > high, "the first row is on top"
    assert axes.get_xlabel() == "F1"


@pytest.mark.parametrize(("name", "shown"), [("$x$", r"\$x\$"), ("__hidden", "hidden"), ("_", " ")])
def test_a_name_is_no_formula_and_no_missing_label(name, shown, drawn, tmp_path):
    plot_estimates([(name, mean_estimate([1.0]))], [[]], tmp_path / "plot.png", label="F1")
    (axes,) = drawn[0][0].axes
    assert axes.get_yticklabels()[0].get_text() == shown


def test_curves_are_over_steps_and_minutes_and_named_once(drawn, tmp_path):
    data = write_data(tmp_path / "data.jsonl")
    curve = [(5, 60.0, 10.0), (10, 120.0, 20.0)]
    found = answers(lambda at: at % 3 == 0)
    runs = [
        write_run(tmp_path / f"run-{at}", data, found, history=history) for at, history in enumerate((curve, curve, []))
    ]
    comparison = compare_systems(systems_of([read_run(folder) for folder in runs], each=True))
    plot_comparison(comparison, tmp_path / "plot.svg")
    steps, minutes, differences = drawn[0][0].axes
    assert [list(line.get_xdata()) for line in steps.lines] == [[5, 10], [5, 10]]
    assert [list(line.get_xdata()) for line in minutes.lines] == [[1.0, 2.0], [1.0, 2.0]]
    assert [text.get_text() for text in steps.get_legend().get_texts()] == ["run-0", "run-1"]
    assert [label.get_text() for label in differences.get_yticklabels()] == ["run-1", "run-2"]


def test_runs_that_reported_nothing_say_so(drawn, tmp_path):
    data = write_data(tmp_path / "data.jsonl")
    runs = [write_run(tmp_path / name, data, answers(lambda at: at % 2 == 0)) for name in ("a", "b")]
    comparison = compare_systems(systems_of([read_run(folder) for folder in runs], each=True))
    plot_comparison(comparison, tmp_path / "plot.png")
    steps = drawn[0][0].axes[0]
    assert [text.get_text() for text in steps.texts] == ["not reported"]


@pytest.mark.parametrize("path", ["plot.docx", "none/plot.png"])
def test_a_picture_that_cannot_be_drawn_is_named(path, tmp_path):
    with pytest.raises(StorageError, match=rf"cannot draw .*{path}"):
        plots.plot_estimates([("a", mean_estimate([1.0]))], [[1.0]], tmp_path / path, label="F1")
