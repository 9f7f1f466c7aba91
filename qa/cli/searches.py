"""Questions and the passages of their titles -> what shared words count in a search, for `qa calibrate`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qa.cli.display import print_table
from qa.data.examples import Examples
from qa.errors import DataError
from qa.evaluation.retrieval import RetrievalFit, SearchedQuestion, fit_retrieval
from qa.inference.lexical import lexical_scores
from qa.inference.passages import best_of_each, passage_rows
from qa.inference.predictor import Predictor


def fit_searches(predictor: Predictor, examples: Examples, most: int, *, batch_size: int | None) -> RetrievalFit:
    """Search for some of the questions, spread evenly over the examples, and fit.

    Raises:
        DataError: no answerable question has passages to choose from.
        MissingPackageError: bm25s is not installed.

    """
    chosen, passages = questions_with_passages(examples, most)
    found = list(_searched(predictor, chosen, passages, batch_size))
    return fit_retrieval(found, weight=predictor.settings.lexical_weight)


def questions_with_passages(
    examples: Examples, most: int
) -> tuple[list[Mapping[str, Any]], Mapping[str, Sequence[str]]]:
    """Return so many answerable questions, spread evenly over the examples, and the distinct contexts of every title.

    Raises:
        DataError: no answerable question has passages to choose from.

    """
    rows = [row for row in examples.rows if row["answers"]["text"]]
    passages = _passages(rows)
    able = [row for row in rows if len(passages[row["title"]]) > 1]
    if not able:
        raise DataError("no answerable question has a title with several contexts; wanted some, to search among them")
    return [able[int(at * len(able) / min(most, len(able)))] for at in range(min(most, len(able)))], passages


def show_searches(found: RetrievalFit) -> None:
    """Print how often the right passage is first."""
    print_table(
        ("ranked by", "weight of words", "right passage first (%)"),
        [
            ("reader", 0.0, found.reader),
            ("words (BM25)", "alone", found.words),
            ("both, as it was", "", found.before),
            ("both, fitted", found.fitted_weight, found.fitted),
        ],
    )


def _passages(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the distinct contexts of every title, in order."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        found.setdefault(row["title"], {})[row["context"]] = None
    return {title: list(contexts) for title, contexts in found.items()}


def _searched(
    predictor: Predictor,
    rows: Sequence[Mapping[str, Any]],
    passages: Mapping[str, Sequence[str]],
    batch_size: int | None,
) -> Iterator[SearchedQuestion]:
    options = predictor.options(batch_size=batch_size)
    for row in rows:
        texts = passages[row["title"]]
        yield SearchedQuestion(
            id=row["id"],
            log_odds=best_of_each(predictor.chunks(passage_rows(row["question"], texts), options), options),
            lexical=lexical_scores(row["question"], texts),
            right=texts.index(row["context"]),
        )
