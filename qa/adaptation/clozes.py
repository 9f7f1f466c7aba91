"""Texts -> examples whose answers are spans that recur.

Source: recurring span selection (Ram et al., 2021, arXiv:2101.00438): of a span that a text has several times, one
occurrence is blanked and another one is to be found. Here the sentence with the blank is the question, so that examples
go the way of all others; the context is a stretch of the text around another occurrence. The two sentences share
further words, as in Fabbri et al., 2020 (arXiv:2004.11892): without them nothing would lead from one to the other.
"""

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np

from qa.adaptation.recurrence import recurring_spans
from qa.adaptation.words import WordedText, find_words
from qa.errors import DataError

Value = TypeVar("Value")

BLANK = "___"
_SPAN_WORDS = 8
_SHARED_WORDS = 2
_QUESTION_WORDS = range(6, 61)  # of the sentence
_KEPT_WORDS = 40  # of the question, around the blank
_CONTEXT_WORDS = (40, 110)
_OCCURRENCES = 12  # of a span that are paired with each other; the pairs are their square
_PER_SPAN = 2  # examples
_STRETCH = 100  # words, of which a common one is in many
_COMMON_SHARE = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Cloze:
    """A span that a text has several times: one occurrence is asked for, and another one is to be found."""

    text: int
    size: int
    """Words of the span."""
    asked: int
    """First word of the occurrence that is blanked."""
    found: int
    """First word of the one that is the answer."""
    sentences: frozenset[int]
    """Those that have an occurrence."""


def cloze_examples(texts: Sequence[str], *, most: int, seed: int) -> list[dict[str, Any]]:
    """Make examples of spans that recur: rows as `Examples.rows` holds them, drawn at random and in random order.

    Args:
        texts: a span must recur within one of them.
        most: number of rows.
        seed: of all that is drawn.

    Raises:
        DataError: no span recurs in sentences that share other words.

    """
    worded = [find_words(text) for text in texts]
    common = common_words(worded)
    draw = random.Random(seed)
    clozes = (cloze for at, text in enumerate(worded) for cloze in clozes_of(text, at, common, draw))
    drawn = heapq.nsmallest(most, ((draw.random(), at, cloze) for at, cloze in enumerate(clozes)), key=itemgetter(0))
    if not drawn:
        raise DataError(f"no span recurs in the {len(texts)} texts; wanted texts of some pages each")
    return [_example(worded[cloze.text], cloze, f"{cloze.text}-{at}", draw) for _, at, cloze in drawn]


def common_words(texts: Sequence[WordedText]) -> frozenset[str]:
    """Return the words that tell nothing of what a sentence is about, in any language: those that are everywhere.

    They are in more than 2 % of all stretches of 100 words, and, of few stretches, in more than the square root.
    """
    counts: Counter[str] = Counter()
    stretches = 0
    for text in texts:
        words = text.words
        for begin in range(0, len(words), _STRETCH):
            counts.update(set(words[begin : begin + _STRETCH]))
            stretches += 1
    bound = max(_COMMON_SHARE * stretches, math.sqrt(stretches))
    return frozenset(word for word, count in counts.items() if count > bound)


def clozes_of(text: WordedText, number: int, common: frozenset[str], draw: random.Random) -> Iterator[Cloze]:
    """Yield the clozes of a text: pairs of occurrences in sentences that share words beside the span."""
    words = text.words
    known: dict[str, int] = {}
    name = np.array([known.setdefault(word, len(known)) for word in words], dtype=np.int64)
    telling = np.array([word not in common for word in words], dtype=bool)
    bounds = text.sentence_bounds.tolist()
    telling_words = [{word for word in words[a:b] if word not in common} for a, b in itertools.pairwise(bounds)]
    for size, starts in recurring_spans(name, text.sentence, telling, longest=_SPAN_WORDS):
        sentences = text.sentence[starts].tolist()
        alone = [at for at, sentence in enumerate(sentences) if sentences.count(sentence) == 1]
        span = set(words[starts[0] : starts[0] + size])
        pairs = [
            (int(starts[asked]), int(starts[found]))
            for asked, found in itertools.permutations(_some(alone, _OCCURRENCES, draw), 2)
            if bounds[sentences[asked] + 1] - bounds[sentences[asked]] in _QUESTION_WORDS
            and len(telling_words[sentences[asked]] & telling_words[sentences[found]] - span) >= _SHARED_WORDS
        ]
        for asked, found in _some(pairs, _PER_SPAN, draw):
            yield Cloze(text=number, size=size, asked=asked, found=found, sentences=frozenset(sentences))


def _some(values: list[Value], most: int, draw: random.Random) -> list[Value]:
    return values if len(values) <= most else draw.sample(values, most)


def _example(text: WordedText, cloze: Cloze, name: str, draw: random.Random) -> dict[str, Any]:
    begin, end = _context(text, cloze, draw)
    start, stop = text.start[cloze.found], text.end[cloze.found + cloze.size - 1]
    return {
        "id": name,
        "title": "",
        "context": text.content[begin:end],
        "question": _question(text, cloze),
        "answers": {"text": [text.content[start:stop]], "answer_start": [int(start) - begin]},
    }


def _question(text: WordedText, cloze: Cloze) -> str:
    """Return the words around the blank, as many before as after it where the sentence has them."""
    sentence = int(text.sentence[cloze.asked])
    first, stop = text.sentence_bounds[sentence : sentence + 2].tolist()
    after = cloze.asked + cloze.size
    room = max(_KEPT_WORDS - cloze.size, 0)
    kept_before = min(cloze.asked - first, max(room // 2, room - (stop - after)))
    kept_after = min(stop - after, room - kept_before)
    begin, end = text.start[cloze.asked - kept_before], text.end[after + kept_after - 1]
    before = text.content[begin : text.start[cloze.asked]]
    rest = text.content[text.end[after - 1] : end]
    return " ".join(f"{before} {BLANK} {rest}".split())


def _context(text: WordedText, cloze: Cloze, draw: random.Random) -> tuple[int, int]:
    """Grow the answer's sentence to a stretch of text that has the span once: begin and end, in characters."""
    first = last = int(text.sentence[cloze.found])
    bounds, room = text.sentence_bounds, draw.randint(*_CONTEXT_WORDS)
    directions = [-1, 1]
    while directions:
        direction = draw.choice(directions)
        beside = first - 1 if direction < 0 else last + 1
        inside = 0 <= beside < len(bounds) - 1 and beside not in cloze.sentences
        if inside and bounds[max(beside, last) + 1] - bounds[min(beside, first)] <= room:
            first, last = min(first, beside), max(last, beside)
        else:
            directions.remove(direction)
    following = bounds[last + 1]
    end = text.start[following] if following < len(text) else len(text.content)
    begin = int(text.start[bounds[first]])
    return begin, begin + len(text.content[begin:end].rstrip())
