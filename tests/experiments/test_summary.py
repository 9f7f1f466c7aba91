"""A row for each setting: the mean of its runs, and the difference from the first."""

import pytest

from qa.experiments.statistics import difference_of_means, mean_estimate
from qa.experiments.summary import SettingResult, cells, head, markdown, summarised, text


def result(name, scores, minutes=2.0):
    by_seed = dict(scores)
    names = tuple(f"{name}-{seed}" for seed in by_seed)
    return SettingResult(name=name, names=names, scores=by_seed, minutes=dict.fromkeys(by_seed, minutes))


FIRST = result("first", {1: 10.0, 2: 12.0, 3: 11.0})
PAIRED = result("paired", {1: 13.0, 2: 15.0, 3: 14.5})
OTHER = result("other", {1: 9.0, 7: 10.0})


def test_rows_are_the_best_first_and_differ_from_the_first_setting_of_the_sweep():
    rows = summarised([FIRST, OTHER, PAIRED])
    assert [row.name for row in rows] == ["paired", "first", "other"]
    assert [row.name for row in summarised([FIRST, OTHER, PAIRED], maximize=False)] == ["other", "first", "paired"]
    by_name = {row.name: row for row in rows}
    assert by_name["first"].difference is None
    assert by_name["first"].score == mean_estimate([10.0, 12.0, 11.0])
    assert by_name["paired"].difference == difference_of_means([10.0, 12.0, 11.0], [13.0, 15.0, 14.5], paired=True)
    assert by_name["other"].difference == difference_of_means([10.0, 12.0, 11.0], [9.0, 10.0], paired=False)
    assert by_name["other"].seeds == (1, 7)


def test_pairs_are_of_the_same_seed_whatever_their_order():
    turned = result("turned", {3: 14.5, 1: 13.0, 2: 15.0})
    one, other = (summarised([FIRST, second])[0].difference for second in (PAIRED, turned))
    assert one == other


def test_a_setting_without_a_finished_run_has_no_row_and_is_not_the_first():
    (row,) = summarised([result("none", {}), FIRST])
    assert (row.name, row.difference) == ("first", None)
    assert summarised([result("none", {})]) == []


def test_a_row_is_shown_with_intervals_where_there_are_several_runs():
    (row,) = summarised([result("one", {1: 10.0}, minutes=1.26)])
    assert cells(row) == ("one", "1", "10.00", "–", "1.3")
    rows = summarised([FIRST, PAIRED])
    assert cells(rows[0])[:2] == ("paired", "3")
    assert cells(rows[0])[3].startswith("+3.17 [+")
    assert text(mean_estimate([-1.0])) == "-1.00"
    assert text(mean_estimate([1.0]), signed=True) == "+1.00"


def test_markdown_is_a_table_whatever_a_setting_is_called():
    lines = markdown(summarised([result("a|b", {1: 10.0}), FIRST]), "f1").splitlines()
    assert lines[0] == f"| {' | '.join(head('f1'))} |" == "| setting | runs | f1 | minus the first | minutes |"
    assert {line.count("|") for line in lines[:4]} == {6}
    assert any(line.startswith("| a/b | 1 | 10.00 |") for line in lines)


@pytest.mark.parametrize("metric", ["f1", "eval/best_f1"])
def test_the_score_is_named(metric):
    assert head(metric)[2] == metric
