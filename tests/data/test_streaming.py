"""Table by table: the same examples, problems and notes as all at once, whatever the policy."""

import pytest

from qa.config import DataConfig
from qa.data.examples import load_examples, take
from qa.data.sieve import ROWS_AT_ONCE
from qa.data.streaming import ExampleStream
from qa.errors import DataError, ExampleError
from tests.support.rows import CONTEXT, LUND, TALL, WHO, answers, row, write


def streamed(path, on_bad_example="error", **options):
    return ExampleStream(str(path), "train", DataConfig(on_bad_example=on_bad_example), **options)


def rows_of(stream, report=lambda _: None):
    return [row for table in stream.tables(report) for row in table.to_pylist()]


def many():
    """Over two chunks: rows without ids and answers first, an id and answers that come late, bad rows in both."""
    good = [row(at) for at in range(ROWS_AT_ONCE + 5)]
    bad = row("bad", text="nowhere")
    return [{**good[0], "answers": None}, {**good[1], "id": None}, bad, *good[2:], row("late", start=0)]


@pytest.mark.parametrize("policy", ["skip", "repair"])
def test_examples_problems_and_notes_are_those_of_loading(tmp_path, policy):
    path = write(tmp_path / "a.jsonl", many())
    wanted = load_examples(str(path), split="train", config=DataConfig(on_bad_example=policy))
    problems = []
    stream = streamed(path, policy)
    assert rows_of(stream, problems.extend) == list(wanted.rows)
    assert tuple(problems) == wanted.problems
    assert problems
    assert tuple(stream.notes) == wanted.notes
    assert rows_of(stream) == list(wanted.rows), "it can be read again"


def test_ids_are_made_alike(tmp_path):
    rows = [{"question": question, "context": CONTEXT, "answers": answers(LUND)} for question in (WHO, TALL, WHO)]
    path = write(tmp_path / "a.jsonl", rows)
    wanted = load_examples(str(path), split="train", config=DataConfig())
    stream = streamed(path)
    assert rows_of(stream) == list(wanted.rows)
    assert stream.notes == list(wanted.notes) != []


@pytest.mark.parametrize("maximum", [1, 3, 7, 1_000, 2_000])
def test_at_most_as_many_as_asked_spread_as_take_does(tmp_path, maximum):
    path = write(tmp_path / "a.jsonl", many())
    wanted = take(load_examples(str(path), split="train", config=DataConfig(on_bad_example="skip")), maximum)
    assert rows_of(streamed(path, "skip", maximum=maximum)) == list(wanted.rows)


def test_a_bad_row_stops_at_the_end_with_all_of_them(tmp_path):
    path = write(tmp_path / "a.jsonl", [row(1, text="no"), row(2), row(3, text="neither")])
    with pytest.raises(ExampleError, match="2 bad examples"):
        rows_of(streamed(path))
    with pytest.raises(ExampleError, match="no good example is left"):
        rows_of(streamed(write(tmp_path / "b.jsonl", [row(1, text="no")]), "skip"))
    with pytest.raises(DataError, match="empty"):
        rows_of(streamed(write(tmp_path / "c.jsonl", "")))


def test_what_references_are_for_counts(tmp_path):
    path = write(tmp_path / "a.jsonl", [row(1, context=CONTEXT, text="Mrs Lund", start=-1), row(2)])
    assert len(rows_of(streamed(path, purpose="texts"))) == 2
    assert len(rows_of(streamed(path, "skip"))) == 1
    (bare, _) = rows_of(streamed(path, purpose="nothing"))
    assert "answers" not in bare
