"""`qa score`: the official metrics of predictions, offline."""

import contextlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any

from qa import metrics
from qa.cli.data import say
from qa.cli.data_flags import Score
from qa.cli.display import print_json, print_line, print_table
from qa.config import DataConfig
from qa.data.examples import Examples, load_examples, take
from qa.errors import DataError, UsageError
from qa.metrics import Scores
from qa.metrics.inputs import Missing
from qa.metrics.multi_span import multi_span_score


@dataclass(frozen=True, kw_only=True)
class PredictionFile:
    """Predictions by example id."""

    texts: dict[str, str]
    """Answers; "" is "no answer"."""
    spans: dict[str, str]
    """Best spans, whatever the null score; the answers where a file has nothing else."""
    null_odds: dict[str, float] | None

    def without(self, ids: set[str]) -> "PredictionFile":
        """Return the other predictions."""

        def other(values: dict[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in values.items() if key not in ids}

        odds = None if self.null_odds is None else other(self.null_odds)
        return PredictionFile(texts=other(self.texts), spans=other(self.spans), null_odds=odds)


_OF_EVALUATE = {"prediction_text": "answer", "no_answer_probability": "null_odds"}
"""What predictions have there that `evaluate` scores, and what `qa predict` calls it."""
OFFICIAL_THRESHOLD = 1.0
"""The threshold of the script of v2.0 where its command line has none."""


def run(arguments: Score) -> None:
    """Score the predictions."""
    if arguments.answers == "all":
        _score_lists(arguments)
        return
    references, left_out = _references(arguments)
    predictions = read_predictions(arguments.predictions, null_odds=arguments.null_odds).without(left_out)
    threshold = OFFICIAL_THRESHOLD if arguments.threshold == "official" else arguments.threshold
    scores = score_predictions(
        predictions, references, threshold=threshold, language=arguments.language, missing=arguments.missing
    )
    say(_unpaired(predictions, references))
    of_v2 = "exact" in scores
    if arguments.json:
        print_json(scores | ({"no_answer_threshold": threshold} if of_v2 else {}))
        return
    print_table(("score", "value"), [(name, float(value)) for name, value in scores.items()])
    if of_v2:
        print_line(_told_threshold(threshold, has_odds=predictions.null_odds is not None))


def _score_lists(arguments: Score) -> None:
    """Score lists of answers against all references of each example.

    Raises:
        UsageError: a flag of scores of single answers.

    """
    for flag, said in (
        ("--threshold", arguments.threshold is not None),
        ("--null-odds", arguments.null_odds is not None),
        ("--missing zero", arguments.missing == "zero"),
    ):
        if said:
            raise UsageError(f"found {flag} and --answers all; lists of answers are scored as they are")
    references, left_out = _references(arguments)
    lists = {key: texts for key, texts in read_lists(arguments.predictions).items() if key not in left_out}
    scores = multi_span_score(lists, references, language=arguments.language)
    if arguments.json:
        print_json(scores)
    else:
        print_table(("score", "value"), list(scores.items()))


def _references(arguments: Score) -> tuple[dict[str, list[str]], set[str]]:
    """Return the right texts by id, and the ids of the examples that are not taken."""
    config = DataConfig(
        name=arguments.data_name, revision=arguments.data_revision, on_bad_example=arguments.on_bad_example
    )
    examples = load_examples(arguments.references, split=arguments.split, config=config, purpose="texts")
    if not examples.has_references:
        raise DataError(f"{arguments.references} has no references: no column answers; wanted answers to score against")
    say([*examples.notes, *_told_problems(examples)])
    taken = take(examples, arguments.max_examples)
    references = {row["id"]: row["answers"]["text"] for row in taken.rows}
    return references, set(examples.rows["id"][:]) - references.keys()


def _told_problems(examples: Examples) -> list[str]:
    counts = Counter((problem.kind, problem.action) for problem in examples.problems)
    return [f"{count} references: {kind} ({action})" for (kind, action), count in counts.items()]


def _unpaired(predictions: PredictionFile, references: Mapping[str, list[str]]) -> list[str]:
    missing, unknown = references.keys() - predictions.texts.keys(), predictions.texts.keys() - references.keys()
    told = f"{len(missing)} examples have no prediction and count 0; {len(unknown)} predictions are of no example"
    return [told] if missing or unknown else []


def _told_threshold(threshold: float | None, *, has_odds: bool) -> str:
    if threshold is not None:
        return f'no-answer threshold: {threshold} (null odds above it count as "no answer")'
    more = f"; the official command's is {OFFICIAL_THRESHOLD}: --threshold official" if has_odds else ""
    return f'no-answer threshold: none (only empty predictions count as "no answer"{more})'


def score_predictions(
    predictions: PredictionFile,
    references: Mapping[str, list[str]],
    *,
    threshold: float | None,
    language: str,
    missing: Missing = "error",
) -> Scores:
    """Score as the official scripts do; the best thresholds are there where the file has null odds.

    Without a threshold, the predictions' own "no answer" counts; with one, the best spans and their null odds do.

    Raises:
        MetricError: ids of predictions and references that are not the same.
        DataError: a threshold, but no null odds.

    """
    if threshold is not None and predictions.null_odds is None:
        raise DataError("a threshold needs null odds; wanted --null-odds, or the file that qa predict writes")
    odds = predictions.null_odds or dict.fromkeys(predictions.texts, 0.0)

    def scored(texts: Mapping[str, str], at: float) -> Scores:
        return metrics.score(texts, references, null_odds=odds, threshold=at, language=language, missing=missing)

    swept = scored(predictions.spans, threshold or 0.0)
    if threshold is not None:
        return swept
    best = {name: value for name, value in swept.items() if name.startswith("best_")}
    own = {name: value for name, value in scored(predictions.texts, math.inf).items() if name not in best}
    return own | (best if predictions.null_odds is not None else {})


def read_predictions(path: Path, *, null_odds: Path | None = None) -> PredictionFile:
    """Read what `qa predict` wrote, or the official format: JSON of answers by id, and null odds by id beside it.

    A list of predictions as `evaluate` takes them is read too: its probabilities of no answer are null odds.

    Raises:
        DataError: neither, or an id that is there twice.

    """
    text = _read(path)
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if isinstance(values, dict) and "id" not in values:
        found = PredictionFile(texts=_typed(values, str, "a text", path), spans=values, null_odds=None)
    else:
        found = _from_lines(text, path)
    if null_odds is None:
        return found
    odds = _typed(_parsed(_read(null_odds), null_odds), int | float, "a number", null_odds)
    return PredictionFile(texts=found.texts, spans=found.spans, null_odds=odds)


def read_lists(path: Path) -> dict[str, list[str]]:
    """Read the texts of all answers by example id: what `qa predict` or a run wrote, or JSON of lists of texts.

    Raises:
        DataError: none of these, or an id that is there twice.

    """
    text = _read(path)
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or "id" in values:
        values = {key: row.get("answers") for key, row in _rows(text, path).items()}
    return {key: _texts(answers, f"{path}: example {key!r}") for key, answers in values.items()}


def _texts(answers: object, place: str) -> list[str]:
    """Return the texts of answers: texts, or objects with a text as `answer` or `text`."""
    listed = answers if isinstance(answers, list) else [None]
    found = [one.get("answer", one.get("text")) if isinstance(one, dict) else one for one in listed]
    texts = [one for one in found if isinstance(one, str)]
    if len(texts) < len(found):
        raise DataError(
            f"{place} has {answers!r:.80}; wanted a list of answers, as `qa predict --answers all` writes it"
        )
    return texts


def _from_lines(text: str, path: Path) -> PredictionFile:
    rows = _rows(text, path)
    with_odds = bool(rows) and all("null_odds" in row for row in rows.values())
    return PredictionFile(
        texts={key: row["answer"] for key, row in rows.items()},
        spans={key: row.get("best_span", row["answer"]) for key, row in rows.items()},
        null_odds={key: row["null_odds"] for key, row in rows.items()} if with_odds else None,
    )


def _rows(text: str, path: Path) -> dict[str, dict[str, Any]]:
    """Read the lines that `qa predict` writes, or a list of predictions, by example id."""
    rows: dict[str, dict[str, Any]] = {}
    for place, found in _values(text, path):
        row = _row(found, place)
        if row["id"] in rows:
            raise DataError(f"{place}: id {row['id']!r} is there twice")
        rows[row["id"]] = row
    return rows


def _values(text: str, path: Path) -> Iterator[tuple[str, object]]:
    """Yield the members of a list, or what every line holds, each with its place."""
    with contextlib.suppress(ValueError):
        values = json.loads(text)
        if isinstance(values, list):
            yield from ((f"{path}, prediction {number}", value) for number, value in enumerate(values, start=1))
            return
    for number, line in enumerate(text.split("\n"), start=1):
        value = _parsed(line, f"{path}, line {number}") if line.strip() else None
        if value is not None:
            yield f"{path}, line {number}", value


def _row(found: object, place: str) -> dict[str, Any]:
    """Return a prediction under the names that `qa predict` has, its id as a text."""
    named: dict[str, Any] = found if isinstance(found, dict) else {}
    row = {_OF_EVALUATE.get(name, name): value for name, value in named.items()}
    if type(row.get("id")) is int:
        row["id"] = str(row["id"])
    if not isinstance(row.get("id"), str) or not isinstance(row.get("answer"), str):
        raise DataError(f"{place}: found {json.dumps(found):.80}; wanted an object with texts id and answer")
    return row


def _typed(values: object, type_: type | UnionType, wanted: str, path: Path) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise DataError(f"{path}: found {values!r:.80}; wanted a JSON object of values by example id")
    for key, value in values.items():
        if not isinstance(value, type_):
            raise DataError(f"{path}: example {key!r} has {value!r:.80}; wanted {wanted}")
    return values


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _parsed(text: str, place: object) -> Any:  # noqa: ANN401  # whatever JSON holds
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{place} is not JSON: {error}") from error
