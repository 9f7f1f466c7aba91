"""Train and evaluate from Python: what `train_qa.py` does, without a command line."""

import html
import importlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, cast

from qa.config import (
    DataConfig,
    DecodingConfig,
    FeaturesConfig,
    Head,
    RecipeConfig,
    RunConfig,
    TrackingConfig,
    TrainingConfig,
)
from qa.errors import CheckpointError, MissingPackageError
from qa.inference.predictor import Predictor
from qa.presets import accumulating, changed_config, load_config, named_config
from qa.representations import html_table
from qa.run_folder.paths import RunPaths

Precision = Literal["no", "fp16", "bf16"]
Source = str | os.PathLike[str]
"""A name, or the path of a folder or file."""


class RunSettings(TypedDict, total=False):
    """The settings of a run, as `RunConfig` has them; what is left out is as in the configuration that is changed.

    Of a part, such as `training`, a mapping changes what it names: `training={"learning_rate": 1e-4}`.
    """

    model: Source
    model_revision: str | None
    train_data: Source
    train_weight: float
    more_train_data: tuple[Source, ...]
    head: Head
    validation_data: Source | None
    more_validation_data: tuple[Source, ...]
    output_dir: Source
    seed: int
    resume: Source | None
    max_train_examples: int | None
    max_validation_examples: int | None
    timeout_minutes: float
    threads: int | None
    push_to_hub: str | None
    data: DataConfig | Mapping[str, Any]
    features: FeaturesConfig | Mapping[str, Any]
    training: TrainingConfig | Mapping[str, Any]
    recipe: RecipeConfig | Mapping[str, Any]
    decoding: DecodingConfig | Mapping[str, Any]
    tracking: TrackingConfig | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run has left: its settings, its scores, and where the rest is."""

    config: RunConfig
    """As the run had them, but to be changed and run anew: they resume nothing."""
    folder: Path
    scores: Mapping[str, Any]
    """Of metrics.json, in percent: the best evaluation's; empty for data without references."""

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "RunResult":
        """Read a run's folder, such as one that `notebook_launcher` or the command line has filled.

        Raises:
            CheckpointError: no run is there, or it has not evaluated yet.
            ConfigError: its configuration cannot be read.

        """
        paths = RunPaths(Path(folder))
        config = replace(load_config(paths.config), resume=None)
        if not paths.model.exists() and not paths.predictions.exists():
            raise CheckpointError(f"{folder} has no results; wanted the folder of a run that has ended")
        scores = json.loads(paths.metrics.read_text(encoding="utf-8")) if paths.metrics.exists() else {}
        return cls(config=config, folder=Path(folder), scores=scores)

    @property
    def model(self) -> Path:
        """Folder of the model: what the run trained, or what it evaluated."""
        own = RunPaths(self.folder).model
        return own if own.exists() else Path(self.config.model)

    @property
    def predictions(self) -> dict[str, str]:
        """Answers by example id; "" is "no answer"."""
        return cast("dict[str, str]", json.loads(RunPaths(self.folder).predictions.read_text(encoding="utf-8")))

    def predictor(self, **options: Any) -> Predictor:  # noqa: ANN401  # those of `Predictor.from_pretrained`
        """Load the model, to ask it: one that was only evaluated in the revision that was."""
        own = {} if RunPaths(self.folder).model.exists() else {"revision": self.config.model_revision}
        return Predictor.from_pretrained(self.model, **own | options)

    def _repr_html_(self) -> str:
        rows = [(name, value) for name, value in self.scores.items() if isinstance(value, int | float)]
        return f"<p>{html.escape(str(self.folder))}</p>{html_table(('score', 'value'), rows)}"


def train(
    config: RunConfig | str | os.PathLike[str] | None = None,
    /,
    *,
    mixed_precision: Precision | None = None,
    **settings: Unpack[RunSettings],
) -> RunResult:
    """Fine-tune and evaluate a reader; `accelerate launch train_qa.py` with the same settings does the same.

        result = qa.train("minilm-squad", output_dir="runs/mine", training={"learning_rate": 1e-4})
        result.predictor()(question=..., context=...)

    In a notebook on several devices: `accelerate.notebook_launcher(qa.train, args=(config,), num_processes=2)`, and
    then `qa.RunResult.load(config.output_dir)`.

    Args:
        config: a configuration, the name of a preset, or an earlier run's config.json; None: the defaults.
        mixed_precision: no, bf16, or on a GPU fp16; None: what a launcher said, else no.
        settings: other values than those; see `RunSettings`.

    Raises:
        QAError: one of `qa.errors`, for all that a user, a file or the machine can cause.
        StoppedError: a signal came, or `training.max_minutes` are over; what was trained is saved, to be resumed.

    """
    return _run(_changed(config, settings), mixed_precision)


def evaluate(
    config: RunConfig | str | os.PathLike[str] | None = None,
    /,
    *,
    mixed_precision: Precision | None = None,
    **settings: Unpack[RunSettings],
) -> RunResult:
    """Answer the validation examples with a reader as it is, and score the answers; arguments as those of `train`.

        qa.evaluate(model="runs/mine/model", validation_data="squad", output_dir="runs/mine-on-squad").scores

    Raises:
        QAError: as `train`.

    """
    wanted = _changed(config, settings)
    training = replace(wanted.training, max_steps=0)
    return _run(replace(wanted, training=training, push_to_hub=None), mixed_precision)


def _changed(config: RunConfig | str | os.PathLike[str] | None, settings: RunSettings) -> RunConfig:
    """Return the configuration of a run, with what a launcher says of gradient accumulation, as on a command line."""
    training = settings.get("training")
    is_given = isinstance(training, Mapping) and "accumulation_steps" in training
    return accumulating(changed_config(_base(config), cast("Mapping[str, Any]", settings)), is_given=is_given)


def _base(config: RunConfig | str | os.PathLike[str] | None) -> RunConfig:
    if isinstance(config, RunConfig):
        return config
    return RunConfig() if config is None else named_config(os.fspath(config))


def _run(config: RunConfig, mixed_precision: Precision | None) -> RunResult:
    """Run the page; a process that fails tells the others and ends itself."""
    try:
        page, runtime = importlib.import_module("train_qa"), importlib.import_module("qa.runtime.accelerator")
        ending = importlib.import_module("qa.runtime.ending")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"not installed: {error.name}; install it with: pip install 'extractive-qa[train]'"
        ) from error
    with runtime.used_for_one_run(mixed_precision):
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            page.run(config)
        elif status := ending.exit_status(lambda: page.run(config)):
            sys.exit(status)
    return RunResult.load(config.output_dir)
