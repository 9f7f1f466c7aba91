import json

import pytest

from tests.benchmarks.time_to_f1 import Job, comparison, measured, minutes_to, picture


def points(*pairs):
    return [{"minutes": minutes, "f1": f1} for minutes, f1 in pairs]


def test_minutes_are_read_from_the_line_between_the_jobs_around_an_f1():
    assert minutes_to(60, points((30, 66), (10, 58))) == pytest.approx(15)
    assert minutes_to(58, points((10, 58), (30, 66))) == pytest.approx(10)


@pytest.mark.parametrize("jobs", [points((10, 61), (20, 65)), points((10, 51), (20, 59)), points((10, 60.5))])
def test_an_f1_that_no_two_jobs_are_around_has_no_minutes_and_no_ratio(jobs):
    assert minutes_to(60, jobs) is None
    assert comparison(60, jobs, points((1, 50), (2, 70)))["ratio"] is None


def test_sides_are_compared_by_their_minutes_to_the_same_f1():
    row = comparison(60, points((5, 58), (7, 62)), points((20, 55), (40, 65)))
    assert row == {"f1": 60, "ours": pytest.approx(6), "theirs": pytest.approx(30), "ratio": pytest.approx(5)}


def test_a_job_that_was_done_is_not_done_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("tests.benchmarks.time_to_f1.run_theirs", lambda job: asked.append(job) or 61.5)
    job = Job(side="theirs", data="folder", examples=100, learning_rate=2e-4)
    first = measured(job, tmp_path)
    assert measured(job, tmp_path) == first
    assert asked == [job]
    assert first["f1"] == 61.5
    measured(Job(side="theirs", data="folder", examples=200, learning_rate=2e-4), tmp_path)
    assert [json.loads(line)["examples"] for line in (tmp_path / "points.jsonl").read_text().splitlines()] == [100, 200]


def test_the_picture_shows_both_curves():
    svg = picture({"train_qa.py": points((5, 58), (7, 62)), "script": points((20, 55), (40, 65))})
    assert svg.count("<polyline") == 2
    assert "train_qa.py: 62 at 7" in svg
    assert "script: 55 at 20" in svg
