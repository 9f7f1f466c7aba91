"""Charts: their numbers by their places, and well-formed whatever they are."""

import math
import re
from xml.etree import ElementTree as ET

import pytest

from qa.evaluation.intervals import Interval
from qa.report.charts import interval_bar, line_chart, number, reliability_chart, standalone, ticks
from qa.report.summary import ReliabilityBin

NAMES = {"x_label": "step", "y_label": "F1"}


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (3, 1003, [200, 400, 600, 800, 1000]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0.013, 0.0135, [0.013, 0.0131, 0.0132, 0.0133, 0.0134, 0.0135]),
    ],
)
def test_ticks_are_round_and_few(low, high, wanted):
    assert ticks(low, high) == pytest.approx(wanted)


@pytest.mark.parametrize("high", [1e-9, 3e-5, 0.7, 13, 999, 123_456, 3.3e12])
def test_ticks_of_any_size_are_at_most_six_and_at_least_two(high):
    found = ticks(0, high)
    assert 2 <= len(found) <= 6
    assert all(0 <= tick <= high * (1 + 1e-9) for tick in found)


def test_numbers_of_labels():
    assert [number(value) for value in (1200.0, 0.123456, 3e-05, 12.5)] == ["1,200", "0.1235", "3e-05", "12.5"]


def test_points_are_placed_in_proportion():
    chart = line_chart("F1", {"F1": [(0, 10), (50, 20), (100, 30)]}, **NAMES)
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in parsed(chart).iter("circle")]
    assert dots[1] == pytest.approx(((dots[0][0] + dots[2][0]) / 2, (dots[0][1] + dots[2][1]) / 2), abs=0.1)
    assert dots[0][1] > dots[2][1]  # more is higher up
    assert [title.text for title in parsed(chart).iter("title")] == ["F1: 10 at 0", "F1: 20 at 50", "F1: 30 at 100"]


def keys(chart):
    return [text.text for text in parsed(chart).iter("text")][-2:]


def test_two_lines_are_named_below_and_one_is_not():
    one = {"exact": [(1, 2.0), (2, 3.0)]}
    alone, both = line_chart("scores", one, **NAMES), line_chart("scores", one | {"F1": [(1, 4.0)]}, **NAMES)
    assert keys(alone) == ["step", "F1"]  # what its axes are called
    assert keys(both) == ["exact", "F1"]
    assert int(parsed(both).get("height")) > int(parsed(alone).get("height"))


def test_more_lines_than_colours_are_told_apart_by_dashes():
    chart = line_chart("F1", {f"set {at}": [(1, at), (2, at)] for at in range(6)}, **NAMES)
    drawn = [line.get("class") for line in parsed(chart).iter("polyline")]
    assert len(set(drawn)) == 6
    assert [name.endswith("again") for name in drawn] == [False] * 4 + [True] * 2


def test_a_chart_as_a_file_needs_no_page():
    """Browsers show an image with neither the page's style nor anything from elsewhere."""
    chart = line_chart("<b>&", {"a": [(1, 2.0), (2, 3.0)], "b > c": [(1, 2.5)]}, **NAMES)
    root = ET.fromstring(standalone(chart))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label") == "<b>&"
    assert "var(" not in standalone(chart)
    assert "stroke: #1f5fa8" in root.find("{*}style").text
    assert root[1].get("fill") == "#fff"  # it is read in the dark too
    assert len(root) == len(parsed(chart)) + 2


def test_a_single_point_and_equal_values_can_be_drawn():
    for points in ([(5, 1.0)], [(5, 1.0), (5, 1.0)], [(0, 0.0), (9, 0.0)]):
        assert "nan" not in line_chart("flat", {"flat": points}, **NAMES)


def test_names_are_text():
    parsed(line_chart("<b>&", {"</svg>": [(1, 2.0)]}, x_label='"<', y_label="&amp;"))


def test_many_points_are_a_line_without_dots():
    line = [(at, math.sin(at)) for at in range(500)]
    assert len(list(parsed(line_chart("loss", {"loss": line}, **NAMES)).iter("circle"))) == 0


def test_the_reliability_diagram_has_a_dot_and_an_interval_for_each_bin():
    bins = [ReliabilityBin(0.15, Interval(0.1, 0.05, 0.2), 40), ReliabilityBin(0.95, Interval(1.0, 0.9, 1.0), 30)]
    chart = parsed(reliability_chart(bins))
    assert [title.text for title in chart.iter("title")] == [
        "40 answers of confidence 0.15: 10% right",
        "30 answers of confidence 0.95: 100% right",
    ]
    assert sum("whisker" in line.get("class") for line in chart.iter("polyline")) == 2


def test_a_bar_is_as_wide_as_its_share():
    half, whole = (parsed(interval_bar(Interval(mean, 0.0, 1.0))).find("rect") for mean in (0.5, 1.0))
    assert float(half.get("width")) * 2 == float(whole.get("width"))


def parsed(chart):
    svg = re.match(r"<svg.*?</svg>", chart, re.DOTALL).group()
    return ET.fromstring(svg)
