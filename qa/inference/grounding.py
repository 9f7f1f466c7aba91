"""Quotes, or an answer that somebody wrote -> where sources say so: word for word, moved, or in other words.

What is returned as a text is always a stretch of a source: a reader marks, it writes nothing. Questions about what is
said in other words are clozes: the claim with one of its details blanked, which the reader has to find in the source
(as in QAGS, Wang et al., 2020, arXiv:2004.04228).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

from qa.adaptation.clozes import BLANK
from qa.adaptation.words import find_words
from qa.errors import ExampleError
from qa.inference.documents import Document, KnownOfDocument, document_of
from qa.inference.evidence import certainty
from qa.inference.inputs import is_series
from qa.inference.options import share
from qa.inference.passages import known_of
from qa.inference.predictor import Predictor, predictor_of
from qa.inference.quotes import Standing, find_quote, quoted_parts, without_citations
from qa.inference.words import number_borders

Verdict = Literal["verbatim", "moved", "paraphrased", "unsupported"]

_MOST_CLOZES = 4  # of a claim
_SHORTEST_DETAIL = 4  # letters of a word that is worth asking for, unless it is a name or a number
_LONGEST_QUESTION = 400  # characters; a longer claim says more than one question can ask


class Grounding(KnownOfDocument):
    """What sources say of one quote or claim; `text` is the source's text from `start` to `end`."""

    quote: str
    verdict: Verdict
    source: int | None
    """Which source; None: no source supports it."""
    start: int
    end: int
    text: str
    score: float
    """1 where it stands there; of a paraphrase the reader's certainty; of what is unsupported the best one found."""


def ground(
    answer: str | Iterable[str],
    sources: object,
    *,
    reader: object = None,
    min_score: float = 0.5,
    between: Callable[[], object] = lambda: None,
) -> list[Grounding]:
    """Say of each quote, or each part of an answer, where a source has it.

    "verbatim": character for character. "moved": but for white space, case, Unicode form, quotation marks, dashes,
    hyphens at line ends, punctuation at the ends, or a marked omission. "paraphrased": a reader, asked for a detail of
    the claim, finds that very detail in a source that has all names and numbers of the claim. "unsupported": none of
    these. That is no proof: a reader can take the reverse for the same.

    Args:
        answer: a text, of which each quotation, and each sentence without one, is looked for; or a list of quotes, each
            looked for as it is.
        sources: a text, several, or documents; see `Predictor.search`.
        reader: a predictor, a pipeline, or what `Predictor.from_pretrained` loads; None: nothing is "paraphrased".
        min_score: least certainty of a paraphrase, 0 to 1; at 0.5 a span is as likely as "no answer".
        between: called before each comparison of a quote with a source; what it raises ends the work.

    Returns:
        A row for each quote or part, in order.

    Raises:
        ExampleError: an answer or source of wrong type; the message has its index.
        ConfigError: `min_score` out of range.
        ModelError: the reader does not load, or is none.

    """
    least = share("min_score", min_score)
    quotes = _quotes(answer)
    documents = [document_of(source, at) for at, source in enumerate(sources if is_series(sources) else [sources])]
    found: dict[str, tuple[int, Standing] | None] = dict.fromkeys(quotes)
    for at, document in enumerate(documents):
        for quote, known in found.items():
            if known is None or known[1].verdict == "moved":
                between()
                standing = find_quote(without_citations(quote), document.text)
                if standing is not None and (known is None or standing.verdict == "verbatim"):
                    found[quote] = (at, standing)
    if isinstance(reader, str | os.PathLike):
        reader = Predictor.from_pretrained(reader)
    asked = None if reader is None else predictor_of(reader)
    claims = _Claims(asked, documents, least, between)
    rows = {
        quote: claims.ground(quote) if one is None else _standing(quote, documents, *one)
        for quote, one in found.items()
    }
    return [copy(rows[quote]) for quote in quotes]


def _quotes(answer: object) -> list[str]:
    if isinstance(answer, str):
        return [answer[start:end] for start, end in quoted_parts(answer)]
    if not is_series(answer):
        raise ExampleError(f"answer is {answer!r:.80}; wanted a text, or a list of quotes")
    quotes = list(answer)
    for at, quote in enumerate(quotes):
        if not isinstance(quote, str) or not quote.strip():
            raise ExampleError(f"quote {at} is {quote!r:.80}; wanted text")
    return quotes


