"""The embedded sets in other languages, scored by the rules of their language and by English ones."""

from statistics import mean

import pytest

from qa import metrics
from tests.support import tiny


def references(language):
    return {row["id"]: row["answers"]["text"] for row in tiny.sample_rows("validation", language)}


@pytest.mark.parametrize("language", ["ar", "zh"])
def test_every_reference_is_right(language):
    wanted = references(language)
    found = {name: texts[-1] if texts else "" for name, texts in wanted.items()}
    null_odds = {name: -1.0 if texts else 1.0 for name, texts in wanted.items()}
    scores = metrics.score(found, wanted, null_odds=null_odds, language=language)
    assert (scores["exact"], scores["f1"], scores["total"]) == (100, 100, len(wanted))


@pytest.mark.parametrize(("rules", "least", "most"), [("zh", 70, 95), ("zh-cmrc", 70, 95), ("en", 0, 25)])
def test_nearly_right_chinese_answers_count_by_chinese_rules_alone(rules, least, most):
    """English ones take a whole answer for a word, so that what lacks a character is all wrong."""
    first = [texts[0] for texts in references("zh").values() if texts]
    assert least < 100 * mean(metrics.f1(text[:-1], [text], rules) for text in first) < most


def test_the_arabic_article_does_not_count_by_arabic_rules():
    with_article = [texts[0] for texts in references("ar").values() if texts and texts[0].startswith("ال")]
    assert len(with_article) > 5
    for text in with_article:
        assert metrics.exact_match(text.removeprefix("ال"), [text], "ar") == 1
        assert metrics.exact_match(text.removeprefix("ال"), [text], "en") == 0
