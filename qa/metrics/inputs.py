"""Predictions, references and null odds by example id: checked, and paired."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sized
from typing import Any, Literal, get_args

from qa.errors import MetricError

Missing = Literal["error", "zero"]
"""What becomes of an example without a prediction: a MetricError, or a 0 as in the official scripts."""
# These three by example id. They come from files, so what their values are is checked here, not taken on trust.
Texts = Mapping[str, Any]
References = Mapping[str, Any]
Odds = Mapping[str, Any]


def by_id(rows: list[dict[str, Any]], column: str) -> dict[str, Any]:
    """Return a column's values by the rows' ids.

    Raises:
        MetricError: an id that is there twice, or a value that is None.

    """
    values = {row["id"]: row[column] for row in rows}
    if len(values) < len(rows):
        example_id, count = Counter(row["id"] for row in rows).most_common(1)[0]
        raise MetricError(f"example {example_id!r} has {count} rows with {column}; wanted one")
    for example_id, value in values.items():
        if value is None:
            raise MetricError(f"example {example_id!r} has None as {column}; wanted a value")
    return values


def answer_texts(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the texts of the rows' answers by their ids.

    Raises:
        MetricError: as `by_id`.

    """
    return {example_id: answers["text"] for example_id, answers in by_id(rows, "answers").items()}


def of_examples(values: Mapping[str, Any], examples: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values whose ids are examples'."""
    return {example_id: value for example_id, value in values.items() if example_id in examples}


def require_texts(texts: Texts, references: References) -> None:
    """Check that every prediction is a text, and every example's references are a list of texts.

    Raises:
        MetricError: naming the first that is not, or no examples at all.

    """
    require_lists("references", references)
    _require_by_id("predictions", texts)
    for example_id, text in texts.items():
        if not isinstance(text, str):
            raise MetricError(f"example {example_id!r} has {text!r:.80} as prediction; wanted a text")


def require_lists(what: str, lists: Mapping[str, Any]) -> None:
    """Check that every example has a list of texts, which may be read more than once.

    Raises:
        MetricError: naming the first that has not, or no examples at all.

    """
    _require_by_id(what, lists)
    if not lists:
        raise MetricError(f"there are no {what} to score against")
    for example_id, texts in lists.items():
        if not (_is_list(texts) and all(isinstance(text, str) for text in texts)):
            raise MetricError(f"example {example_id!r} has {texts!r:.80} as {what}; wanted a list of texts")


def require_missing(missing: str) -> None:
    """Check what is to become of an example without a prediction.

    Raises:
        MetricError: none of the two.

    """
    if missing not in get_args(Missing):
        raise MetricError(f"missing is {missing!r:.80}; wanted one of {', '.join(map(repr, get_args(Missing)))}")


def _require_by_id(what: str, values: object) -> None:
    if not isinstance(values, Mapping):
        raise MetricError(f"{what} are {values!r:.80}; wanted them by example id")


def require_same_ids(what: str, found: Mapping[str, object], references: Mapping[str, object]) -> None:
    """Check that predictions, or null odds, are of the same examples as the references.

    Raises:
        MetricError: naming the first id that is on one side only, and how many there are.

    """
    unpaired = sorted(found.keys() ^ references.keys(), key=str)
    if unpaired:
        problem = f"a reference but no {what}" if unpaired[0] in references else f"a {what} but no reference"
        raise MetricError(f"example {unpaired[0]!r} has {problem}; {len(unpaired)} such ids")


def _is_list(value: object) -> bool:
    """Tell a list, tuple or array from one text, whose characters would be taken for texts, and from an iterator."""
    return isinstance(value, Sized) and isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
