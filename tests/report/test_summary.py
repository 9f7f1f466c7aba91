"""The numbers of a report, against loops over the answers."""

import numpy as np
import pytest

from qa.evaluation.calibration import expected_calibration_error
from qa.evaluation.mistakes import Given, judge
from qa.evaluation.slices import slices
from qa.report.summary import summarise
from tests.support.finished import ROWS


def judged(rows=ROWS, probability=lambda at: (at % 10) / 10 + 0.05):
    """Every other answer is right, the others are "no answer" or a wrong place."""
    given = {}
    for at, row in enumerate(rows):
        text = (row["answers"]["text"] or [""])[0] if at % 2 else row["context"][: 5 + at % 3].strip()
        start = row["context"].find(text)
        place = (start, start + len(text)) if text else None
        given[row["id"]] = Given(text=text, place=place, probability=probability(at))
    return judge(rows, given, language="en")


def test_the_whole_is_counted():
    answers = judged()
    summary = summarise(answers, language="en")
    right = [answer for answer in answers if answer.mistake is None]
    assert summary.examples == len(ROWS)
    assert summary.exact.mean == len(right) / len(ROWS)
    assert summary.f1.mean == pytest.approx(sum(answer.f1 for answer in answers) / len(ROWS))
    assert sum(summary.mistakes.values()) == len(ROWS)
    assert summary.mistakes[None] == len(right)


def test_slices_are_scored_by_their_members():
    answers = judged()
    summary = summarise(answers, language="en")
    groups = slices(ROWS)
    assert [f"{one.kind}: {one.group}" for one in summary.slices] == list(groups)
    for one in summary.slices:
        members = [a for a, inside in zip(answers, groups[f"{one.kind}: {one.group}"], strict=True) if inside]
        assert one.examples == len(members)
        assert one.exact.mean == sum(a.exact for a in members) / len(members)
        assert one.f1.mean == pytest.approx(sum(a.f1 for a in members) / len(members))
        assert one.exact.low <= one.exact.mean <= one.exact.high


def test_bins_hold_the_answers_of_their_confidence():
    answers = judged()
    summary = summarise(answers, language="en")
    assert sum(one.examples for one in summary.bins) == len(answers)
    for one in summary.bins:
        inside = [a for a in answers if abs(a.given.probability - one.confidence) < 0.01]
        assert one.examples == len(inside)
        assert one.right.mean == sum(a.exact for a in inside) / len(inside)
    confidence = np.array([a.given.probability for a in answers])
    right = np.array([a.exact == 1 for a in answers])
    assert summary.calibration_error == expected_calibration_error(confidence, right)


def test_risk_ends_at_the_share_of_wrong_answers():
    summary = summarise(judged(), language="en")
    coverage, risk = zip(*summary.risk_at_coverage, strict=True)
    assert coverage[-1] == 1.0
    assert risk[-1] == pytest.approx(1 - summary.exact.mean)
    assert len(summary.risk_at_coverage) == len(ROWS)


def test_without_confidence_there_is_nothing_about_it():
    summary = summarise(judged(probability=lambda at: None if at == 3 else 0.5), language="en")
    assert (summary.bins, summary.risk_at_coverage, summary.calibration_error) == ((), (), None)
