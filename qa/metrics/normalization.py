"""Which words and characters count, by language."""

import re
import string
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from qa.errors import ConfigError


class _UnicodePunctuation(dict[int, int | str | None]):
    """A table for `str.translate` that drops punctuation of any script; filled as characters are met."""

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        dropped = character in string.punctuation or unicodedata.category(character).startswith("P")
        self[code] = kept = None if dropped else code
        return kept


class LanguageRules(NamedTuple):
    """What does not count in an answer, and which characters are words of their own."""

    articles: re.Pattern[str] | None = None
    character_words: re.Pattern[str] | None = None
    punctuation: Mapping[int, int | str | None] = _UnicodePunctuation()


def _words(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b({'|'.join(words.split())})\b")


_ELISION: Mapping[int, int | str | None] = _UnicodePunctuation({ord("'"): " ", ord("’"): " "})  # l'eau: l, eau
_LANGUAGES = {
    # SQuAD's own rule: ASCII punctuation only, where MLQA's for English drops that of all scripts.
    "en": LanguageRules(_words("a an the"), None, str.maketrans("", "", string.punctuation)),
    # As MLQA's evaluation (Lewis et al. 2020, arXiv:1910.07475).
    "ar": LanguageRules(re.compile("ال")),  # inside words too, as published
    "de": LanguageRules(_words("ein eine einen einem eines einer der die das den dem des")),
    "es": LanguageRules(_words("un una unos unas el la los las")),
    "hi": LanguageRules(),
    "vi": LanguageRules(_words("của là cái chiếc những")),
    "zh": LanguageRules(None, re.compile("[\u4e00-\u9fa5]")),
    # By the same method, for languages that MLQA leaves out.
    "fr": LanguageRules(_words("le la les l un une des du d"), None, _ELISION),
    "ja": LanguageRules(None, re.compile("[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff66-\uff9f]")),
    "ko": LanguageRules(None, re.compile("[\uac00-\ud7a3]")),  # syllables, as in KorQuAD: particles join the word
}


def normalize_answer(text: str, language: str = "en") -> str:
    """Return `text` in lower case, without punctuation and articles, its words joined by single spaces.

    `en` is the SQuAD scripts' rule (ASCII punctuation; a, an, the). The others follow the method of MLQA's evaluation:
    punctuation of all scripts, the language's own articles, and every character a word where script has no spaces.

    Raises:
        ConfigError: a language without rules.
    """
    rules = language_rules(language)
    text = text.lower().translate(rules.punctuation)
    if rules.articles is not None:
        text = rules.articles.sub(" ", text)
    if rules.character_words is not None:
        text = rules.character_words.sub(r" \g<0> ", text)
    return " ".join(text.split())


def language_rules(code: str) -> LanguageRules:
    """Return the rules of a language.

    Raises:
        ConfigError: a language without rules.

    """
    if code not in _LANGUAGES:
        raise ConfigError(f"language is {code!r}; wanted one of {', '.join(sorted(_LANGUAGES))}")
    return _LANGUAGES[code]
