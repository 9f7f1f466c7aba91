"""`qa errors`: what a run answered wrongly, on a terminal or as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from qa.cli.display import print_json, print_line, print_marked, print_table
from qa.cli.experiment_flags import Errors
from qa.config import DataConfig, RunConfig
from qa.data import Examples, load_examples, load_validation_examples
from qa.errors import DataError, ModelError
from qa.evaluation.mistakes import MISTAKES, JudgedAnswer, choose, judge
from qa.experiments.finished import FinishedRun, read_run, require_single_answers
from qa.features.windows import Encoder, features_of_table
from qa.files import write_whole
from qa.modeling.sources import load_tokenizer
from qa.report.page import KIND_NAMES, Report, page
from qa.report.summary import Summary, summarise
from qa.run_folder.answers import what_was_given
from qa.run_folder.curves import charts
from qa.run_folder.paths import RunPaths

_SHOWN, _ON_PAGE = 10, 500
_AROUND = 200  # characters of the context on either side of what is marked


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """A run with its answers judged."""

    run: FinishedRun
    answers: list[JudgedAnswer]
    summary: Summary


def run(arguments: Errors) -> None:
    """Judge all answers; show some, or write the page."""
    judged = _judge(arguments)
    wanted = set(arguments.kind or MISTAKES)
    if arguments.html is not None:
        most = _ON_PAGE if arguments.examples is None else arguments.examples
        write_whole(arguments.html, page(_report(judged, _chosen(judged, {*wanted, None}, most))))
    shown = [] if arguments.html is not None and not arguments.json else _shown(judged, arguments, wanted)
    if arguments.json:
        print_json(_values(judged, shown) | {"page": None if arguments.html is None else str(arguments.html)})
        return
    _show_summary(judged)
    for answer in shown:
        _show_answer(answer)
    if arguments.html is not None:
        print_line(f"page: {arguments.html}")


def _shown(judged: _Judged, arguments: Errors, wanted: set[Any]) -> list[JudgedAnswer]:
    return _chosen(judged, wanted, _SHOWN if arguments.examples is None else arguments.examples)


def _chosen(judged: _Judged, wanted: set[Any], most: int) -> list[JudgedAnswer]:
    kept = [answer for answer in judged.answers if answer.mistake in wanted]
    rows = choose([answer.row["id"] for answer in kept], [answer.mistake for answer in kept], most)
    return [kept[row] for row in rows]


# --- reading ------------------------------------------------------------------------------------------------------


def _judge(arguments: Errors) -> _Judged:
    run = read_run(arguments.run)
    require_single_answers(run)
    examples = _examples(run.config, arguments)
    if not examples.has_references:
        raise DataError(f"the examples of {arguments.run} have no references; wanted --data with right answers")
    rows = [dict(row) for row in examples.rows if row["id"] in run.answers]
    if len(rows) != len(run.answers):
        raise DataError(
            f"{len(run.answers) - len(rows)} of the {len(run.answers)} ids in {RunPaths(arguments.run).predictions} "
            "are not in the data; wanted --data with the examples that the run answered"
        )
    _count_windows(rows, run)
    given = what_was_given(run.answers, RunPaths(arguments.run))
    answers = judge(rows, given, language=run.config.decoding.language)
    return _Judged(run=run, answers=answers, summary=summarise(answers, language=run.config.decoding.language))


def _examples(config: RunConfig, arguments: Errors) -> Examples:
    if arguments.data is not None:
        data = DataConfig(on_bad_example="skip")
        return load_examples(arguments.data, split=arguments.split, config=data, purpose="texts")
    examples = load_validation_examples(config)
    if examples is None:
        raise DataError(f"{arguments.run} had no validation data; wanted --data with the references of its answers")
    return examples


def _count_windows(rows: list[dict[str, Any]], run: FinishedRun) -> None:
    """Add the number of its windows to every row, where the run's tokenizer can be had."""
    own = RunPaths(run.folder).model
    try:
        tokenizer = load_tokenizer(str(own) if own.is_dir() else run.config.model)
    except ModelError:  # a hub model with the network off: one kind of slice less
        return
    table = pa.table({name: [row[name] for row in rows] for name in ("question", "context")})
    features = features_of_table(table, Encoder.of(tokenizer), run.config.features)
    counts = np.bincount(features.example, minlength=len(rows))
    for row, count in zip(rows, counts.tolist(), strict=True):
        row["windows"] = count


# --- showing ------------------------------------------------------------------------------------------------------


def _report(judged: _Judged, shown: Sequence[JudgedAnswer]) -> Report:
    config = judged.run.config
    return Report(
        title=f"Answers of {judged.run.folder.resolve().name}",
        subtitle=f"model {config.model}, trained on {config.train_data}, seed {config.seed}",
        summary=judged.summary,
        shown=shown,
        language=config.decoding.language,
        curves=charts(judged.run.history, config.further_validation_data()),
    )


def _show_summary(judged: _Judged) -> None:
    summary = judged.summary
    print_line(f"{summary.examples} examples; intervals: 95 %")
    print_table(
        ("", "%", "from", "to"),
        [(name, *(round(100 * x, 2) for x in one)) for name, one in (("exact", summary.exact), ("F1", summary.f1))],
    )
    counts = [(KIND_NAMES[kind], summary.mistakes.get(kind, 0)) for kind in (None, *MISTAKES)]
    names = ("right", *MISTAKES)
    print_table(
        ("answers", "", "number", "%"),
        [(n, said, count, 100 * count / summary.examples) for n, (said, count) in zip(names, counts, strict=True)],
    )


def _show_answer(answer: JudgedAnswer) -> None:
    share = "" if answer.given.probability is None else f", probability {answer.given.probability:.2f}"
    print_line(f"\n{answer.row['id']} ({answer.mistake}, F1 {100 * answer.f1:.0f}{share}): {answer.row['question']}")
    print_line(f"answer: {answer.given.text or '(no answer)'}")
    print_line(f"reference: {' | '.join(answer.references) or '(no answer)'}")
    answers = [] if answer.given.place is None else [answer.given.place]
    print_marked(answer.row["context"], answers, answer.reference_places, characters=_AROUND)


def _values(judged: _Judged, shown: Sequence[JudgedAnswer]) -> dict[str, Any]:
    summary = judged.summary
    return {
        "examples": summary.examples,
        "exact": summary.exact,
        "f1": summary.f1,
        "kinds": {kind or "right": summary.mistakes.get(kind, 0) for kind in (None, *MISTAKES)},
        "slices": [one._asdict() for one in summary.slices],
        "errors": [
            {
                "id": answer.row["id"],
                "kind": answer.mistake,
                "question": answer.row["question"],
                "answer": answer.given.text,
                "place": answer.given.place,
                "references": answer.references,
                "f1": answer.f1,
                "probability": answer.given.probability,
            }
            for answer in shown
        ],
    }
