"""Which words and characters count, by language."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from qa.errors import ConfigError, MetricError

Table = Mapping[int, int | str | None]
"""What `str.translate` takes."""


class _UnicodePunctuation(dict[int, int | str | None]):
    """A table for `str.translate` that drops punctuation of any script; filled as characters are met."""

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        dropped = character in string.punctuation or unicodedata.category(character).startswith("P")
        self[code] = kept = None if dropped else code
        return kept


class LanguageRules(NamedTuple):
    """How a language's answers are compared."""

    normalize: Callable[[str], str]
    """Drops what does not count; two texts match exactly where this makes them equal."""
    units: Callable[[str], Sequence[str]]
    """Normalised text -> the words or characters that F1 counts."""
    shared: Callable[[Sequence[str], Sequence[str]], int]
    """How many units two texts have in common."""


def normalize_answer(text: Any, language: str = "en") -> str:  # noqa: ANN401  # checked below
    """Return `text` in lower case, without punctuation and articles, its words joined by single spaces.

    `en` is the SQuAD scripts' rule (ASCII punctuation; a, an, the). The others follow the method of MLQA's evaluation:
    punctuation of all scripts, the articles that a published evaluation lists for the language, and every character a
    word where script has no spaces. Two follow their own set's script: `ko` (KorQuAD) and `zh-cmrc` (CMRC 2018).

    Raises:
        MetricError: not a text.
        ConfigError: see `language_rules`.
    """
    if not isinstance(text, str):
        raise MetricError(f"found {text!r:.80} as answer; wanted a text")
    return language_rules(language).normalize(text)


@cache
def language_rules(code: str) -> LanguageRules:
    """Return the rules of a language by its ISO 639 code; a region or script after it does not count (`en-US`).

    Raises:
        ConfigError: no such code.

    """
    tag, primary = _tag(code), language_code(code)
    known = _OWN.get(tag) or _OWN.get(primary)
    if known is not None:
        return known
    if primary not in _ISO_639_1 and not re.fullmatch("[a-z]{3}", primary):
        raise ConfigError(
            f"language is {code!r}; wanted an ISO 639 code, such as en, ru or pt-BR, or zh-cmrc for CMRC 2018's rule"
        )
    return _mlqa()


def language_code(code: str) -> str:
    """Return the ISO 639 code alone, of two letters where the rules have such: `zh-cmrc` -> zh, `pt_BR` -> pt."""
    primary = _tag(code).split("-")[0]
    return _SHORT.get(primary, primary)


def _tag(code: str) -> str:
    return code.replace("_", "-").lower()


# --- common words and characters ----------------------------------------------------------------------------------


