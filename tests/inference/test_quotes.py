"""Where a quote stands in a source, word for word or otherwise written; and what of an answer is looked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.inference import quotes
from qa.inference.quotes import find_quote, quoted_parts, without_citations
from tests.benchmarks.quote_fuzz import run

SOURCE = (
    "The light-\n   house of Skarholm, a well-\nknown tower, was “built in 1871” by Ragna Lund — it's 34 metres tall. "
    "We're in the heart of Art. Re-sign it. 18710 cafe\u0301. 서울에서 그는 살았다."
)


def found(quote, source=SOURCE):
    standing = find_quote(quote, source)
    return standing and (standing.verdict, source[standing.start : standing.end])


@pytest.mark.parametrize(
    "quote", ["by Ragna Lund", " by Ragna Lund\n", "1871", "well-\nknown", "Art", "서울에서", "서울"]
)
def test_what_stands_there_is_verbatim(quote):
    assert found(quote) == ("verbatim", quote.strip())


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("BY RAGNA\tlund", "by Ragna Lund"),
        ("art", "Art"),  # not what is inside of "heart"
        ("café", "cafe\u0301"),
        ("lighthouse of Skarholm", "light-\n   house of Skarholm"),
        ("light-\nhouse of Skarholm", "light-\n   house of Skarholm"),
        ("well-known tower", "well-\nknown tower"),
        ("a well-known tower", "a well-\nknown tower"),
        ('was "built in 1871" by', "was “built in 1871” by"),
        ("was «built in 1871» by", "was “built in 1871” by"),
        ("“built in 1871,”", "built in 1871"),
        ("Ragna Lund -- it’s 34", "Ragna Lund — it's 34"),
        ("it's 34 metres tall!", "it's 34 metres tall"),
        ("... by Ragna Lund ...", "by Ragna Lund"),
        ("“built in 1871” … 34 metres tall", "built in 1871” by Ragna Lund — it's 34 metres tall"),
        ("a well-known tower [...] by Ragna Lund", "a well-\nknown tower, was “built in 1871” by Ragna Lund"),
    ],
)
def test_what_is_written_otherwise_is_moved(quote, text):
    assert found(quote) == ("moved", text)


@pytest.mark.parametrize(
    "quote",
    [
        "871",  # inside of a number
        "1872",
        "hear",
        "Were in the heart",  # another word than "We're"
        "resign it",  # another word than "Re-sign"
        "cafe",
        "Ragna Lund … built in 1871",  # the other way round
        "the … tall",  # single words stand everywhere
        "Ragna Erik Lund",
        "",
        " \n",
        "...",
        "\u200b",
    ],
)
def test_what_does_not_stand_there_is_not_found(quote):
    assert found(quote) is None


@pytest.mark.parametrize(
    ("quote", "source"),
    [
        ("The population grew by 3.", "The population grew by 3.7 million."),
        ("400 km long", "It is 6,400 km long."),
        ("5 million people", "It has 1.5 million people."),
        ("5 DEGREES", "It was -5 degrees."),
        ("version 1.5", "version 1.5.3"),
        ("The river is … 400 km long", "The river is, it is said, 6,400 km long."),
        ("The river is 6, … with the delta", "The river is 6,400 km long with the delta."),
        ("it has grown … by 3.", "It has grown a lot, by 3.7 million."),
    ],
)
def test_a_part_of_a_number_is_another_number(quote, source):
    assert found(quote, source) is None


@pytest.mark.parametrize(
    ("quote", "source"),
    [
        ("grew by 3.", "It grew by 3. It fell."),
        ("grew by 3.", "It grew by 3"),
        ("1995", "from 1990-1995 on"),
        ("5", "on pages 3-5 of it"),
        ("-5 degrees", "It was −5 degrees."),
        ("4", "3, 4"),
    ],
)
def test_a_whole_number_is_found(quote, source):
    assert found(quote, source) is not None


def test_parts_of_a_quote_stand_near_each_other():
    for gap, is_found in ((400, True), (600, False)):
        source = "They built the tower" + " x" * (gap // 2) + " in the north."
        assert (found("built the tower … in the north", source) is not None) == is_found


def test_nothing_takes_time_that_grows_faster_than_the_text():
    """Each would take minutes if every place were tried for every other."""
    long = 20_000
    for source in ("a" * long, "a" + " " * long + "b", "." * long, "-\n" * long, "“" * long, "ab " * long):
        assert find_quote("b a c", source) is None
        quoted_parts(source)


def test_what_is_found_is_a_stretch_of_its_source():
    """`python -m tests.benchmarks.quote_fuzz` does the same with a million cases."""
    counts = run(4_000, seed=1)
    assert min(counts["verbatim"], counts["moved"], counts[None]) > 200


def test_quotations_and_sentences_without_them_are_looked_for():
    answer = (
        'It was early. It says "built in 1871. It stands" and „zwei Wörter“. Its "end" came. Don\'t ‘do it now’.\n- So'
    )
    assert [answer[start:end] for start, end in quoted_parts(answer)] == [
        "It was early.",
        "built in 1871. It stands",
        "zwei Wörter",
        'Its "end" came.',
        "do it now",
        "- So",
    ]
    assert quoted_parts("") == quoted_parts(" ?! ") == []


def test_citations_are_left_out():
    assert without_citations("It was built in 1871 [2, 3]. See [a].") == "It was built in 1871 . See [a]."


def test_many_places_of_a_first_part_cost_no_search_each(monkeypatch):
    """As many as a source may have would take minutes."""
    searches = []
    found = quotes.find_places

    def counted(*given):
        searches.append(1)
        return found(*given)

    monkeypatch.setattr(quotes, "find_places", counted)
    assert find_quote("a a … zz zz", "a a " * 5_000 + "b " * 500 + "zz zz") is None
    assert find_quote("a a … zz zz", "a a " * 5_000 + "zz zz") is not None
    assert len(searches) < 20


def test_parts_may_come_again_before_the_first_and_after_the_last():
    source = "so it goes on. It was built by Ada, and on it goes, so it goes on, and so it goes on."
    standing = find_quote("built by Ada … so it goes on", source)
    assert source[standing.start : standing.end] == "built by Ada, and on it goes, so it goes on"


def end_of_parts(parts, source, begin):
    """The dull way: each part is looked for from where the one before it ends, character by character."""
    for part in parts:
        places = [at for at in range(begin, begin + 501) if source.startswith(part, at)]
        whole = [at for at in places if find_quote(part, source[at - 1 : at + len(part) + 1]) is not None]
        if not whole:
            return None
        begin = whole[0] + len(part)
    return begin


@given(st.randoms(use_true_random=False))
def test_parts_beside_omissions_are_found_as_by_looking_after_each(random):
    """Of words that do not come twice in a part."""
    words = ["the", "old", "mill", "of", "Oslo", "was", "not", "burnt", "and", "so", "it", "goes"]
    source = f" {' '.join(random.choices(words, k=150))} "
    parts = [" ".join(random.sample(words, 2)) for _ in range(3)]
    firsts = [at for at in range(len(source)) if source.startswith(f" {parts[0]} ", at)]
    ends = [(at + 1, end_of_parts(parts[1:], source, at + 1 + len(parts[0]))) for at in firsts]
    wanted = next(((begin, end) for begin, end in ends if end is not None), None)
    standing = find_quote(" … ".join(parts), source)
    assert (standing and (standing.start, standing.end)) == wanted
