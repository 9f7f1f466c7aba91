"""Where an answer stands: as it is, or but for case, white space and normal form; and which place is meant."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.data.placing import CharSpan, choose_place, find_places, find_words, offset_unit


def texts(context, text):
    return [context[place.start : place.end] for place in find_places(context, text)]


@pytest.mark.parametrize(
    ("context", "text", "wanted"),
    [
        ("Lund and Lund", "Lund", ["Lund", "Lund"]),
        ("aaa", "aa", ["aa", "aa"]),  # places may overlap
        ("by Ragna Lund", " Ragna Lund\n", ["Ragna Lund"]),
        ("by Ragna\n Lund", "ragna lund", ["Ragna\n Lund"]),
        ("34\u00a0m", "34 m", ["34\u00a0m"]),
        ("34 m", "34m", ["34 m"]),
        ("nami\u200ckhaham", "namikhaham", ["nami\u200ckhaham"]),
        ("so\u00adft", "soft", ["so\u00adft"]),
        ("北京 大学", "北京大学", ["北京 大学"]),
        ("Straße", "STRASSE", ["Straße"]),
        ("ＡＢＣ", "abc", ["ＡＢＣ"]),
        ("x² + 1", "x2", ["x²"]),
        ("the ﬁne", "fine", ["ﬁne"]),
        ("ΣΑΣ", "σας", ["ΣΑΣ"]),
        ("nothing", "some", []),
        ("", "x", []),
        ("x", "", []),
        ("x", " ", []),
        ("x", "\u200b", []),
    ],
)
def test_a_text_is_found_whatever_its_case_white_space_and_normal_form(context, text, wanted):
    assert texts(context, text) == wanted


def test_as_it_is_goes_before_as_it_could_be():
    assert texts("may May MAY", "May") == ["May"]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
@pytest.mark.parametrize("text", ["Café", "Việt Nam", "각시", "क़लम", "שָׁלוֹם", "ا\u064eل"])
def test_normal_forms_are_the_same(form, other, text):
    context = unicodedata.normalize(form, f"x {text} y")
    (found,) = texts(context, unicodedata.normalize(other, text))
    assert unicodedata.normalize("NFKC", found) == unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ("Café", "CAFE"),  # the letter has its accent inside
        (unicodedata.normalize("NFD", "Café"), "CAFE"),  # or behind
        (unicodedata.normalize("NFD", "각시"), unicodedata.normalize("NFC", "가").upper()),
        ("각시", unicodedata.normalize("NFD", "가")),
        ("ﬀ", "F"),  # half of a ligature
    ],
)
def test_another_spelling_never_begins_or_ends_inside_a_character(context, text):
    assert find_places(context, text) == []


def test_a_text_that_is_there_as_it_is_prefers_whole_characters():
    context = "cafe\u0301 cafe"
    assert find_places(context, "cafe") == [CharSpan(6, 10)]
    assert find_places("cafe\u0301", "cafe") == [CharSpan(0, 4)]


@given(st.text(max_size=20), st.integers(0, 20), st.integers(0, 20))
def test_every_part_of_a_text_is_found_at_its_place_or_at_a_whole_one(context, begin, length):
    text = context[begin : begin + length]
    places = find_places(context, text)
    assert all(place.start < place.end <= len(context) for place in places)
    if text:
        assert places
        assert all(context[place.start : place.end] == text for place in places)


PLACES = [CharSpan(0, 4), CharSpan(10, 14), CharSpan(20, 24)]
PLAIN = "Lund ----- Lund ----- Lund"


@pytest.mark.parametrize(("start", "wanted"), [(0, 0), (4, 0), (5, 0), (6, 10), (11, 10), (10**30, 20), (None, None)])
def test_the_nearest_place_is_meant_and_without_a_start_none(start, wanted):
    place = choose_place(PLAIN, PLACES, start)
    assert (None if place is None else place.start) == wanted


def test_the_only_place_is_meant_whatever_is_stated():
    assert choose_place(PLAIN, PLACES[1:2], None) == PLACES[1]
    assert choose_place(PLAIN, [], 3) is None


def test_a_place_counted_by_a_browser_goes_before_the_nearest():
    context = "😀😀😀😀 Lund Lund Lund"
    places = find_places(context, "Lund")
    assert [place.start for place in places] == [5, 10, 15]
    assert choose_place(context, places, 5 + 4) == places[0]
    assert choose_place(context, places, 10 + 4) == places[1]
    assert choose_place(context, places, 10 + 3) == places[2]  # no place for a browser, and nearer to the last


def test_a_place_counted_in_bytes_goes_before_the_nearest():
    context = "Пётр и Иван. Иван и Иван."
    places = find_places(context, "Иван")
    for place in places:
        start = len(context[: place.start].encode())
        assert choose_place(context, places, start) == place
        assert offset_unit(context, place, start) == "UTF-8 bytes"
    assert offset_unit(context, places[1], places[1].start + 1) is None
    assert offset_unit("😀 Lund", CharSpan(2, 6), 3) == "UTF-16 units"
    assert offset_unit("plain Lund", CharSpan(6, 10), 6) is None


@pytest.mark.parametrize(
    ("context", "text", "wanted"),
    [
        ("a party of art", "art", [11]),
        ("the party, Art", "art", [11]),  # in another case, and whole
        ("a party", "art", []),
        ("an artist", "art", []),
        ("H2O", "H", []),
        ("in the 1990s, 20km", "1990", [7]),
        ("in the 1990s, 20km", "km", [16]),
        ("राम रामायण", "राम", [0]),
        ("cafe\u0301", "cafe", []),
        ("他在北京大学读书", "北京", [2]),
        ("東京タワーで", "タワー", [2]),
        ("ประเทศไทยสวย", "ไทย", [6]),
        ("iPhone手机", "iPhone", [0]),
        ("서울에서 서울", "서울", [5]),
        ("그는 서울에서", "서울", [3]),
        ("북서울에서", "서울", []),
        ("وباريس جميلة", "باريس", [1]),
        ("בירושלים", "ירושלים", [1]),
        ("okulda", "okul", []),
        ("Ankara'da", "Ankara", [0]),
    ],
)
def test_words_are_whole_where_a_script_has_them(context, text, wanted):
    assert [place.start for place in find_words(context, text)] == wanted
