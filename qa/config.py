"""What a run is: frozen dataclasses, presets, and how they are parsed, saved and loaded."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import tyro
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from qa.errors import ConfigError
from qa.files import write_json

OnBadExample = Literal["error", "skip", "repair"]
Search = Literal["exact", "hf_parity"]
Backend = Literal["torch", "onnx", "onnx_int8"]
"""What runs a model: PyTorch, or onnxruntime with float32 or 8-bit weights."""
_V2Score = Literal[
    "exact", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1", "best_exact", "best_f1", "fitted_f1"
]
ComparedScore = Literal["exact_match", "f1", _V2Score]
"""The scores of metrics.json of which more is better."""


def _require(condition: bool, setting: str, found: object, wanted: str) -> None:
    if not condition:
        raise ConfigError(f"{setting.replace('_', '-')} is {found!r}; wanted {wanted}")


class _Settings:
    """A part of the configuration."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    def _require_least(self, prefix: str, **smallest: int) -> None:
        """Check settings that have a smallest value; None is for "not set"."""
        for name, least in smallest.items():
            value = getattr(self, name)
            _require(value is None or least <= value < math.inf, prefix + name, value, f"{least} or more")

    def _require_positive(self, prefix: str, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            _require(value is None or 0 < value < math.inf, prefix + name, value, "more than 0")


@dataclass(frozen=True, kw_only=True)
class DataConfig(_Settings):
    """Where in a data source the examples are, and what to do with bad ones."""

    name: str | None = None
    """Configuration of a hub data set that has several."""
    revision: str | None = None
    """Branch, tag or commit of a hub data set."""
    train_split: str = "train"
    """Split to train on, where the source has splits."""
    validation_split: str = "validation"
    """Split to evaluate on, where the source has splits."""
    on_bad_example: OnBadExample = "error"
    """Stop at a bad example, skip it, or move an answer to its nearest occurrence in the context."""
    allow_impossible: bool = True
    """Keep examples without an answer for training."""


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig(_Settings):
    """How an example is cut into windows of tokens."""

    max_length: int = 384
    """Longest window, in tokens: question, context and special tokens together."""
    doc_stride: int = 128
    """Tokens that neighbouring windows share (the overlap, not the step)."""
    max_question_length: int = 64
    """Tokens of a question that are kept."""
    cache_dir: Path | None = None
    """Folder for built features; none: the data sets library's cache folder."""

    def __post_init__(self) -> None:
        self._require_least("features.", max_length=8, doc_stride=0, max_question_length=1)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(_Settings):
    """How the model is trained; everything that is counted is counted in optimizer steps."""

    epochs: float = 2.0
    """Passes over the training features; a fraction stops inside one."""
    max_steps: int | None = None
    """Optimizer steps in all, in place of epochs; 0 evaluates only."""
    learning_rate: float = 3e-5
    """Peak learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Course of the learning rate after the warm-up: to zero in a line or a half cosine, or constant."""
    warmup_ratio: float = 0.1
    """Share of all steps in which the learning rate rises from zero."""
    batch_size: int = 16
    """Features per device and forward pass."""
    accumulation_steps: int = 1
    """Forward passes per optimizer step."""
    auto_batch_size: bool = False
    """Out of memory, halve the batches and double the passes of a step, whose features stay the same."""
    weight_decay: float = 0.01
    """Decoupled weight decay; not applied to biases and normalisation layers."""
    adam_epsilon: float = 1e-8
    """Term that keeps AdamW's denominator from zero."""
    max_gradient_norm: float | None = 1.0
    """Largest norm of the gradient of all parameters together; none: no clipping."""
    evaluate_every: int | None = None
    """Optimizer steps between evaluations; none: after every epoch; 0: only at the end."""
    save_every: int | None = None
    """Optimizer steps between checkpoints; none: after every epoch; 0: only at the end."""
    save_minutes: float | None = None
    """Minutes after which a checkpoint is saved besides; none: only by steps."""
    max_minutes: float | None = None
    """Minutes from the start after which the run saves a checkpoint and ends, to be resumed; none: no limit."""
    log_every: int = 10
    """Optimizer steps between logged points."""
    keep_last: int = 2
    """Newest checkpoints that are kept; the best model is in the run folder's model/."""
    best_metric: ComparedScore | None = None
    """Score of metrics.json that the best model has most of; none: f1 (best_f1 with unanswerable questions)."""
    patience: int | None = None
    """Evaluations without a better score after which training stops; none: never."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    compile: bool = False
    """Compile the encoder with torch.compile; lengths are then padded to multiples of 64."""
    fused: bool | None = None
    """Use the optimizer's fused kernel; none: where the device has one."""
    profile: bool = False
    """Record a few steps after the first ones in trace.json of the run folder, which ui.perfetto.dev opens."""

    def __post_init__(self) -> None:
        self._require_positive("training.", "epochs", "learning_rate", "adam_epsilon", "max_gradient_norm")
        self._require_positive("training.", "save_minutes", "max_minutes")
        self._require_least("training.", max_steps=0, batch_size=1, accumulation_steps=1, weight_decay=0)
        self._require_least("training.", evaluate_every=0, save_every=0, log_every=1, keep_last=1, patience=1)
        _require(0 <= self.warmup_ratio <= 1, "training.warmup_ratio", self.warmup_ratio, "0 to 1")


@dataclass(frozen=True, kw_only=True)
class DecodingConfig(_Settings):
    """How logits become answers."""

    n_best: int = 20
    """Candidates kept per feature, and answers per example in the n-best file."""
    max_answer_tokens: int = 30
    """Longest answer, in tokens."""
    search: Search = "exact"
    """The best valid spans exactly, or the 20 × 20 lists of the well-known script."""
    no_answer_threshold: float | None = None
    """Null score minus best span score above which the answer is "no answer"; none: the model's own, or 0."""
    batch_size: int = 32
    """Most features per device and forward pass in evaluation; on a CPU fewer are together if they are long."""
    language: str = "en"
    """Language whose articles and word borders the scores follow (ISO 639-1 code); en is the official one."""

    def __post_init__(self) -> None:
        self._require_least("decoding.", n_best=1, max_answer_tokens=1, batch_size=1)
        threshold = self.no_answer_threshold
        _require(threshold is None or math.isfinite(threshold), "decoding.no_answer_threshold", threshold, "a number")


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(_Settings):
    """Where the run is recorded, besides its folder."""

    report_to: tuple[Literal["wandb", "tensorboard", "trackio", "none"], ...] = ("wandb",)
    """Trackers: wandb, tensorboard, trackio, several of them, or none."""
    project: str = "extractive-qa"
    """Project of the tracker."""
    run_name: str | None = None
    """Name of the run at the tracker; none: the output folder's name."""
    table_rows: int = 200
    """Predictions shown in the tracker's table."""

    def __post_init__(self) -> None:
        _require(self.trackers in {(), self.report_to}, "tracking.report_to", self.report_to, "none alone")
        self._require_least("tracking.", table_rows=0)

    @property
    def trackers(self) -> tuple[str, ...]:
        """The trackers to report to, without the word for an empty list."""
        return tuple(name for name in self.report_to if name != "none")


@dataclass(frozen=True, kw_only=True)
class RunConfig(_Settings):
    """Fine-tune and evaluate an extractive question-answering reader."""

    model: str = "minilm"
    """Hub id, folder of a saved model, or minilm for the embedded default."""
    model_revision: str | None = None
    """Branch, tag or commit of a hub model."""
    train_data: str = "sample"
    """Hub id, file, folder, or sample for the embedded data set."""
    validation_data: str | None = "sample"
    """Hub id, file, folder, or sample for the embedded data set; none: no evaluation."""
    output_dir: Path = Path("runs/qa")
    """Run folder; must be empty or missing unless the run is resumed."""
    seed: int = 42
    """Seed of the head's weights, the order of features and dropout."""
    resume: str | None = None
    """Continue from a checkpoint: auto (also when no value follows) for the newest of the run folder, or its path."""
    max_train_examples: int | None = None
    """Examples to train on, spread evenly over the set."""
    max_validation_examples: int | None = None
    """Examples to evaluate on, spread evenly over the set."""
    push_to_hub: str | None = None
    """Hub id that the trained model is uploaded to, with its card; none: it stays in the run folder."""
    data: DataConfig = DataConfig()
    features: FeaturesConfig = FeaturesConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    tracking: TrackingConfig = TrackingConfig()

    def __post_init__(self) -> None:
        self._require_least("", max_train_examples=1, max_validation_examples=1, seed=0)
        if self.validation_data is None:
            _require(self.training.max_steps != 0, "validation-data", None, "data to evaluate on")
            _require(self.training.patience is None, "validation-data", None, "data that training.patience can judge")


def _preset(model: str, data: str, learning_rate: float, *, batch_size: int = 32, max_length: int = 384) -> RunConfig:
    features = FeaturesConfig(max_length=max_length)
    training = TrainingConfig(learning_rate=learning_rate, batch_size=batch_size)
    return RunConfig(model=model, train_data=data, validation_data=data, features=features, training=training)


PRESETS: dict[str, RunConfig] = {
    "demo": RunConfig(
        output_dir=Path("runs/demo"),
        training=TrainingConfig(epochs=3.0, learning_rate=3e-4, batch_size=8, evaluate_every=0, save_every=0),
    ),
    "minilm-squad": _preset("minilm", "squad", 2e-4, batch_size=16),
    "minilm-squad-v2": _preset("minilm", "squad_v2", 2e-4, batch_size=16),
    "distilbert-squad": _preset("distilbert/distilbert-base-uncased", "squad", 5e-5),
    "distilbert-squad-v2": _preset("distilbert/distilbert-base-uncased", "squad_v2", 5e-5),
    "bert-base-squad": _preset("google-bert/bert-base-uncased", "squad", 5e-5),
    "roberta-base-squad-v2": _preset("FacebookAI/roberta-base", "squad_v2", 3e-5),
    "electra-base-squad-v2": _preset("google/electra-base-discriminator", "squad_v2", 1e-4),
    "deberta-v3-base-squad-v2": _preset("microsoft/deberta-v3-base", "squad_v2", 2e-5, max_length=512),
    "modernbert-base-squad-v2": _preset("answerdotai/ModernBERT-base", "squad_v2", 5e-5, max_length=512),
}
"""Named defaults; the values are the published recipes' or close to them, and flags override them."""


def parse_config(arguments: Sequence[str]) -> RunConfig:
    """Read a run's configuration from the command line; exits on unknown flags and on `--help`.

    The first argument may name a preset or an earlier run's config file (`.json`, `.yaml`, `.yml`), whose values are
    the defaults that flags override; `--resume` may stand alone.

    Raises:
        ConfigError: an unknown preset, an unreadable file, or a value no run can have.
    """
    defaults, flags = RunConfig(), list(arguments)
    if flags and not flags[0].startswith("-"):
        defaults = _named_defaults(flags.pop(0))
    prog = "train_qa.py [PRESET | CONFIG FILE]"
    about = f"{RunConfig.__doc__}\n\nPresets: {', '.join(PRESETS)}."
    return tyro.cli(RunConfig, args=_with_resume_value(flags), default=defaults, prog=prog, description=about)


def save_config(config: RunConfig, path: Path) -> None:
    """Write `config` as JSON; `load_config` and `parse_config` read it back as an equal value."""
    write_json(path, config_values(config))


def load_config(path: Path) -> RunConfig:
    """Read a configuration from a `.json`, `.yaml` or `.yml` file; what the file leaves out has its default.

    Raises:
        ConfigError: the file does not exist, is not such a file, or has a key or value that no run has.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
        config: RunConfig = TypeAdapter(RunConfig).validate_python(values)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path} as JSON or YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{path}: {where}: {first['msg']}; found {first['input']!r}") from error
    return config


def config_values(config: RunConfig) -> dict[str, Any]:
    """Return the nested plain values of `config`, as JSON has them."""
    return cast("dict[str, Any]", TypeAdapter(RunConfig).dump_python(config, mode="json"))


def _named_defaults(name: str) -> RunConfig:
    if name in PRESETS:
        return PRESETS[name]
    if Path(name).suffix in {".json", ".yaml", ".yml"}:
        return replace(load_config(Path(name)), resume=None)
    raise ConfigError(f"no preset {name!r}; wanted a .json or .yaml file, or one of {', '.join(PRESETS)}")


def _with_resume_value(flags: list[str]) -> list[str]:
    """Give a bare `--resume` the value `auto`."""
    pairs = itertools.pairwise([*flags, "--"])
    bare = (flag == "--resume" and after.startswith("-") for flag, after in pairs)
    return [word for flag, is_bare in zip(flags, bare, strict=True) for word in ([flag, "auto"] if is_bare else [flag])]
