"""What counts in an answer, by language: against the published evaluations, written out plainly."""

import re
import string
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.errors import ConfigError
from qa.metrics import exact_match, f1, load, normalize_answer, score

TEXT = st.lists(st.sampled_from(["The", "cat", "a.", "“", "ﬁ", "İ", "3,5"]) | st.text(max_size=4)).map(" ".join)


# --- English and MLQA ---


@given(TEXT)
def test_english_is_normalised_as_published(text):
    kept = "".join(character for character in text.lower() if character not in set(string.punctuation))
    assert normalize_answer(text) == " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def plain_mlqa_words(text):
    """Chinese characters one by one, what stands between them split at spaces."""
    words, run = [], ""
    for character in text:
        if "\u4e00" <= character <= "\u9fa5":
            words += [*run.split(), character]
            run = ""
        else:
            run += character
    return words + run.split()


def without_punctuation(text):
    return "".join(c for c in text if not unicodedata.category(c).startswith("P") and c not in string.punctuation)


@given(st.text(alphabet="北京大学 ab1。，、.\n\u3000龥龦", max_size=12))
def test_chinese_is_split_as_published(text):
    assert normalize_answer(text, "zh") == " ".join(plain_mlqa_words(without_punctuation(text.lower())))


def test_a_chinese_answer_that_is_nearly_right_has_an_f1():
    texts, references = {"1": "北京大学"}, {"1": ["北京的大学"]}
    assert score(texts, references)["f1"] == 0.0
    assert score(texts, references, language="zh")["f1"] == pytest.approx(100 * 8 / 9)


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("en", "The «cat», a U.S. theatre!", "«cat» us theatre"),  # ASCII punctuation only
        ("de", "„Die Katze“ und der Hund", "katze und hund"),
        ("es", "¿Los gatos? ¡Una vez!", "gatos vez"),
        ("vi", "Những con mèo của tôi", "con mèo tôi"),
        ("hi", "दिल्ली।", "दिल्ली"),
        ("ar", "الكتاب، كتاب", "كتاب كتاب"),
        ("ar", "مثال", "مث"),  # as published: also where the letters are no article
        ("zh", "在2008年的Beijing 奥运会。", "在 2008 年 的 beijing 奥 运 会"),
        ("fr", "L’eau, l'École d'Athènes et la mer", "eau école athènes et mer"),
        ("fr", "le pont d'Arcole, la bataille de Waterloo", "pont arcole bataille waterloo"),
        ("it", "Il “mostro” dell'isola, l'acqua", "mostro isola acqua"),
        ("it", "la lattuga", "lattuga"),  # an article at the start of a word stays
        ("nl", "Het huis van de koning", "huis van koning"),
        ("pt", "O rio e as pontes", "rio e pontes"),
        ("sv", "Ett hus", "hus"),
        ("no", "Ei hytte", "hytte"),
        ("da", "Et hus", "hus"),
        ("fi", "se talo", "talo"),
        ("hu", "Az erdő", "erdő"),
        ("th", "แม่น้ำ", "แ ม ่ น ้ ำ"),
        ("ja", "東京タワー(333m)。", "東 京 タ ワ ー 333m"),
        ("ko", "‘서울’은 <Seoul> (수도)", "서울 은 seoul 수도"),
        ("zh-cmrc", " 《北京》-A，b ", "北京ab"),
    ],
)
def test_every_language_has_its_articles_words_and_punctuation(language, text, wanted):
    assert normalize_answer(text, language) == wanted


# --- Any other language ---


@pytest.mark.parametrize(
    "language", ["ru", "it", "th", "tr", "pt", "pl", "el", "ro", "sw", "te", "bn", "id", "he", "gsw"]
)
def test_any_language_is_scored_without_punctuation_of_any_script(language):
    assert exact_match("«Мост».", ["мост"], language) == 1.0
    assert exact_match("“Köprü”", ["köprü"], language) == 1.0
    assert f1("alpha beta", ["alpha gamma"], language) > 0


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en-US", "en"),
        ("en_GB", "en"),
        ("EN", "en"),
        ("eng", "en"),
        ("zh-CN", "zh"),
        ("zh-Hant-TW", "zh"),
        ("cmn", "zh"),
        ("pt-BR", "pt"),
        ("deu", "de"),
        ("ger", "de"),
        ("kor", "ko"),
        ("ZH_CMRC", "zh-cmrc"),
    ],
)
def test_regions_scripts_and_long_codes_have_the_rules_of_their_language(tag, language):
    for text in ("The «cat» 一二, der o 서울 (x)", "-a：b"):
        assert normalize_answer(text, tag) == normalize_answer(text, language)


