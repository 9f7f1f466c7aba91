"""Spans of many passages, ranked together."""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Float64

from qa.inference.answers import DocumentAnswer, PassageAnswer, PassageSpan, passage_answers, spans_of
from qa.inference.chunk import Chunk
from qa.inference.documents import Document, document_of
from qa.inference.inputs import Row, checked_rows, passages_of, plain
from qa.inference.lexical import lexical_scores
from qa.inference.options import AnswerOptions, CallOptions, weight, whole_number
from qa.modeling.settings import ReaderSettings


class SearchOptions(CallOptions, total=False):
    """What a search may say."""

    lexical_weight: float | None
    """What BM25, the words that a passage shares with the question, counts beside the reader's log odds, from 0; left
    out: what `qa calibrate --searches` fitted, or 0, by which a reader alone is no retriever."""
    prefilter: int | None
    """Passages that are read: so many that are best by BM25; left out: all."""


@dataclass(frozen=True, kw_only=True)
class Passages:
    """The passages of a search that are read."""

    items: Iterable[object]
    numbers: Sequence[int] | None = None
    """Which of the caller's passages they are; None: all."""
    handicap: Float64[np.ndarray, "passage"] | None = None
    """What is taken off the log odds in each for the words that it does not share: 0 for the best; None: nothing."""

    def number(self, row: int) -> int:
        """Return which of the caller's passages one is."""
        return row if self.numbers is None else self.numbers[row]


def search_options(given: SearchOptions, own: ReaderSettings) -> tuple[float, int | None, CallOptions]:
    """Return the weight of BM25, how many passages are read, and the other options of a search.

    Raises:
        ConfigError: a weight or number out of range.

    """
    said = {name: value for name, value in given.items() if value is not None}
    by_words = weight("lexical_weight", said.pop("lexical_weight", own.lexical_weight))
    most = said.pop("prefilter", None)
    fewest = None if most is None else whole_number("prefilter", most, least=1)
    return by_words, fewest, cast("CallOptions", said)


def chosen_passages(question: str, passages: object, *, by_words: float, prefilter: int | None) -> Passages:
    """Return the passages that are read, and what they lose for the words that they lack.

    Passages of a generator are held, all of them, unless no words are compared.

    Raises:
        ExampleError: one text or a dict in place of several, or, where words are compared, a passage without a text.
        MissingPackageError: words are to be compared, and bm25s is not installed.

    """
    if not by_words and prefilter is None:
        return Passages(items=passages_of(passages))
    rows = list(checked_rows(passage_rows(question, passages)))
    items = [row.get("document", row["context"]) for row in rows]
    scores = lexical_scores(question, [row["context"] for row in rows])
    if not len(scores):
        return Passages(items=items)
    # Of passages with the same score the first ones.
    numbers = sorted(np.argsort(-scores, kind="stable")[:prefilter].tolist())
    return Passages(
        items=[items[at] for at in numbers], numbers=numbers, handicap=by_words * (scores.max() - scores[numbers])
    )


def passage_rows(question: object, passages: object) -> Iterator[Row]:
    """Yield a row for each passage, with its document unless it is a plain text.

    Raises:
        ExampleError: one text or a dict in place of several, or a passage without a text.

    """
    for index, passage in enumerate(map(plain, passages_of(passages))):
        if isinstance(passage, str):
            yield {"question": question, "context": passage}
        else:
            document = document_of(passage, index)
            yield {"question": question, "context": document.text, "document": document}


def best_passages(chunks: Iterable[Chunk], options: AnswerOptions, passages: Passages) -> list[DocumentAnswer]:
    """Return the best answers of all passages, best first; those from documents say which."""
    kept: list[PassageSpan] = []
    documents: dict[int, Document] = {}
    done = 0
    for chunk in chunks:
        spans = spans_of(
            chunk.against_null(options), chunk.contexts, first_passage=done, align_to_words=options.align_to_words
        )
        kept = heapq.nsmallest(options.decoding.n_best, itertools.chain(kept, _handicapped(spans, passages.handicap)))
        documents |= {done + at: row["document"] for at, row in enumerate(chunk.rows) if "document" in row}
        documents = {span.passage: documents[span.passage] for span in kept if span.passage in documents}
        done += len(chunk.rows)
    answers = passage_answers(
        kept,
        null_score=-options.threshold if options.null_possible else -np.inf,
        temperature=options.temperature,
        n_best=options.n_best,
        top_k=options.top_k,
        overlap=options.overlap,
    )
    return [_named(answer, passages, documents.get(answer["passage"])) for answer in answers]


def best_of_each(chunks: Iterable[Chunk], options: AnswerOptions) -> Float64[np.ndarray, "passage"]:
    """Return the log odds of the best span of every passage; −inf where there is none."""
    best: list[float] = []
    for chunk in chunks:
        row = [-np.inf] * len(chunk.rows)
        for span in spans_of(chunk.against_null(options), chunk.contexts, first_passage=0, align_to_words=False):
            row[span.passage] = max(row[span.passage], -span.negative_score)
        best += row
    return np.array(best, dtype=np.float64)


def _handicapped(
    spans: Iterable[PassageSpan], handicap: Float64[np.ndarray, "passage"] | None
) -> Iterator[PassageSpan]:
    if handicap is None:
        yield from spans
    else:
        for span in spans:
            yield span._replace(negative_score=span.negative_score + float(handicap[span.passage]))


def known_of(document: Document, start: int) -> dict[str, Any]:
    """Return what an answer says of the document that it begins in at `start`."""
    return {"id": document.id, "meta": document.meta, "page": document.page_at(start)}


def _named(answer: PassageAnswer, passages: Passages, document: Document | None) -> DocumentAnswer:
    """Say which of the caller's passages an answer is from, and what is known of it."""
    known = {} if document is None else known_of(document, answer["start"])
    return cast("DocumentAnswer", answer | known | {"passage": passages.number(answer["passage"])})
