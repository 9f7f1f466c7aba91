"""`qa calibrate`: threshold and confidence, fitted on held-out examples and saved with the model."""

from dataclasses import asdict, replace
from pathlib import Path

from qa.cli.answering import progress
from qa.cli.data import load_data
from qa.cli.display import print_json, print_line, print_table
from qa.cli.loading import load_predictor
from qa.cli.model_flags import Calibrate
from qa.cli.searches import fit_searches, show_searches
from qa.data.examples import Examples
from qa.decoding.predictions import Predictions
from qa.errors import DataError, UsageError
from qa.evaluation.calibration import Calibration, Values, calibrate
from qa.evaluation.grading import grade
from qa.evaluation.retrieval import RetrievalFit
from qa.evaluation.several import grade_answers
from qa.inference.options import AnswerOptions
from qa.inference.predictor import Predictor
from qa.modeling.settings import SETTINGS_FILE, ReaderSettings, save_settings

_MEASURES = {
    "exact": "right answers (%)",
    "f1": "F1 (%)",
    "confidence": "mean confidence (%)",
    "calibration_error": "expected calibration error (%)",
    "log_loss": "log loss (nats)",
    "area": "area under risk-coverage (%)",
}


def run(arguments: Calibrate) -> None:
    """Answer all examples, fit on one half, show the scores of the other, and save what does better there."""
    folder = Path(arguments.model.model)
    if arguments.save and not folder.is_dir():
        raise UsageError(f"{folder} is no folder to save into; wanted a folder, or --no-save")
    examples = load_data(arguments.data, arguments.on_bad_example, "texts")
    if not examples.has_references:
        raise DataError(f"{arguments.data.data} has no references: no column answers; wanted answers to fit to")
    predictor = load_predictor(arguments.model)
    # None where all can be answered: then "no answer" is possible as the model says
    options = predictor.options(
        batch_size=arguments.batch_size,
        no_answer=True if examples.has_impossible else None,
        answers=predictor.settings.answers,
    )
    found = fit(predictor, examples, options, language=arguments.language)
    searches = (
        fit_searches(predictor, examples, arguments.searches, batch_size=arguments.batch_size)
        if arguments.searches
        else None
    )
    settings = _settings(predictor.settings, options, found, searches)
    is_saved = arguments.save and settings != predictor.settings
    if is_saved:
        save_settings(settings, folder)
    if arguments.json:
        print_json(asdict(found) | ({} if searches is None else {"searches": asdict(searches)}))
        return
    _show(found, options, folder if is_saved else None)
    if searches is not None:
        show_searches(searches)


def _settings(
    own: ReaderSettings, options: AnswerOptions, found: Calibration, searches: RetrievalFit | None
) -> ReaderSettings:
    """Return the reader's settings with what was fitted; as they were where nothing is new."""
    if found.used != _values_of(options):
        own = replace(
            own,
            null_possible=options.null_possible,
            no_answer_threshold=found.threshold,
            temperature=found.temperature,
            confidence_slope=found.slope,
            confidence_shift=found.shift,
        )
    return own if searches is None else replace(own, lexical_weight=searches.weight)


def fit(predictor: Predictor, examples: Examples, options: AnswerOptions, *, language: str) -> Calibration:
    """Answer all examples and fit to half of them."""
    parts = [predictions for _, predictions in progress(predictor, examples, options)]
    predictions = Predictions.concatenate(parts, ids=examples.rows["id"][:])
    references = [answers["text"] for answers in examples.rows["answers"][:]]
    graded = (grade_answers if options.answers == "all" else grade)(predictions, references, language=language)
    return calibrate(graded, _values_of(options))


def _values_of(options: AnswerOptions) -> Values:
    return Values(options.threshold, options.temperature, options.platt)


def _show(found: Calibration, was: AnswerOptions, folder: Path | None) -> None:
    untuned, before, fitted = asdict(found.untuned), asdict(found.before), asdict(found.fitted)
    print_line(f"fitted on {found.fitted_examples} examples, measured on {found.measured_examples} others")
    print_table(
        ("", "untuned", "as it was", "fitted"),
        [
            ("no-answer threshold (log odds)", 0.0, was.threshold, found.fitted_threshold),
            ("temperature", 1.0, was.temperature, found.fitted_temperature),
            ("slope of log odds", 1.0, was.platt.slope, found.fitted_slope),
            ("shift of log odds", 0.0, was.platt.shift, found.fitted_shift),
            *((label, untuned[name], before[name], fitted[name]) for name, label in _MEASURES.items()),
        ],
    )
    curves = zip(found.untuned.risk_at_coverage, found.fitted.risk_at_coverage, strict=True)
    print_table(
        ("answered (%)", "wrong of these (%), untuned", "fitted"),
        [(round(coverage, 1), before, after) for (coverage, before), (_, after) in curves],
    )
    for reason in found.kept:
        print_line(f"kept as it was: {reason}")
    if folder is not None:
        print_line(
            f"threshold {found.threshold:.4g}, temperature {found.temperature:.4g}, slope {found.slope:.4g} and shift "
            f"{found.shift:.4g} saved in {folder / SETTINGS_FILE}"
        )
