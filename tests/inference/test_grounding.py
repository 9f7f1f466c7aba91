"""Where sources have what an answer says: verdicts, places, and what only a reader can find."""

from types import SimpleNamespace

import pytest

import qa
from qa.errors import ConfigError, ExampleError, ModelError
from qa.inference.grounding import details_of
from qa.inference.predictor import Predictor

SOURCE = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. It is 34 metres tall."
OTHER = "Ragna Lund drew a light-\nhouse in Bergen."


class Finder(Predictor):
    """A predictor that finds what it is told to, and keeps what it was asked."""

    def __init__(self, reader, answer, log_odds=2.0):
        super().__init__(reader)
        self.found, self.log_odds, self.asked = answer, log_odds, []

    def search(self, question, contexts, **_):
        self.asked.append(question)
        places = [(at, text.find(self.found)) for at, text in enumerate(contexts) if self.found in text]
        return [
            {
                "passage": at,
                "start": start,
                "end": start + len(self.found),
                "answer": self.found,
                "log_odds": self.log_odds,
            }
            for at, start in places[:1]
        ]


def verdicts(answer, sources=(SOURCE, OTHER), **options):
    return [(row["verdict"], row["source"], row["text"]) for row in qa.ground(answer, list(sources), **options)]


def test_each_part_of_an_answer_gets_a_verdict_and_a_stretch_of_a_source():
    answer = 'It is 34 metres tall [1]. Its sign says "Built in 1871 by ragna lund." Nobody knows why.'
    found = qa.ground(answer, [OTHER, SOURCE])
    assert [(row["quote"], row["verdict"], row["score"]) for row in found] == [
        ("It is 34 metres tall [1].", "moved", 1.0),
        ("Built in 1871 by ragna lund.", "moved", 1.0),
        ("Nobody knows why.", "unsupported", 0.0),
    ]
    for row in found[:2]:
        assert row["source"] == 1
        assert row["text"] == SOURCE[row["start"] : row["end"]]
    assert (found[2]["source"], found[2]["start"], found[2]["end"], found[2]["text"]) == (None, 0, 0, "")


def test_a_source_that_has_it_word_for_word_goes_before_one_that_does_not():
    assert verdicts(["Ragna Lund"], ["by RAGNA LUND", SOURCE, OTHER]) == [("verbatim", 1, "Ragna Lund")]
    assert verdicts(["lighthouse"], [OTHER, SOURCE]) == [("verbatim", 1, "lighthouse")]
    assert verdicts(["lighthouse in Bergen"]) == [("moved", 1, "light-\nhouse in Bergen")]


def test_quotes_are_looked_for_as_they_are_and_one_source_may_stand_alone():
    assert verdicts(["It is 34 metres tall. Nobody"]) == [("unsupported", None, "")]
    assert qa.ground(["built in 1871"], SOURCE)[0]["source"] == 0
    assert qa.ground([], SOURCE) == qa.ground("", SOURCE) == []
    assert verdicts(["built"], []) == [("unsupported", None, "")]


def test_what_is_known_of_a_source_comes_back():
    (row,) = qa.ground(["tall"], [{"text": f"x\f{SOURCE}", "id": "a", "meta": {"page": 7}}])
    assert (row["id"], row["meta"], row["page"]) == ("a", {"page": 7}, 8)


# --- in other words ---


def test_a_claim_whose_detail_a_reader_finds_is_paraphrased(predictor):
    reader = Finder(predictor.reader, "Ragna Lund")
    (found,) = qa.ground(["Someone named Ragna Lund constructed Skarholm"], [OTHER, SOURCE], reader=reader)
    assert (found["verdict"], found["source"], found["text"]) == ("paraphrased", 1, "Ragna Lund")
    assert found["score"] == pytest.approx(0.880797)  # of two log odds
    assert reader.asked[0] == "Someone named ___ constructed Skarholm"


def test_a_reader_that_finds_something_else_or_is_not_sure_supports_nothing(predictor):
    claim = ["Someone named Ragna Lund constructed Skarholm"]
    assert verdicts(claim, reader=Finder(predictor.reader, "34 metres")) == [("unsupported", None, "")]
    unsure = Finder(predictor.reader, "Ragna Lund", log_odds=-0.1)
    assert verdicts(claim, reader=unsure) == [("unsupported", None, "")]
    assert verdicts(claim, reader=unsure, min_score=0.4)[0][0] == "paraphrased"
    assert qa.ground(claim, [SOURCE], reader=unsure)[0]["score"] == pytest.approx(0.4750208)


