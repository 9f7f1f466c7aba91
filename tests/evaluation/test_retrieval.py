"""What shared words count in searches: the fit recovers what questions were made with."""

import numpy as np
import pytest

from qa.evaluation.retrieval import LEAST, SearchedQuestion, best_weight, fit_retrieval, share_found


def questions(count, *, log_odds, lexical, seed=0, passages=20):
    """Right passages are drawn with probabilities that are the softmax of what both say, by these coefficients."""
    chance = np.random.default_rng(seed)
    made = []
    for at in range(count):
        odds, words = chance.normal(0, 3, passages), np.abs(chance.normal(0, 4, passages))
        weights = np.exp(log_odds * odds + lexical * words)
        right = int(chance.choice(passages, p=weights / weights.sum()))
        made.append(SearchedQuestion(id=f"q{at}", log_odds=odds, lexical=words, right=right))
    return made


@pytest.mark.parametrize(("log_odds", "lexical"), [(1.0, 0.5), (0.5, 0.5), (0.4, 0.0), (0.7, 2.0)])
def test_the_weight_is_the_one_that_questions_were_made_with(log_odds, lexical):
    found = best_weight(questions(1500, log_odds=log_odds, lexical=lexical))
    assert found == pytest.approx(lexical / log_odds, rel=0.15, abs=0.1)


def test_the_weight_is_the_most_likely_of_many():
    asked = questions(200, log_odds=0.6, lexical=0.3, seed=3)

    def likelihood(a, b):
        rows = [a * one.log_odds + b * one.lexical for one in asked]
        return sum(
            row[one.right] - row.max() - np.log(np.exp(row - row.max()).sum())
            for row, one in zip(rows, asked, strict=True)
        )

    weight = best_weight(asked)
    scales = np.linspace(0.2, 1.2, 201)
    best = max(likelihood(a, a * weight) for a in scales)
    others = [likelihood(a, a * other) for a in scales[::10] for other in (0.0, weight * 0.7, weight * 1.4, 5.0)]
    assert best > max(others)


def test_both_find_more_than_either_where_both_tell_something():
    found = fit_retrieval(questions(400, log_odds=0.6, lexical=0.4), weight=0.0)
    assert found.fitted > max(found.reader, found.words)
    assert found.weight == found.fitted_weight > 0
    assert found.before == found.reader
    assert found.fitted_questions + found.measured_questions == 400


def test_an_old_weight_is_kept_where_the_new_one_finds_no_more_or_there_are_few_questions():
    made = questions(300, log_odds=0.6, lexical=0.4)
    weight = fit_retrieval(made, weight=0.0).fitted_weight
    assert fit_retrieval(made, weight=weight * 1.000001).weight == weight * 1.000001
    assert fit_retrieval(made[: LEAST - 1], weight=0.25).weight == 0.25


def test_shares_count_right_passages_that_are_first():
    made = [
        SearchedQuestion(id="a", log_odds=np.array([1.0, -np.inf]), lexical=np.array([0.0, 3.0]), right=0),
        SearchedQuestion(id="b", log_odds=np.array([2.0, 1.0]), lexical=np.array([0.0, 3.0]), right=1),
    ]
    assert [share_found(made, weight) for weight in (0.0, 0.5, np.inf)] == [50.0, 100.0, 50.0]
    assert np.isfinite(best_weight(made))


def test_a_reader_that_tells_nothing_leaves_words_alone():
    made = questions(300, log_odds=0.0, lexical=1.0)
    assert best_weight(made) > 10


@pytest.mark.parametrize("seed", range(12))
def test_a_sure_reader_does_not_keep_the_fit_from_its_end(seed):
    """Log odds far apart, the right passage's among the highest: full steps of Newton's method go astray here."""
    chance, made = np.random.default_rng(seed), []
    for at in range(60):
        right = int(chance.integers(40))
        odds, words = chance.normal(8, 6, 40), chance.exponential(3, 40)
        odds[right] = odds.max() + (chance.exponential() if chance.random() < 0.5 else -chance.exponential(1.2))
        words[right] += chance.exponential(8)
        made.append(SearchedQuestion(id=str(at), log_odds=odds, lexical=words, right=right))
    weight = best_weight(made)
    assert 0.1 < weight < 1.0
    assert share_found(made, weight) > max(share_found(made, 0.0), share_found(made, np.inf))
