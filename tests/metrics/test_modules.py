"""The `evaluate` modules say what the functions say."""

import pytest

from qa import metrics
from qa.errors import ConfigError
from qa.metrics.modules import Squad, SquadV2, load

TEXTS = {"1": "the Amazon river", "2": "1541"}
REFERENCES = {"1": ["Amazon"], "2": ["1541", "in 1541"]}
ODDS = {"1": -2.0, "2": 3.0}


def rows(texts, references, odds=None):
    """Write both as the hub's metrics take them."""
    more = {} if odds is None else odds
    return {
        "predictions": [
            {"id": key, "prediction_text": text} | ({"no_answer_probability": more[key]} if more else {})
            for key, text in texts.items()
        ],
        "references": [
            {"id": key, "answers": {"text": answers, "answer_start": [0] * len(answers)}}
            for key, answers in references.items()
        ],
    }


def test_both_modules_compute_what_score_does():
    assert load("squad").compute(**rows(TEXTS, REFERENCES)) == metrics.score(TEXTS, REFERENCES)
    references = REFERENCES | {"2": []}
    found = load("squad_v2").compute(**rows(TEXTS, references, ODDS), no_answer_threshold=0.0)
    assert found == metrics.score(TEXTS, references, null_odds=ODDS)


def test_the_names_and_the_languages_that_there_are():
    assert (type(load("squad")), type(load("squad_v2", "de"))) == (Squad, SquadV2)
    with pytest.raises(ConfigError, match="language"):
        load("squad", "klingon")
