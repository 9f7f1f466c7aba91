"""Texts of all scripts of Unicode: graphemes, normal forms, signs, controls, and special tokens as text."""

import sys
import unicodedata
from typing import NamedTuple

import regex

_BLOCK = 128
_WHITE = (" ", " ", " ", " ", "\n", "\t", "\r\n", "\u00a0", "\u2003", "\u2028", "\u3000")
_CONTROLS = ("\0", "\x07", "\u200b", "\u200c", "\u200d", "\u200e", "\u202e", "\u2066", "\u2069", "\ufeff", "\u00ad")
_SIGNS = (
    "👩‍👩‍👧‍👦",
    "👩\u200d🔬",
    "🇨🇭",
    "🇫🇷🇩🇪",
    "👍🏽",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "🏴\U000e0067\U000e0062\U000e007f",
    "葛\U000e0100",
)
_MARKS = (
    "\u0301",
    "\u0323\u0302",
    "\u064e\u0651",
    "\u05b8",
    "\u093e",
    "\u0e31",
    "\ufe0f",
    "\u1160",
    "\u11ab",
    "\u0600",
    "\u0602",
)
_SPECIAL = (
    "[SEP]",
    "[CLS]",
    "[MASK]",
    "[PAD]",
    "[UNK]",
    "<s>",
    "</s>",
    "<sep>",
    "<cls>",
    "<mask>",
    "<pad>",
    "<unk>",
    "##x",
    "▁",
)
_JOINED_BY_A_MARK = regex.compile(r"[^\p{GCB=Control}\r\n]\p{M}")
_FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def blocks():
    """All assigned characters, by stretches of 128 code points: of no more than a script or two each."""
    found = {}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) not in {"Cn", "Cs", "Co"}:
            found.setdefault(code // _BLOCK, []).append(chr(code))
    return list(found.values())


BLOCKS = blocks()


def piece(chance, letters):
    drawn = chance.random()
    if drawn < 0.72:
        return "".join(chance.choices(letters, k=chance.randint(1, 7)))
    kind = chance.choice((_CONTROLS, _SIGNS, _MARKS, _SPECIAL, (".", ",", "'", "-", "7", "42", "Ada", "the")))
    return chance.choice(kind)


def text(chance, longest=24):
    letters = chance.choice(BLOCKS)
    if chance.random() < 0.3:
        letters = letters + chance.choice(BLOCKS)
    pieces = [piece(chance, letters) + chance.choice(("", "", *_WHITE)) for _ in range(chance.randint(1, longest))]
    whole = "".join(pieces)
    return unicodedata.normalize(chance.choice(_FORMS), whole) if chance.random() < 0.5 else whole


class Row(NamedTuple):
    """A question about a context, and a reference: a stretch of whole characters that is not white space alone."""

    question: str
    context: str
    answer: str
    start: int
    borders: list[int]
    """Of what people take for a character, in the context."""


def borders(context):
    starts = [found.start() for found in regex.finditer(r"\X", context)]
    return [at for at in starts if at == 0 or not _JOINED_BY_A_MARK.match(context, at - 1)] + [len(context)]


def rows(chance, count, longest=24):
    """Draw examples whose contexts differ, of at most `longest` pieces."""
    found = {}
    while len(found) < count:
        context = text(chance, longest)
        places = borders(context)
        first, last = sorted(chance.sample(range(len(places)), 2)) if len(places) > 1 else (0, 0)
        answer = context[places[first] : places[last]]
        if answer.strip():
            found[context] = Row(text(chance, max(1, longest // 6)), context, answer, places[first], places)
    return list(found.values())
