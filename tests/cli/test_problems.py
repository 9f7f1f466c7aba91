"""Problems of a data set: all in a file, the first of them for people."""

import json

import pytest

from qa.cli.problems import no_problem_file, problem_file, show_problems
from qa.data.problems import DataProblem


def problem(row, kind="no answers", action="skipped", **more):
    return DataProblem(row=row, id=f"q{row}", kind=kind, found="f", wanted="w", action=action, **more)


def test_all_are_in_the_file_counted_and_the_first_kept(tmp_path):
    path = tmp_path / "problems.jsonl"
    with problem_file(path) as file:
        file([problem(0), problem(1, action="repaired", done="now 'q1-2'")])
        file([problem(at) for at in range(2, 20)])
        file([])
        assert not path.exists(), "it appears with all of them"
    assert [json.loads(line)["row"] for line in path.read_text().splitlines()] == list(range(20))
    assert [one.row for one in file.first] == list(range(10))
    assert file.summary() == {
        "problems": [
            {"kind": "no answers", "action": "skipped", "rows": 19},
            {"kind": "no answers", "action": "repaired", "rows": 1},
        ],
        "problems_file": str(path),
    }


def test_without_any_there_is_no_file(tmp_path):
    with problem_file(tmp_path / "problems.jsonl") as file:
        file([])
    assert list(tmp_path.iterdir()) == []
    assert file.summary() == {"problems": [], "problems_file": None}


def test_without_a_place_for_a_file_they_are_counted_all_the_same():
    with no_problem_file() as file:
        file([problem(0), problem(1)])
    assert file.summary() == {
        "problems": [{"kind": "no answers", "action": "skipped", "rows": 2}],
        "problems_file": None,
    }


def test_an_error_leaves_no_half_file(tmp_path):
    def interrupted():
        with problem_file(tmp_path / "problems.jsonl") as file:
            file([problem(0)])
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_told_where_it_will_be(tmp_path):
    with problem_file(tmp_path / "part.jsonl", known_as=tmp_path / "whole" / "problems.jsonl") as file:
        file([problem(0)])
    assert file.summary()["problems_file"] == str(tmp_path / "whole" / "problems.jsonl")
    assert (tmp_path / "part.jsonl").is_file()


def test_an_id_that_utf_8_cannot_hold_is_written_all_the_same(tmp_path):
    with problem_file(tmp_path / "problems.jsonl") as file:
        file([DataProblem(row=0, id="\ud800", kind="k", found="f", wanted="w", action="skipped")])
    assert json.loads((tmp_path / "problems.jsonl").read_text())["id"] == "\ud800"


def test_people_see_the_most_frequent_first_and_ten_of_them(capsys):
    show_problems({("duplicate id", "skipped"): 2, ("no answers", "repaired"): 31}, map(problem, range(12)))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == ["problem done rows", "no answers repaired 31", "duplicate id skipped 2"]
    assert lines[3:] == [f"row {at}, id 'q{at}': no answers: found f; wanted w" for at in range(10)]
    show_problems({}, [])
    assert capsys.readouterr().out == ""
