"""`qa inspect`: what is in a data set, and how a tokenizer cuts it into windows."""

import random
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from qa.cli.data import load_data
from qa.cli.data_flags import Inspect
from qa.cli.display import print_json, print_line, print_marked, print_table
from qa.cli.problems import show_problems
from qa.cli.windows import show_windows, view_of
from qa.config import FeaturesConfig
from qa.data.examples import Examples
from qa.data.references import NO_PLACE
from qa.features.labels import build_labels
from qa.features.round_trip import label_round_trip
from qa.features.unknown import unknown_tokens
from qa.features.windows import Encoder, Features, features_of_table
from qa.modeling.sources import load_tokenizer


def run(arguments: Inspect) -> None:
    """Count, measure and show."""
    examples = load_data(arguments.data, arguments.on_bad_example)
    config = FeaturesConfig(
        max_length=arguments.max_length,
        doc_stride=arguments.doc_stride,
        max_question_length=arguments.max_question_length,
    )
    tokenizer = load_tokenizer(arguments.model)
    features = features_of_table(examples.rows.with_format("arrow")[:], Encoder.of(tokenizer), config)
    report = inspect(examples, features, tokenizer, config) | {
        "longest": longest(examples, features, arguments.longest)
    }
    views = [view_of(examples, features, tokenizer, wanted) for wanted in arguments.id]
    shown = draw(examples, 0 if views else arguments.examples, seed=arguments.seed)
    if arguments.json:
        print_json(report | {"examples_shown": shown, "windows_shown": [asdict(view) for view in views]})
        return
    _show(report, shown, examples)
    for view in views:
        show_windows(view)


def inspect(
    examples: Examples, features: Features, tokenizer: PreTrainedTokenizerBase, config: FeaturesConfig
) -> dict[str, Any]:
    """Return counts, lengths in tokens, windows per example, and problems, as JSON has them."""
    encodings = Encoder.of(tokenizer).backend.encode_batch(examples.rows["question"][:], add_special_tokens=False)
    questions = np.array([len(encoding) for encoding in encodings])
    contexts = features.context_ids.lengths
    windows = np.bincount(features.example, minlength=len(examples))
    unknown = unknown_tokens(features)
    report: dict[str, Any] = {
        "examples": len(examples),
        "contexts": len(contexts),
        "notes": list(examples.notes),
        "problems": [asdict(problem) for problem in examples.problems],
        "questions_cut": int((questions > config.max_question_length).sum()),
        "question_tokens": _summary(questions),
        "context_tokens": _summary(contexts),
        "windows": {"total": len(features), **_summary(windows)},
        "examples_of_several_windows": int((windows > 1).sum()),
        "unknown_question_tokens": unknown.shares["questions"],
        "unknown_context_tokens": unknown.shares["contexts"],
        "warnings": [unknown.warning] if unknown.warning is not None else [],
    }
    return report | (_reference_counts(examples, features) if examples.has_references else {})


def _reference_counts(examples: Examples, features: Features) -> dict[str, Any]:
    references = [answers["text"] for answers in examples.rows["answers"][:]]
    counts = np.array([len(texts) for texts in references])
    trip = label_round_trip(features, build_labels(examples.rows, features), examples.rows)
    return {
        "unanswerable": int((counts == 0).sum()),
        "unanswerable_share": float((counts == 0).mean()),
        "references": _summary(counts[counts > 0]),
        "references_without_a_place": sum(
            start == NO_PLACE for answers in examples.rows["answers"][:] for start in answers["answer_start"]
        ),
        "labelled_windows": trip.labelled,
        "examples_that_no_window_holds": trip.unlabelled_examples,
        "labels_that_give_back_their_reference": trip.rate / 100.0,
        "labels_wider_than_their_reference": trip.wider,
        "labels_narrower_than_their_reference": trip.narrower,
    }


def longest(examples: Examples, features: Features, count: int) -> list[dict[str, Any]]:
    """Return the examples with the longest contexts, one for each context, the longest first."""
    tokens = features.context_ids.lengths
    first = np.unique(features.context_of, return_index=True)[1]
    rows = sorted(first.tolist(), key=lambda row: (-tokens[features.context_of[row]], row))[:count]
    windows = np.bincount(features.example, minlength=len(examples))
    ids = examples.rows.select(rows)["id"][:]
    return [
        {"id": key, "tokens": int(tokens[features.context_of[row]]), "windows": int(windows[row])}
        for key, row in zip(ids, rows, strict=True)
    ]


def draw(examples: Examples, count: int, *, seed: int | None) -> list[dict[str, Any]]:
    """Draw examples at random, in their order."""
    rows = sorted(random.Random(seed).sample(range(len(examples)), min(count, len(examples))))
    return [dict(examples.rows[row]) for row in rows]


def _summary(values: Int[np.ndarray, "value"]) -> dict[str, float]:
    if not len(values):
        return {}
    median, most = np.percentile(values, [50, 95], method="lower").tolist()
    return {
        "mean": float(values.mean()),
        "least": int(values.min()),
        "median": int(median),
        "percentile_95": int(most),
        "most": int(values.max()),
    }


def _show(report: dict[str, Any], shown: list[dict[str, Any]], examples: Examples) -> None:
    print_table(("", ""), [(_words(name), value) for name, value in report.items() if isinstance(value, int | float)])
    summaries = {name: value for name, value in report.items() if isinstance(value, dict) and value}
    columns = ("mean", "least", "median", "percentile_95", "most")
    print_table(
        ("", *(_words(column) for column in columns)),
        [(_words(name), *(value[column] for column in columns)) for name, value in summaries.items()],
    )
    for warning in report["warnings"]:
        print_line(f"warning: {warning}")
    counts = Counter((problem.kind, problem.action) for problem in examples.problems)
    show_problems(counts, examples.problems)
    if report["longest"]:
        print_table(("longest", "tokens", "windows"), [tuple(one.values()) for one in report["longest"]])
    for row in shown:
        _show_example(row)


def _show_example(row: dict[str, Any]) -> None:
    print_line(f"\n{row['id']}: {row['question']}")
    answers = row.get("answers") or {"text": [], "answer_start": []}
    first = zip(answers["answer_start"], answers["text"], strict=True)
    start, text = next(first, (0, ""))
    print_marked(row["context"], [(start, start + len(text))] if text and start != NO_PLACE else [])
    if start == NO_PLACE:
        print_line(f"without a place: {text}")
    others = sorted({other for _, other in first} - {text})
    if others:
        print_line(f"also: {' | '.join(others)}")
    elif "answers" in row and not text:
        print_line("(no answer)")


def _words(name: str) -> str:
    return name.replace("_", " ")