@pytest.mark.parametrize(
    "claim", ["In the end Ragna Lund made it in 1872", "Somebody called Erik Lund made the lighthouse"]
)
def test_a_source_without_a_name_or_number_of_the_claim_is_not_asked(predictor, claim):
    reader = Finder(predictor.reader, "Lund")
    assert verdicts([claim], reader=reader) == [("unsupported", None, "")]
    assert reader.asked == []


@pytest.mark.parametrize(
    ("found", "wanted"), [("400 km", "unsupported"), ("6,400 km", "unsupported"), ("about 400", "paraphrased")]
)
def test_a_part_of_a_number_that_a_reader_finds_supports_no_other_number(predictor, found, wanted):
    reader = Finder(predictor.reader, found)
    source = "One is 6,400 km long, it is said. The other has about 400 bridges."
    assert verdicts(["A stream has 400 crossings"], [source], reader=reader)[0][0] == wanted
    no_other = verdicts(["A stream has 400 crossings"], ["It is 6,400 km long."], reader=reader)
    assert no_other == [("unsupported", None, "")]


def test_a_reader_may_be_a_folder(folder, tmp_path):
    assert verdicts(["some tower"], reader=str(folder))[0][0] in {"paraphrased", "unsupported"}
    with pytest.raises(ModelError):
        qa.ground("x", SOURCE, reader=tmp_path / "none")


@pytest.mark.parametrize(
    ("claim", "first", "required"),
    [
        ("The Amazon was named in 1541", ["The Amazon", "1541", "named"], ["The Amazon", "1541"]),
        ("Built by Ragna Lund", ["Ragna Lund", "Built"], ["Ragna Lund"]),
        ("1871 was early", ["1871", "early"], ["1871"]),
        ("so it is", [], []),
        ("it was -5 at 10:30", ["-5", "10:30"], ["-5", "10:30"]),
        ("it grew by +3.7 million", ["+3.7", "million", "grew"], ["+3.7"]),
    ],
)
def test_names_and_numbers_are_what_a_source_must_have(claim, first, required):
    details, needed = details_of(claim)
    assert [claim[start:end] for start, end in details] == first
    assert needed == required


@pytest.mark.parametrize(
    ("answer", "sources", "message"),
    [
        (["x", " "], [SOURCE], "quote 1 is ' '; wanted text"),
        ("x", [SOURCE, 3], "input 1: context is 3; wanted text"),
    ],
)
def test_inputs_of_wrong_type_are_named(answer, sources, message):
    with pytest.raises(ExampleError, match=message):
        qa.ground(answer, sources)


def test_a_least_score_is_a_share():
    with pytest.raises(ConfigError, match=r"min_score is 2\.0; wanted a share"):
        qa.ground("x", SOURCE, min_score=2.0)


def test_a_reader_is_also_that_of_a_pipeline_and_nothing_else(predictor):
    asked = qa.ground(["Ragna Lund built it."], [SOURCE], reader=SimpleNamespace(predictor=predictor), min_score=1.0)
    assert [found["verdict"] for found in asked] == ["unsupported"]
    with pytest.raises(ModelError, match="reader is 5; wanted a Predictor"):
        qa.ground(["Nothing says so."], ["Another text."], reader=5)


def test_between_comparisons_a_caller_may_end_the_work():
    def stop():
        asked.append(1)
        if len(asked) == 3:
            raise InterruptedError

    asked = []
    with pytest.raises(InterruptedError):
        qa.ground(["One thing", "Two things", "Three things"], [SOURCE, OTHER], between=stop)
    assert len(asked) == 3


def test_a_quote_that_comes_again_is_looked_for_once():
    asked = []
    found = qa.ground(["Nobody says so"] * 50, [SOURCE, OTHER], between=lambda: asked.append(1))
    assert len(asked) == 2
    assert [row["quote"] for row in found] == ["Nobody says so"] * 50
    assert found[0] is not found[1]
