"""Borders of words, in any script."""

import unicodedata

from qa.features.graphemes import cuts_cluster

# Scripts that are written without spaces between words: Thai, Lao, Burmese, Khmer, Tai, kana, han.
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x1950, 0x19DF),
    (0x1A20, 0x1AAF),
    (0x3005, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAADF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
_ZERO_WIDTH_SPACE = "\u200b"


def word_borders(text: str, start: int, end: int) -> tuple[int, int]:
    """Grow a span whose border lies inside a word, or inside a grapheme cluster, to the border of that.

    A word is letters, digits and marks without anything between but signs that nobody sees, such as the joiners of
    Persian and Hindi; where script has no spaces, a cluster is a word.
    """
    while cuts_word(text, start):
        start -= 1
    while cuts_word(text, end):
        end += 1
    return start, end


def cuts_word(text: str, at: int) -> bool:
    """Tell whether a word, or a grapheme cluster, goes on from before `at` to after it."""
    if not 0 < at < len(text):
        return False
    before, after = at - 1, at
    while before > 0 and _is_unseen(text[before]):
        before -= 1
    while after < len(text) - 1 and _is_unseen(text[after]):
        after += 1
    return (_in_word(text[before]) and _in_word(text[after])) or cuts_cluster(text, at)


def _is_unseen(character: str) -> bool:
    if character.isascii():
        return False
    return unicodedata.category(character) == "Cf" and character != _ZERO_WIDTH_SPACE


def _in_word(character: str) -> bool:
    if character.isascii():
        return character.isalnum()
    code = ord(character)
    return unicodedata.category(character)[0] in "LMN" and not any(low <= code <= high for low, high in _WITHOUT_SPACES)
