"""Borders of words."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.features.graphemes import cuts_cluster
from qa.inference.words import number_borders, word_borders
from tests.support.predictors import byte_level_predictor


@pytest.mark.parametrize(
    ("text", "part", "wanted"),
    [
        ("Born in 1990s Oslo.", "1990", "1990s"),
        ("Beyoncé sang", "Beyonc", "Beyoncé"),
        ("an anti-war march", "war", "war"),
        ("cost $400 million", "00 mill", "400 million"),
        ("Don't go", "Do", "Don"),
        ("हिन्दी भाषा", "हिन", "हिन्दी"),
        ("東京は日本の首都", "日本", "日本"),
        ("whole", "whole", "whole"),
    ],
)
def test_borders_inside_a_word_move_to_its_border(text, part, wanted):
    start = text.index(part)
    begin, end = word_borders(text, start, start + len(part))
    assert text[begin:end] == wanted


@given(st.text(alphabet="ab 1.-é本", min_size=1, max_size=12), st.data())
@settings(max_examples=200, deadline=None)
def test_word_borders_equal_the_dull_way(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    inside = [character in "ab1é" for character in text]
    borders = [at for at in range(len(text) + 1) if at in (0, len(text)) or not (inside[at - 1] and inside[at])]
    wanted = max(at for at in borders if at <= start), min(at for at in borders if at >= end)
    assert word_borders(text, start, end) == wanted


SIGNS = "ab း1\r\n\u0301\u200d\u200c👩🔬🇫🇷👍🏽ทำ่क्षி가각\ufe0f"


@given(st.text(alphabet=SIGNS, min_size=1, max_size=14), st.data())
@settings(max_examples=300, deadline=None)
def test_aligned_spans_hold_the_span_and_whole_signs(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    begin, stop = word_borders(text, start, end)
    assert begin <= start < end <= stop
    assert not cuts_cluster(text, begin)
    assert not cuts_cluster(text, stop)
    assert word_borders(text, begin, stop) == (begin, stop)


def cuts_word(text, at):
    """Tell the dull way whether a word or a cluster goes on from before `at` to after it."""
    if not 0 < at < len(text):
        return False
    before, after = at - 1, at
    while before > 0 and is_unseen(text[before]):
        before -= 1
    while after < len(text) - 1 and is_unseen(text[after]):
        after += 1
    return (in_word(text[before]) and in_word(text[after])) or cuts_cluster(text, at)


def is_unseen(character):
    return unicodedata.category(character) == "Cf" and character != "\u200b"


def in_word(character):
    return unicodedata.category(character)[0] in "LMN" and character not in "ท่ำ北本か\U00020000"


JOINERS = "ab1. -\u00ad\u00ad\u200d\u200d\u2060\u200b\u0600👩👩🇫🇫🇷\u0301\ufe0f\U000e0100\r\n北本か\U00020000ท่ำक्षé가"


@given(st.text(alphabet=JOINERS, min_size=1, max_size=20) | st.text(min_size=1, max_size=6, alphabet="\u00ad\u200da🇫"))
@settings(max_examples=500, deadline=None)
def test_borders_of_joining_characters_equal_the_dull_way(text):
    borders = [at for at in range(len(text) + 1) if not cuts_word(text, at)]
    for at in range(len(text) + 1):
        wanted = max(border for border in borders if border <= at), min(border for border in borders if border >= at)
        assert word_borders(text, at, at) == wanted


@pytest.mark.parametrize("run", ["\u00ad", "\u200d👩", "\u0301", "🇫", "\u0600", "क्", "\u2060x", "\u1161"])
def test_borders_in_a_long_run_of_joining_characters_are_found_at_once(run):
    """Each would take hours if every place read the run that it is in."""
    text = "👩" + run * 200_000 + "b c"
    places = range(0, len(text), 50)
    grown = [word_borders(text, at, at) for at in places]
    assert grown == sorted(grown)
    assert all(start <= at <= end for at, (start, end) in zip(places, grown, strict=True))
    assert word_borders(text, len(text) - 1, len(text)) == (len(text) - 1, len(text))


# --- numbers ---


@pytest.mark.parametrize(
    ("text", "part", "wanted"),
    [
        ("grew by 3.7 million", "3", "3.7"),
        ("grew by 3.7 million", "3.", "3.7"),
        ("It is 6,400 km long.", "400 km", "6,400 km"),
        ("version 1.5.3", "version 1.5", "version 1.5.3"),
        ("at 10:30", "30", "10:30"),
        ("on 05/06/2020", "06", "05/06/2020"),
        ("6'400 or 6’400", "6", "6'400"),
        ("٣٫٥", "٥", "٣٫٥"),
        ("it was -5 degrees", "5 degrees", "-5 degrees"),
        ("it was −5", "5", "−5"),
        ("it was –5", "5", "–5"),
        ("+1.5 %", "5 %", "+1.5 %"),
        ("(-5)", "5", "-5"),
        ("6\u00a0400 km", "400 km", "6\u00a0400 km"),
        ("1\u202f000\u202f000", "000", "1\u202f000\u202f000"),
        ("3\u2060.\u20607", "7", "3\u2060.\u20607"),
    ],
)
def test_borders_inside_a_number_move_to_its_border(text, part, wanted):
    start = text.index(part)
    begin, end = number_borders(text, start, start + len(part))
    assert text[begin:end] == wanted


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("It grew by 3. In 4", "3"),
        ("It grew by 3.", "3."),
        ("1990-1995", "1995"),
        ("pages 3-5", "5"),
        ("3%–5%", "5%"),
        ("many--5 in all", "5 in all"),
        ("3, 4", "3"),
        ("- 5 apples", "5 apples"),
        ("covid-19", "19"),
        ("in 1541\u00a0500 men", "500 men"),
        ("3\u00a0km", "3"),
        ("3\u200b.7", "3"),
        ("x.5", "5"),
        ("", ""),
    ],
)
def test_borders_of_whole_numbers_stay(text, part):
    start = text.index(part)
    assert number_borders(text, start, start + len(part)) == (start, start + len(part))


def test_numbers_without_end_are_found_at_once():
    for run in ("1.", "1\u00ad", "\u00ad", "-", "1\u00a0000", "1-"):
        text = "1" + run * 300_000
        for at in range(0, len(text), 300):
            assert number_borders(text, at, at)[0] <= at


def test_a_border_of_words_may_be_inside_of_a_number():
    assert word_borders("6,400 km", 2, 8) == (2, 8)


# --- whole answers of a reader whose tokens are bytes: its borders are anywhere ---


@pytest.fixture(scope="module")
def byte_predictor(tmp_path_factory):
    return byte_level_predictor(tmp_path_factory.mktemp("bytes"))


def aligned(predictor, context):
    return predictor(
        question="누가?", context=context, top_k=2000, max_answer_length=100, no_answer=False, align_to_words=True
    )


@pytest.mark.parametrize(
    "context",
    ["ท่าเรือสร้างโดยสมชายที่เชียงใหม่", "ທ່າເຮືອສ້າງໂດຍ", "ကမ်းနားကို ဆောက်ခဲ့သည်", "ផែត្រូវបានសាងសង់"],
    ids=["Thai", "Lao", "Burmese", "Khmer"],
)
def test_aligned_answers_do_not_begin_with_a_mark(byte_predictor, context):
    found = aligned(byte_predictor, context)
    assert len(found) > 10
    assert not [one for one in found if unicodedata.category(one["answer"][0]).startswith("M")]


def test_aligned_answers_do_not_cut_signs_of_several_code_points(byte_predictor):
    context = "The team 👩‍🔬 met in 🇫🇷🇩🇪 and said 👍🏽 twice, 1️⃣ e\u0301te\u0301."
    for one in aligned(byte_predictor, context):
        assert not cuts_cluster(context, one["start"])
        assert not cuts_cluster(context, one["end"])


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d", "\u00ad", "\u2060"])
def test_aligned_answers_take_joiners_for_parts_of_words(byte_predictor, joiner):
    context = f"او نمی{joiner}خواهم را گفت"
    found = aligned(byte_predictor, context)
    assert found
    for one in found:
        assert joiner not in (context[one["start"] - 1 : one["start"]], context[one["end"] : one["end"] + 1])
        assert not one["answer"].startswith(joiner)
        assert not one["answer"].endswith(joiner)


def test_a_space_without_width_is_between_words():
    assert word_borders("ab\u200bcd", 0, 1) == (0, 2)


def test_borders_in_a_long_text_without_spaces_are_found_at_once():
    text = "ท่า" * 200_000
    assert word_borders(text, 300_001, 300_002) == (300_000, 300_002)
