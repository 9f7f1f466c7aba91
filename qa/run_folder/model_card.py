"""The model's card, with the hub's metadata, and the push to the hub.

The card is made of what the run wrote: configuration, environment, scores, answers and history. Nothing here asks the
hub anything but to take the folder.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCardData
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from qa.config import RunConfig
from qa.data.sources import HUB_IDS, is_hub_id
from qa.errors import HubError, StorageError
from qa.files import write_whole
from qa.metrics.normalization import language_code
from qa.modeling.embedded import EMBEDDED_MODELS
from qa.modeling.settings import DEFAULT_SETTINGS, ReaderSettings, load_settings
from qa.report.summary import Summary
from qa.run_folder.illustrations import RELIABILITY, Plot, plots_of, slice_rows, summary_of, write_plots
from qa.run_folder.paths import RunPaths
from qa.runtime.energy import Energy, read_energy

_LICENSES = {model.base_model: model.license for model in EMBEDDED_MODELS.values()} | {
    "distilbert/distilbert-base-uncased": "apache-2.0"
}
_HEADS = {
    "spans": "a start and an end head",
    "conditional": "a start head and one of ends given their starts",
    "tokens": "a head that tags tokens",
}
_TRAINING = ("learning_rate", "schedule", "warmup_ratio", "weight_decay", "max_gradient_norm", "epochs", "max_steps")
_SNIPPET = """\
from qa import Predictor

reader = Predictor.from_pretrained("{where}")
answer = reader(
    question="Who named the Amazon?",
    context="Francisco de Orellana named the Amazon in 1541.",
)
print(answer["answer"], answer["score"])
"""
_PLAIN_USE = (
    "With transformers alone, for models that read the question first as BERT does: one window of the text, and an "
    "answer in any case."
)
_NO_PLAIN_USE = (
    "transformers alone refuses this folder, for the size of its head: ends depend on their starts, of which its "
    "classes know nothing."
)
_PLAIN_SNIPPET = """\
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{where}")
model = AutoModelForQuestionAnswering.from_pretrained("{where}").eval()
question, context = "Who named the Amazon?", "Francisco de Orellana named the Amazon in 1541."
cut = {{"truncation": "only_second", "max_length": {max_length}}}
inputs = tokenizer(question, context, return_offsets_mapping=True, return_tensors="pt", **cut)
outside = torch.tensor([text != 1 for text in inputs.sequence_ids(0)])
places = inputs.pop("offset_mapping")[0]
with torch.no_grad():
    output = model(**inputs)
start, end = (one[0].masked_fill(outside, -torch.inf) for one in (output.start_logits, output.end_logits))
further = torch.arange(len(start)) - torch.arange(len(start))[:, None]
score = (start[:, None] + end{cost}).masked_fill((further < 0) | (further >= {longest}), -torch.inf)
first, last = divmod(int(score.argmax()), len(start))
print(context[places[first, 0] : places[last, 1]])
"""


def publish(paths: RunPaths, config: RunConfig, rows: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write the card of a finished run's model with its plots, and push the model where that is asked for.

    Args:
        paths: of the run.
        config: of the run.
        rows: the validation examples, if they have references; see `summary_of`.

    Raises:
        HubError: the hub does not take it; the model and its card stay in the run folder.

    """
    summary = summary_of(paths, config, rows)
    plots = plots_of(paths, config, summary)
    write_plots(paths, plots)
    write_whole(paths.model_card, model_card(config, paths, summary, plots))
    if config.push_to_hub is not None:
        push(paths.model, config.push_to_hub)


def push(folder: Path, repository: str) -> None:
    """Make the repository if there is none, and upload the folder's files.

    Raises:
        HubError: it does not answer, or refuses.

    """
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="model", exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload a question-answering reader")
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise HubError(f"cannot push {folder} to {repository!r}: {error}") from error