def _standing(quote: str, documents: Sequence[Document], at: int, standing: Standing) -> Grounding:
    return _grounding(quote, standing.verdict, documents, at, standing.start, standing.end, 1.0)


def _grounding(
    quote: str, verdict: Verdict, documents: Sequence[Document], source: int, start: int, end: int, score: float
) -> Grounding:
    document = documents[source]
    text = document.text[start:end]
    row = Grounding(quote=quote, verdict=verdict, source=source, start=start, end=end, text=text, score=score)
    if document.id is not None or document.meta:
        row.update(known_of(document, start))  # type: ignore[typeddict-item]  # its three keys
    return row


# --- in other words ---


@dataclass(frozen=True)
class _Found:
    source: int
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class _Claims:
    """Claims that stand in no source as they are: asked of a reader, if there is one."""

    reader: Predictor | None
    documents: Sequence[Document]
    least: float
    between: Callable[[], object]

    def ground(self, claim: str) -> Grounding:
        found = sorted(self._answers(without_citations(claim)), key=lambda one: -one.score)
        if found and found[0].score >= self.least:
            best = found[0]
            return _grounding(claim, "paraphrased", self.documents, best.source, best.start, best.end, best.score)
        score = found[0].score if found else 0.0
        return Grounding(quote=claim, verdict="unsupported", source=None, start=0, end=0, text="", score=score)

    def _answers(self, claim: str) -> Iterator[_Found]:
        """Yield, for each detail of the claim that a source has, the place where the reader finds it."""
        if self.reader is None or len(claim) > _LONGEST_QUESTION:
            return
        details, required = details_of(claim)
        able = [
            at
            for at, document in enumerate(self.documents)
            if document.text.strip() and all(self._stands(one, document) for one in required)
        ]
        known = [
            (start, end)
            for start, end in details
            if any(self._stands(claim[start:end], self.documents[at]) for at in able)
        ]
        for start, end in known[:_MOST_CLOZES]:
            yield from self._asked(claim[:start] + BLANK + claim[end:], claim[start:end], able)

    def _stands(self, detail: str, document: Document) -> bool:
        self.between()
        return find_quote(detail, document.text) is not None

    def _asked(self, question: str, detail: str, able: Sequence[int]) -> Iterator[_Found]:
        assert self.reader is not None, "without one nothing is asked"
        own = self.reader.settings
        for answer in self.reader.search(
            question, [self.documents[at].text for at in able], top_k=1, lexical_weight=0.0
        ):
            source = able[answer["passage"]]
            text = self.documents[source].text
            start, end = number_borders(text, answer["start"], answer["end"])
            if find_quote(detail, text[start:end]) or find_quote(text[start:end], detail):
                score = certainty(answer["log_odds"], threshold=own.no_answer_threshold, temperature=own.temperature)
                yield _Found(source, start, end, score)


def details_of(claim: str) -> tuple[list[tuple[int, int]], list[str]]:
    """Return what of a claim can be asked for, the most telling first, and what any source of it must have.

    Names (runs of words with capitals, a first word alone aside) and whole numbers are both; of other words the
    longest can be asked for.
    """
    worded = find_words(claim)
    words = list(zip(worded.start.tolist(), worded.end.tolist(), strict=True))
    runs: list[list[int]] = []
    for at, (start, _) in enumerate(words):
        if not (claim[start].isupper() or claim[start].isdigit()):
            continue
        follows = runs and runs[-1][-1] == at - 1 and claim[words[at - 1][1] : start].isspace()
        if follows and claim[start].isdigit() == claim[words[at - 1][0]].isdigit():
            runs[-1].append(at)
        else:
            runs.append([at])
    named = [run for run in runs if run != [0] or claim[words[0][0]].isdigit()]
    spans = list(dict.fromkeys(number_borders(claim, words[run[0]][0], words[run[-1]][1]) for run in named))
    inside = {at for run in named for at in run}
    others = [span for at, span in enumerate(words) if at not in inside and span[1] - span[0] >= _SHORTEST_DETAIL]
    return [*spans, *sorted(others, key=lambda span: span[0] - span[1])], [claim[start:end] for start, end in spans]
