"""Rows and their answers: bad rows keep to themselves, a broken reader does not go unnoticed."""

import pickle
from dataclasses import replace

import pytest

from qa.errors import ConfigError, JobError, ModelError, NotFiniteError
from qa.inference.predictor import Predictor
from qa.jobs import answering as module
from qa.jobs.answering import KEYS, Answering, reader_spec
from tests.support.predictors import finding_all, pairs

BAD = {
    "question is ''": {"question": "", "context": "c"},
    "context is ' '": {"question": "q", "context": " "},
    "context is None": {"question": "q", "context": None},
    "question is 3": {"question": 3, "context": "c"},
    "context has a lone surrogate": {"question": "q", "context": "\ud800"},
    "context is b'": {"question": "q", "context": b"\xff"},
}


class Failing(Predictor):
    """Cannot answer contexts with a word."""

    word, error = "poison", RuntimeError("out of memory: tried to allocate")

    def predictions(self, rows, options):
        if any(self.word in row["context"] for row in rows):
            raise self.error
        return super().predictions(rows, options)


@pytest.fixture
def failing(spec):
    predictor = Failing(Predictor.from_pretrained(spec.source, device="cpu").reader)
    return Answering(predictor, predictor.options())


def test_rows_have_what_the_predictor_answers(answering, folder):
    wanted = Predictor.from_pretrained(folder, device="cpu")(pairs(5))
    told = answering.told(pairs(5))
    assert [{name: one[name] for name in row} for one, row in zip(told, wanted, strict=True)] == wanted
    assert all(one["error"] is None and set(one) == {*KEYS, "error"} for one in told)
    assert answering.told([]) == []


def test_a_bad_row_has_an_error_and_the_others_their_answers(answering):
    rows = [row for bad, good in zip(BAD.values(), pairs(len(BAD)), strict=True) for row in (bad, good)]
    told = answering.told(rows)
    assert told[1::2] == answering.told(pairs(len(BAD)))
    for one, start in zip(told[::2], BAD, strict=True):
        assert one["error"].startswith(start)
        assert [one[name] for name in KEYS] == [None] * len(KEYS)


def test_a_context_that_is_too_long_is_named(answering, monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 10)
    (one,) = answering.told([{"question": "Who?", "context": "eleven char"}])
    assert one["error"] == "context has 11 characters; wanted at most 10: cut it into several rows"


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), MemoryError("no room"), NotFiniteError("nan")])
def test_a_row_that_the_reader_fails_on_is_found_among_many(failing, error, monkeypatch):
    monkeypatch.setattr(Failing, "error", error)
    rows = pairs(9)
    rows[4] = {"question": "Who?", "context": "It is poison."}
    told = failing.told(rows)
    assert [at for at, one in enumerate(told) if one["error"]] == [4]
    assert told[4]["error"] == f"{type(error).__name__}: {error}"
    assert all(one["answer"] in row["context"] for at, (one, row) in enumerate(zip(told, rows, strict=True)) if at != 4)


def test_a_reader_that_answers_nothing_any_more_ends_the_job(failing, monkeypatch):
    failing.require_answers()
    monkeypatch.setattr(Failing, "word", "")
    with pytest.raises(JobError, match="the reader answers nothing: RuntimeError: out of memory"):
        failing.told(pairs(3))


def test_several_answers_are_told(folder):
    told = reader_spec(str(folder), device="cpu", top_k=3).load().told([*pairs(1), BAD["question is ''"]])
    assert len(told[0]["answers"]) == 3
    assert told[1]["answers"] is None
    assert told[0].keys() == told[1].keys()


def test_what_travels_is_small_and_a_reader_is_loaded_once_in_a_process(spec):
    copied = pickle.loads(pickle.dumps(spec))
    assert len(pickle.dumps(spec)) < 1000
    assert copied.load() is spec.load()


def test_a_broken_reader_is_refused_when_it_is_loaded(tmp_path, spec):
    with pytest.raises(ModelError):
        reader_spec(str(tmp_path / "none"), device="cpu").load()
    with pytest.raises(ConfigError):
        replace(spec, given=(("max_length", 3),)).load()


@pytest.mark.parametrize("given", [{"answers": "all"}, {"score": "window"}])
def test_a_job_has_one_kind_of_answers(given, folder):
    with pytest.raises(ConfigError, match="a job has one kind of answers"):
        reader_spec(str(folder), **given)


def test_a_reader_of_all_answers_is_refused_unless_the_best_are_asked_for(folder, tmp_path):
    every = finding_all(folder, tmp_path / "every")
    with pytest.raises(ConfigError, match=r"trained to find all answers.*wanted answers='any'"):
        reader_spec(str(every), device="cpu").load()
    (told,) = reader_spec(str(every), device="cpu", answers="any").load().told(pairs(1))
    assert set(told) == {*KEYS, "error"}