def model_card(
    config: RunConfig, paths: RunPaths, summary: Summary | None = None, plots: Mapping[str, Plot] | None = None
) -> str:
    """Return the card of the model of a run folder: the hub's metadata as YAML, and Markdown.

    Args:
        config: of the run.
        paths: of the run.
        summary: of its answers, where they were judged.
        plots: that lie beside the card, by file name.

    """
    courses = dict(plots or {})
    reliability = courses.pop(RELIABILITY, None)
    scores = _read(paths.metrics)
    begin = (
        f"Answers questions with spans of a text. Fine-tuned from `{base_model(config)}` on `{config.train_data}` "
        f"with {_HEADS[config.head]}"
    )
    evaluated = f", and evaluated on `{config.validation_source}`." if scores else "."
    environment, energy = _read(paths.environment) or {}, read_energy(paths.energy)
    metadata = _metadata(config, scores or {}, energy).to_yaml()
    parts = [
        f"# {_name(config)}",
        begin + evaluated,
        "## Use",
        _fenced("python", _SNIPPET.format(where=config.push_to_hub or paths.model)),
        _settings(paths.model),
        *([_PLAIN_USE, _fenced("python", _plain_snippet(config, paths))] if config.head == "spans" else []),
        *([_NO_PLAIN_USE] if config.head == "conditional" else []),
        *(["## Scores", _table(("score", "value"), _shown(scores).items())] if scores else []),
        *(_confidence(summary, reliability) if summary is not None and reliability is not None else []),
        *(_slices(summary) if summary is not None else []),
        "## Training",
        *(_image(name, plot) for name, plot in courses.items()),
        _table(("setting", "value"), _hyperparameters(config).items()),
        *(["## Energy", _used(energy)] if energy is not None else []),
        "## Versions",
        _table(("package", "version"), environment.get("versions", {}).items()),
    ]
    return f"---\n{metadata}\n---\n\n" + "\n\n".join(parts) + "\n"


def base_model(config: RunConfig) -> str:
    """Return the model that training began with, by its hub id where it has one."""
    return EMBEDDED_MODELS[config.model].base_model if config.model in EMBEDDED_MODELS else config.model


def _metadata(config: RunConfig, scores: Mapping[str, Any], energy: Energy | None) -> ModelCardData:
    base, data = base_model(config), HUB_IDS.get(config.train_data, config.train_data)
    return ModelCardData(
        model_name=_name(config),
        # A local path is no id: the hub would refuse it.
        base_model=base if is_hub_id(base) else None,
        datasets=data if is_hub_id(data) else None,
        license=_LICENSES.get(base),
        language=language_code(config.decoding.language),  # the hub refuses a region, or a rule, after it
        library_name="transformers",
        pipeline_tag="question-answering",
        tags=["extractive-qa"],
        metrics=[name for name in ("exact_match", "f1") if name in _main_scores(scores)] or None,
        eval_results=_results(config, scores) or None,
        co2_eq_emissions=_emissions(energy) if energy is not None else None,
    )


def _results(config: RunConfig, scores: Mapping[str, Any]) -> list[EvalResult]:
    source = config.validation_source or ""
    split = config.data.validation_split if config.validation_share is None else config.data.train_split
    name = HUB_IDS.get(source, source)
    return [
        EvalResult(
            task_type="question-answering",
            dataset_type=name if is_hub_id(name) else "local",
            dataset_name=Path(source).name,
            dataset_split=split,
            metric_type=kind,
            metric_value=round(value, 2),
        )
        for kind, value in _main_scores(scores).items()
    ]


def _main_scores(scores: Mapping[str, Any]) -> dict[str, float]:
    """Return exact match and F1 under the hub's names; the official script of v2.0 calls the first one "exact"."""
    exact = scores.get("exact_match", scores.get("exact"))
    return {} if exact is None else {"exact_match": exact, "f1": scores["f1"]}


def _shown(scores: Mapping[str, Any]) -> dict[str, object]:
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in scores.items()}


def _hyperparameters(config: RunConfig) -> dict[str, object]:
    training = {name: getattr(config.training, name) for name in _TRAINING}
    sizes = {
        "features per device and forward pass": config.training.batch_size,
        "accumulation steps": config.training.accumulation_steps,
        "longest window (tokens)": config.features.max_length,
        "shared by neighbouring windows (tokens)": config.features.doc_stride,
        "seed": config.seed,
        "training examples": config.max_train_examples,
    }
    return {name: value for name, value in {**training, **sizes}.items() if value is not None}


