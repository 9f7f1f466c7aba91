"""The embedded list questions: their answers stand where they say, whole and apart, in passages of the embedded set."""

import itertools

import pytest

from qa.config import DataConfig
from qa.data.examples import load_examples
from tests.support import tiny

ROWS = tiny.sample_rows("train", "lists") + tiny.sample_rows("validation", "lists")


def spans(row):
    answers = row["answers"]
    return [(start, start + len(text)) for text, start in zip(answers["text"], answers["answer_start"], strict=True)]


def test_there_are_enough_questions_with_many_answers_and_some_with_none():
    counts = [len(row["answers"]["text"]) for row in ROWS]
    assert sum(count > 1 for count in counts) >= 150
    assert counts.count(0) >= 15
    assert len({row["id"] for row in ROWS}) == len({(row["question"], row["context"]) for row in ROWS}) == len(ROWS)


def test_answers_are_whole_words_at_their_places_and_share_no_character():
    for row in ROWS:
        context, places = row["context"], spans(row)
        for (start, end), text in zip(places, row["answers"]["text"], strict=True):
            assert context[start:end] == text == text.strip(), row["id"]
            assert not (start and context[start - 1].isalnum()), row["id"]
            assert not (end < len(context) and context[end].isalnum()), row["id"]
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places)), row["id"]


def test_passages_are_those_of_the_embedded_set_and_of_one_split_only():
    known = {row["context"] for row in tiny.sample_rows("train")}
    splits = [{row["context"] for row in tiny.sample_rows(split, "lists")} for split in ("train", "validation")]
    assert splits[0] | splits[1] <= known
    assert not splits[0] & splits[1]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_they_are_read_like_any_other_set(split):
    examples = load_examples("sample:lists", split=split, config=DataConfig(answers="all"))
    assert len(examples) == len(tiny.sample_rows(split, "lists"))
    assert not examples.problems
    assert examples.has_impossible
