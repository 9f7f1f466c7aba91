"""A text -> its words and sentences, as characters. No tokenizer: what recurs for a reader are words."""

import itertools
from dataclasses import dataclass

import numpy as np
import regex
from jaxtyping import Int

from qa.data.scripts import UNSPACED

# In scripts without spaces between words each character, with its marks, is a word.
_WORD = regex.compile(
    rf"(?=[{UNSPACED}])\X|[\p{{L}}\p{{N}}](?:[\p{{L}}\p{{M}}\p{{N}}--[{UNSPACED}]]|[-'’.,](?=[\p{{L}}\p{{N}}]))*",
    regex.V1,
)
_SENTENCE_END = regex.compile(
    # Each begins where a run does and takes all of it: in time that grows with the text, whatever is in it.
    r"(?<![.!?…])[.!?…]++[\p{Pf}\p{Pe}\"']*+\s++(?=[\p{Pi}\p{Ps}\"']*+[\p{Lu}\p{Lo}\p{N}])"
    r"|[。！？｡।॥؟۔։።។။]+[\p{Pf}\p{Pe}]*\s*|(?<!\s)\s*\n\s*"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class WordedText:
    """A text with the places of its words and sentences: half-open characters of `content`."""

    content: str
    start: Int[np.ndarray, "word"]
    end: Int[np.ndarray, "word"]
    sentence: Int[np.ndarray, "word"]
    """Which sentence a word is in; ascending."""
    sentence_bounds: Int[np.ndarray, "sentence_and_one"]
    """Words of sentence `i` are `sentence_bounds[i]:sentence_bounds[i + 1]`; none is empty."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def words(self) -> list[str]:
        """The words in lower case."""
        return [
            self.content[start:end].lower() for start, end in zip(self.start.tolist(), self.end.tolist(), strict=True)
        ]


def find_sentences(content: str) -> list[tuple[int, int]]:
    """Return the sentences of a text as half-open characters, without white space around them; see `find_words`."""
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(content)), len(content)]
    parts = ((begin, content[begin:end]) for begin, end in itertools.pairwise(ends))
    return [
        (begin + len(part) - len(part.lstrip()), begin + len(part.rstrip())) for begin, part in parts if part.strip()
    ]


def find_words(content: str) -> WordedText:
    """Find the words and sentences of a text in any script.

    A word is a run of letters, marks and digits, also joined by hyphens, apostrophes, points or commas; in scripts
    without spaces every character is one. A sentence ends at a line's end, or at a full stop, question or exclamation
    mark before what may begin a sentence.
    """
    places = np.array([match.span() for match in _WORD.finditer(content)], dtype=np.int64).reshape(-1, 2)
    ends = np.array([match.end() for match in _SENTENCE_END.finditer(content)], dtype=np.int64)
    sentence = np.searchsorted(ends, places[:, 0], side="right")
    _, first, sentence = np.unique(sentence, return_index=True, return_inverse=True)  # only those with words
    return WordedText(
        content=content,
        start=places[:, 0],
        end=places[:, 1],
        sentence=sentence,
        sentence_bounds=np.append(first, len(places)),
    )
