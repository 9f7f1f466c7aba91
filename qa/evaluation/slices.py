"""Examples -> groups of alike ones, by what can be told of them without a model.

Kinds: question word (English only), length of the answer in words, length of the context, place of the answer,
number of different references, answerable or not, and windows where they are counted. An example is in at most one
group of each kind.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from qa.metrics import normalize_answer
from qa.metrics.normalization import language_code

Flags = Bool[np.ndarray, "example"]
Row = Mapping[str, Any]

_QUESTION_WORDS = re.compile(r"\b(how (?:many|much)|who|whom|whose|when|where|why|which|what|how)\b")
_SAME_WORD = {"whom": "who", "whose": "who", "how much": "how many"}
_ANSWER_WORDS = ((1, "1"), (2, "2"), (4, "3–4"), (8, "5–8"))
_CONTEXT_CHARACTERS = ((499, "under 500"), (999, "500–999"), (1999, "1,000–1,999"))
_WINDOWS = ((1, "one"), (2, "two"), (4, "three or four"))


def slices(rows: Iterable[Row], *, language: str = "en") -> dict[str, Flags]:
    """Return the members of each group, named `kind: group`, in the order of the kinds above.

    Args:
        rows: examples with references, as `Examples.rows` holds them, and `windows`, their number, where it is known.
        language: decides what a word is, as in the scores.

    """
    examples = [groups_of(row, language=language) for row in rows]
    found: dict[str, Flags] = {}
    for kind in KINDS:
        groups = [row[kind] for row in examples]
        for group in sorted({group for group in groups if group is not None}, key=_order):
            found[f"{kind}: {group}"] = np.array([one == group for one in groups], dtype=bool)
    return found


def groups_of(row: Row, *, language: str = "en") -> dict[str, str | None]:
    """Return the group of an example by kind; None where a kind says nothing of it."""
    return {kind: group_of(row, language) for kind, group_of in _KINDS.items()}


def _question_word(row: Row, language: str) -> str | None:
    if language_code(language) != "en":
        return None
    word = _QUESTION_WORDS.search(row["question"].lower())
    return _SAME_WORD.get(word[1], word[1]) if word is not None else "other"


def _answer_words(row: Row, language: str) -> str | None:
    lengths = [len(normalize_answer(text, language).split()) for text in row["answers"]["text"]]
    return _bounded(min(lengths), _ANSWER_WORDS, "over 8") if lengths else None


def _context_characters(row: Row, _language: str) -> str | None:
    return _bounded(len(row["context"]), _CONTEXT_CHARACTERS, "2,000 and over")


def _place(row: Row, _language: str) -> str | None:
    starts = row["answers"]["answer_start"]
    placed = starts and starts[0] >= 0
    return ("first third", "second third", "last third")[3 * starts[0] // len(row["context"])] if placed else None


def _references(row: Row, language: str) -> str | None:
    texts = row["answers"]["text"]
    different = {normalize_answer(text, language) for text in texts}
    return None if len(texts) < 2 else "all alike" if len(different) == 1 else "different"


def _answerable(row: Row, _language: str) -> str | None:
    return "yes" if row["answers"]["text"] else "no"


def _windows(row: Row, _language: str) -> str | None:
    return _bounded(row["windows"], _WINDOWS, "five and more") if "windows" in row else None


_KINDS: dict[str, Callable[[Row, str], str | None]] = {
    "question word": _question_word,
    "words of the answer": _answer_words,
    "characters of the context": _context_characters,
    "place of the answer": _place,
    "references": _references,
    "answerable": _answerable,
    "windows": _windows,
}
KINDS = tuple(_KINDS)
"""What examples are grouped by."""
_ORDER = [
    *("who", "when", "where", "why", "which", "what", "how", "how many", "other"),
    *(name for _, name in _ANSWER_WORDS),
    "over 8",
    *(name for _, name in _CONTEXT_CHARACTERS),
    "2,000 and over",
    *("first third", "second third", "last third", "all alike", "different", "yes", "no"),
    *(name for _, name in _WINDOWS),
    "five and more",
]


def _order(group: str) -> int:
    return _ORDER.index(group)


def _bounded(value: int, bounds: Sequence[tuple[int, str]], beyond: str) -> str:
    return next((name for bound, name in bounds if value <= bound), beyond)