@pytest.mark.parametrize("code", ["", "xx", "jp", "english", "e", "en us", "日本"])
def test_what_is_no_code_of_a_language_is_refused(code):
    for call in (
        lambda: normalize_answer("x", code),
        lambda: load("squad", code),
        lambda: score({"1": "x"}, {"1": ["x"]}, language=code),
    ):
        with pytest.raises(ConfigError, match=f"language is '{code}'; wanted an ISO 639 code, such as en"):
            call()


# --- KorQuAD 1.0, as published ---


def korquad_normalize(text):
    for mark in "'\"《》<>〈〉()‘’":
        text = text.replace(mark, " ")
    return " ".join("".join(c for c in text.lower() if c not in set(string.punctuation)).split())


def korquad_f1(prediction, reference):
    predicted, wanted = (list(korquad_normalize(text).replace(" ", "")) for text in (prediction, reference))
    same = sum((Counter(predicted) & Counter(wanted)).values())
    if same == 0:
        return 0
    precision, recall = same / len(predicted), same / len(wanted)
    return 2 * precision * recall / (precision + recall)


KOREAN = st.text(alphabet="2018년AB삼성 GALAXY S갤럭시〈〉《》()‘’'\"-.·", max_size=12)


@given(KOREAN, st.lists(KOREAN, min_size=1, max_size=3))
def test_korean_is_scored_as_korquad_does(prediction, references):
    found = score({"1": prediction}, {"1": references}, language="ko")
    exact = max(korquad_normalize(prediction) == korquad_normalize(reference) for reference in references)
    assert found["exact_match"] == 100.0 * exact
    assert found["f1"] == pytest.approx(100 * max(korquad_f1(prediction, reference) for reference in references))


@pytest.mark.parametrize(
    ("prediction", "reference", "wanted"),
    [("2018", "2018년", 0.889), ("AB", "ABC", 0.8), ("삼성 GALAXY", "삼성 GALAXY S", 0.941)],
)
def test_latin_letters_and_digits_count_one_by_one_in_korean(prediction, reference, wanted):
    assert f1(prediction, [reference], "ko") == pytest.approx(wanted, abs=5e-4)


# --- CMRC 2018, as published, but for the tokenizer of what is not Chinese ---

CMRC_MARKS = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"


def cmrc_remove_punctuation(text):
    return "".join(c for c in text.lower().strip() if c not in CMRC_MARKS)


def cmrc_segments(text):
    found, run = [], ""
    for character in text.lower().strip():
        if character in CMRC_MARKS:
            continue
        if "\u4e00" <= character <= "\u9fa5":
            found += [*run.split(), character]
            run = ""
        else:
            run += character
    return found + run.split()


def cmrc_lcs(one, other):
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    longest = 0
    for i in range(len(one)):
        for j in range(len(other)):
            if one[i] == other[j]:
                table[i + 1][j + 1] = table[i][j] + 1
                longest = max(longest, table[i + 1][j + 1])
    return longest


def cmrc_f1(prediction, reference):
    predicted, wanted = cmrc_segments(prediction), cmrc_segments(reference)
    longest = cmrc_lcs(predicted, wanted)
    if longest == 0:
        return 0
    precision, recall = longest / len(predicted), longest / len(wanted)
    return 2 * precision * recall / (precision + recall)


CHINESE = st.text(alphabet="北京大学京北ab12 ，。《》-", max_size=12)


@given(CHINESE, st.lists(CHINESE, min_size=1, max_size=3))
def test_cmrc_scores_the_longest_run_in_common(prediction, references):
    found = score({"1": prediction}, {"1": references}, language="zh-cmrc")
    exact = max(cmrc_remove_punctuation(prediction) == cmrc_remove_punctuation(one) for one in references)
    assert found["exact_match"] == 100.0 * exact
    assert found["f1"] == pytest.approx(100 * max(cmrc_f1(prediction, reference) for reference in references))


def test_chinese_has_mlqas_bag_of_characters_and_cmrcs_longest_run():
    assert f1("北京大学", ["大学北京"], "zh") == 1.0
    assert f1("北京大学", ["大学北京"], "zh-cmrc") == 0.5


@pytest.mark.parametrize(
    ("prediction", "reference", "wanted"),
    [("3.5", "3.5%", 2 / 3), ("1,234人", "1,234", 2 / 3), ("NBA, 2018", "NBA", 0.5)],
)
def test_what_is_not_chinese_is_split_at_its_punctuation_but_not_inside_numbers(prediction, reference, wanted):
    assert f1(prediction, [reference], "zh-cmrc") == pytest.approx(wanted)