def _plain_snippet(config: RunConfig, paths: RunPaths) -> str:
    return _PLAIN_SNIPPET.format(
        where=config.push_to_hub or paths.model,
        max_length=config.features.max_length,
        longest=config.decoding.max_answer_tokens,
        cost=f" {-cost:+g} * further" if (cost := _length_cost(paths.model)) else "",
    )


def _length_cost(model: Path) -> float:
    return (load_settings(model) or DEFAULT_SETTINGS).length_cost


def _settings(model: Path) -> str:
    settings = load_settings(model) or DEFAULT_SETTINGS
    said = [_no_answer(settings)]
    if settings.length_cost:
        said.append(f"Every token of an answer after its first costs {settings.length_cost:g} log odds.")
    if settings.choice == "overlap":
        said.append("It answers with the span that overlaps most with all likely ones, each weighed by its likelihood.")
        if settings.head == "spans":
            said.append("With transformers alone, below, the likeliest is the answer.")
    return " ".join(said)


def _no_answer(settings: ReaderSettings) -> str:
    if not settings.null_possible:
        return 'It takes every question to be answered by the text; pass `no_answer=True` to allow "no answer".'
    return (
        'It may say that a text does not answer: "no answer" is an empty text, given where its log odds are above '
        f"{settings.no_answer_threshold:.4g}, fitted on the evaluation data."
    )


def _confidence(summary: Summary, plot: Plot) -> list[str]:
    assert summary.calibration_error is not None, "it is known where there is something to draw"
    said = (
        f"How often answers of a confidence are right, with 95 % intervals, of the {summary.examples:,} validation "
        f"examples; on the dashed line, confidence is the share of right ones. The expected calibration error is "
        f"{100 * summary.calibration_error:.1f} points. `qa calibrate` lowers it."
    )
    return ["### Confidence", said, _image(RELIABILITY, plot)]


def _slices(summary: Summary) -> list[str]:
    said = (
        "In percent, with 95 % intervals: Wilson's for exact match, the bootstrap's over contexts for F1. The answers "
        "are those of the evaluation, at its `no_answer_threshold` where there is one."
    )
    return ["### Slices", said, _table(("by", "group", "examples", "exact match", "F1"), slice_rows(summary))]


def _emissions(energy: Energy) -> dict[str, Any]:
    """Return the emissions in grams, as the hub has them."""
    place = {} if energy.country is None else {"geographical_location": energy.country}
    source = f"CodeCarbon {energy.version}"
    return {"emissions": round(1000 * energy.emissions, 3), "source": source, "training_type": "fine-tuning", **place}


def _used(energy: Energy) -> str:
    attempts = "1 attempt" if energy.attempts == 1 else f"{energy.attempts} attempts"
    whose = "the world's mean electricity" if energy.country is None else f"electricity of {energy.country}"
    return (
        f"{_watt_hours(energy.total)} in {attempts}: CPU {_watt_hours(energy.cpu)}, GPU {_watt_hours(energy.gpu)}, "
        f"memory {_watt_hours(energy.memory)}; {1000 * energy.emissions:.3g} g of CO₂ by {whose}. CodeCarbon "
        f"{energy.version} told it of the whole machine of the main process, with all that ran there. GPUs count their "
        "energy, and CPUs where their RAPL counters can be read; else the CPU's part is an estimate from load and "
        "nominal power, as is memory's from its size."
    )


def _watt_hours(kilowatt_hours: float) -> str:
    return f"{1000 * kilowatt_hours:,.3g} Wh" if kilowatt_hours < 1 else f"{kilowatt_hours:,.3g} kWh"


def _image(name: str, plot: Plot) -> str:
    return f"![{plot.title}]({name})"


def _name(config: RunConfig) -> str:
    name = (config.push_to_hub or "").rpartition("/")[2]
    return name or config.output_dir.resolve().name


def _fenced(language: str, code: str) -> str:
    return f"```{language}\n{code}```"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:  # a run without evaluation has no scores
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    return content