def shared_in_any_order(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the units that two texts share, wherever they stand, as SQuAD does."""
    common = set(one).intersection(other)
    return sum(min(one.count(unit), other.count(unit)) for unit in common)


def shared_characters(one: Sequence[str], other: Sequence[str]) -> int:
    """Count as `shared_in_any_order`, in one pass: texts have many more characters than words."""
    return sum((Counter(one) & Counter(other)).values())


def longest_shared_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the units of the longest run that stands in both texts."""
    longest, before = 0, [0] * (len(other) + 1)
    for unit in one:
        here = [0] + [before[at] + 1 if unit == opposite else 0 for at, opposite in enumerate(other)]
        longest, before = max(longest, *here), here
    return longest


# --- ways of normalising ------------------------------------------------------------------------------------------

_PUNCTUATION: Table = _UnicodePunctuation()
_ELISION: Table = _UnicodePunctuation({ord("'"): " ", ord("’"): " "})  # l'eau: l, eau
_ASCII: Table = str.maketrans("", "", string.punctuation)


def _words(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b({'|'.join(words.split())})\b")


def _normalized(
    text: str, *, articles: re.Pattern[str] | None, characters: re.Pattern[str] | None, punctuation: Table
) -> str:
    text = text.lower().translate(punctuation)
    if articles is not None:
        text = articles.sub(" ", text)
    if characters is not None:
        text = characters.sub(r" \g<0> ", text)
    return " ".join(text.split())


def _mlqa(
    articles: re.Pattern[str] | None = None, characters: re.Pattern[str] | None = None, table: Table = _PUNCTUATION
) -> LanguageRules:
    """Return the rules of MLQA's method: Lewis et al. 2020 (arXiv:1910.07475)."""
    normalize = partial(_normalized, articles=articles, characters=characters, punctuation=table)
    return LanguageRules(normalize, str.split, shared_in_any_order)


_KORQUAD: Table = {**_ASCII, **{ord(character): " " for character in "'\"《》<>〈〉()‘’"}}


def _korquad_characters(text: str) -> list[str]:
    return [character for character in text if character != " "]


_CMRC = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CMRC_UNIT = re.compile(
    r"""[\u4e00-\u9fa5]                # a Chinese character; what lies between is split much as by NLTK
    | [\[\](){}<>;@\#$%&?!"] | ,(?!\d) # punctuation, but for what stands inside numbers
    | (?:[^\s\u4e00-\u9fa5\[\](){}<>;@\#$%&?!",.] | [.,](?=\S))+
    | \.""",
    re.VERBOSE,
)


def _cmrc_normalized(text: str) -> str:
    return text.lower().strip().translate(_CMRC)


# --- the table ----------------------------------------------------------------------------------------------------

_ANY_CHARACTER = re.compile(r"\S")
_NORWEGIAN = _mlqa(_words("en et ei"))
_OWN = {
    # SQuAD's own rule: ASCII punctuation only, where MLQA's for English drops that of all scripts.
    "en": _mlqa(_words("a an the"), table=_ASCII),
    # As MLQA's evaluation.
    "ar": _mlqa(re.compile("ال")),  # inside words too, as published
    "de": _mlqa(_words("ein eine einen einem eines einer der die das den dem des")),
    "es": _mlqa(_words("un una unos unas el la los las")),
    "hi": _mlqa(),
    "vi": _mlqa(_words("của là cái chiếc những")),
    "zh": _mlqa(characters=re.compile("[\u4e00-\u9fa5]")),  # in any order
    # By MLQA's method, with the articles and the languages of characters of MKQA's evaluation (Longpre et al. 2021,
    # arXiv:2007.15207), as whole words.
    "da": _mlqa(_words("en et")),
    "fi": _mlqa(_words("se yks yksi")),
    "fr": _mlqa(_words("le la les l un une des du de d"), table=_ELISION),
    "hu": _mlqa(_words("a az egy")),
    "it": _mlqa(_words("il lo la l i gli le del dello della dell dei degli degl delle un uno una"), table=_ELISION),
    "km": _mlqa(characters=_ANY_CHARACTER),
    "nb": _NORWEGIAN,
    "nl": _mlqa(_words("de het een des der den")),
    "nn": _NORWEGIAN,
    "no": _NORWEGIAN,
    "pt": _mlqa(_words("o a os as um uma uns umas")),
    "sv": _mlqa(_words("en ett")),
    "th": _mlqa(characters=_ANY_CHARACTER),
    # By MLQA's method; kana and kanji.
    "ja": _mlqa(characters=re.compile("[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff66-\uff9f]")),
    # KorQuAD's own (Lim et al. 2019, arXiv:1909.07005): F1 counts every character, exact match also spaces.
    "ko": LanguageRules(
        partial(_normalized, articles=None, characters=None, punctuation=_KORQUAD),
        _korquad_characters,
        shared_characters,
    ),
    # CMRC 2018's own (Cui et al. 2019, arXiv:1810.07366): the longest run in common, where MLQA has a bag.
    "zh-cmrc": LanguageRules(_cmrc_normalized, _CMRC_UNIT.findall, longest_shared_run),
}
_SHORT = {
    code: short
    for short, codes in {
        "ar": "ara", "da": "dan", "de": "deu ger", "en": "eng", "es": "spa", "fi": "fin", "fr": "fra fre", "hi": "hin",
        "hu": "hun", "it": "ita", "ja": "jpn", "km": "khm", "ko": "kor", "nb": "nob", "nl": "nld dut", "nn": "nno",
        "no": "nor", "pt": "por", "sv": "swe", "th": "tha", "vi": "vie", "zh": "zho chi cmn",
    }.items()
    for code in codes.split()
}  # fmt: skip
"""Two-letter codes of the languages above by their three-letter ones."""
_CODES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo "
    "es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka "
    "kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng "
    "nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su "
    "sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
_ISO_639_1 = frozenset(_CODES.split())
