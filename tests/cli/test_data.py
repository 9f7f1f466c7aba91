"""Flags -> examples."""

import pytest

from qa.cli.data import load_data, say, stream
from qa.cli.flags import DataFlags
from qa.errors import ExampleError
from tests.support.rows import answers, row, write

BAD = row(9, text="dog", start=0)


def flags(data, **more):
    return DataFlags(data=str(data), **more)


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "rows.jsonl", [*map(row, range(4)), BAD])


@pytest.mark.parametrize(("policy", "ids"), [("skip", ["q0", "q2"]), ("repair", ["q0", "q2"])])
def test_as_many_as_asked_are_taken_of_those_that_are_good(data, policy, ids):
    examples = load_data(flags(data, max_examples=2), policy)
    assert examples.rows["id"][:] == ids
    assert [problem.id for problem in examples.problems] == ["q9"]


def test_a_bad_one_stops_unless_its_answers_do_not_matter(data):
    with pytest.raises(ExampleError, match="1 bad examples"):
        load_data(flags(data), "error")
    assert len(load_data(flags(data), "error", "nothing")) == 5


def test_a_split_is_that_of_the_flag(tmp_path):
    for name, number in (("train", 1), ("validation", 2), ("other", 3)):
        write(tmp_path / f"{name}.jsonl", [row(number)])
    assert load_data(flags(tmp_path), "error").rows["id"][:] == ["q2"]
    assert load_data(flags(tmp_path, split="other"), "error").rows["id"][:] == ["q3"]


def test_a_stream_has_the_examples_of_loading(data):
    tables = list(stream(flags(data, max_examples=3), "skip", "spans").tables())
    streamed = [example for table in tables for example in table["id"].to_pylist()]
    assert streamed == load_data(flags(data, max_examples=3), "skip").rows["id"][:]


def test_notes_are_for_people_and_not_for_programs(tmp_path, capsys):
    nameless = [{key: value for key, value in row(at).items() if key != "id"} for at in range(2)]
    load_data(flags(write(tmp_path / "rows.jsonl", nameless)), "error")
    printed = capsys.readouterr()
    assert printed.err == "note: 2 rows have no id: theirs are hashes of question and context\n"
    assert printed.out == ""
    say([])
    assert capsys.readouterr().err == ""


def test_references_may_be_texts_without_a_place(tmp_path):
    path = write(tmp_path / "rows.jsonl", [row(0, answers=answers(("elsewhere", -1)))])
    with pytest.raises(ExampleError):
        load_data(flags(path), "error")
    assert load_data(flags(path), "error", "texts").rows[0]["answers"] == answers(("elsewhere", -1))
