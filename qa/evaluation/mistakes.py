"""Answers -> what is wrong with them, and which are worth a look."""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from qa import metrics
from qa.decoding.predictions import Predictions

Mistake = Literal["missed", "invented", "boundary", "elsewhere"]
"""missed: "no answer" where there is one; invented: an answer where there is none; boundary: the answer overlaps a
reference (or, of references without a place, shares a word with one); elsewhere: it does not."""
MISTAKES: tuple[Mistake, ...] = get_args(Mistake)
Place = tuple[int, int]
"""Half-open, in characters of the context."""
_RIGHT_SHARE = 0.25  # of what is chosen to be looked at


@dataclass(frozen=True, kw_only=True)
class Given:
    """What was answered to a question."""

    text: str
    """"" is "no answer"."""
    place: Place | None
    probability: float | None
    """None where it is not known."""


@dataclass(frozen=True, kw_only=True)
class JudgedAnswer:
    """An answer beside its references."""

    row: Mapping[str, Any]
    """The example, as `Examples.rows` holds it."""
    given: Given
    exact: float
    """Exact match, 0 or 1."""
    f1: float
    """0 to 1."""
    mistake: Mistake | None
    """None for a right answer."""

    @property
    def references(self) -> tuple[str, ...]:
        """The different right texts, in their order."""
        return tuple(dict.fromkeys(self.row["answers"]["text"]))

    @property
    def reference_places(self) -> list[Place]:
        """Where the right texts stand."""
        return places_of(self.row)


def judge(rows: Iterable[Mapping[str, Any]], given: Mapping[str, Given], *, language: str) -> list[JudgedAnswer]:
    """Compare what was answered with the references, by the official scores.

    Args:
        rows: examples with references, as `Examples.rows` holds them.
        given: what was answered, by example id.
        language: whose rules decide what counts.

    Raises:
        MetricError: ids that are not the same.

    """
    examples = list(rows)
    references = {row["id"]: row["answers"]["text"] for row in examples}
    texts = {key: answer.text for key, answer in given.items()}
    scores = metrics.raw_scores(texts, references, language=language)
    return [
        JudgedAnswer(
            row=row,
            given=given[row["id"]],
            exact=exact,
            f1=f1,
            mistake=None if exact == 1.0 else _mistake(given[row["id"]], row, f1),
        )
        for row, exact, f1 in zip(examples, scores.exact.tolist(), scores.f1.tolist(), strict=True)
    ]


def _mistake(given: Given, row: Mapping[str, Any], f1: float) -> Mistake:
    if given.place is None:
        return "missed"
    if not row["answers"]["text"]:
        return "invented"
    start, end = given.place
    places = places_of(row)
    overlaps = any(start < stop and begin < end for begin, stop in places) if places else f1 > 0
    return "boundary" if overlaps else "elsewhere"


def places_of(row: Mapping[str, Any]) -> list[Place]:
    """Return the different places of an example's references; some may have none."""
    answers = row["answers"]
    pairs = zip(answers["text"], answers["answer_start"], strict=True)
    return list(dict.fromkeys((start, start + len(text)) for text, start in pairs if start >= 0))


def given_by(predictions: Predictions, threshold: float) -> dict[str, Given]:
    """Return what predictions answer where "no answer" wins above that threshold of the null odds."""
    texts, best_spans = predictions.texts(threshold), predictions.bounds[:-1].tolist()
    found = {}
    for row, (key, text, best) in enumerate(zip(predictions.ids, texts, best_spans, strict=True)):
        if text:
            place = int(predictions.start[best]), int(predictions.end[best])
            found[key] = Given(text=text, place=place, probability=float(predictions.probability[best]))
        else:  # "no answer", or no valid span
            share = float(predictions.null_probability[row]) if predictions.null_possible else None
            found[key] = Given(text="", place=None, probability=share)
    return found


def choose(
    ids: Sequence[str], kinds: Sequence[Mistake | None], most: int, *, right_share: float = _RIGHT_SHARE
) -> list[int]:
    """Choose mistakes of every kind, and some right answers; return their rows in order.

    Which ones depends on their ids alone, so that evaluations of one set choose the same examples as far as they make
    the same mistakes. Kinds take turns; what a rare one leaves goes to the others.

    Args:
        ids: of the examples.
        kinds: what is wrong with each answer; None: nothing.
        most: answers to choose.
        right_share: how many of them are right ones, where there are enough of both.

    """
    order = sorted(range(len(ids)), key=lambda row: hashlib.sha256(ids[row].encode(errors="surrogatepass")).digest())
    by_kind = {kind: [row for row in order if kinds[row] == kind] for kind in (*MISTAKES, None)}
    right = by_kind.pop(None)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_kind.values()))
    wrong = [row for row in turns if row is not None]
    kept_right = min(len(right), max(round(most * right_share), most - len(wrong)))
    return sorted([*right[:kept_right], *wrong[: most - kept_right]])
