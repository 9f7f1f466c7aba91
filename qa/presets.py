"""Named recipes, and how a command line or a file names one."""

import dataclasses
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tyro
import yaml
from pydantic import TypeAdapter, ValidationError

from qa.config import (
    ACCUMULATION,
    DataConfig,
    DecodingConfig,
    FeaturesConfig,
    RecipeConfig,
    RunConfig,
    TrackingConfig,
    TrainingConfig,
    config_values,
)
from qa.errors import ConfigError
from qa.foreign_flags import require_own_flags
from qa.runtime.terminal import widen_narrow_terminal


def _preset(model: str, data: str, learning_rate: float, *, batch_size: int = 32, max_length: int = 384) -> RunConfig:
    features = FeaturesConfig(max_length=max_length)
    training = TrainingConfig(learning_rate=learning_rate, batch_size=batch_size)
    return RunConfig(model=model, train_data=data, validation_data=data, features=features, training=training)


def _minilm(data: str, *, length_cost: float | None = None) -> RunConfig:
    """Build a preset of MiniLM: a high rate, lower in lower layers, among the best on all of SQuAD v1.1 (README).

    A cost of length is for spans that are searched for exactly; with it three seeds of three were better.
    """
    preset = _preset("minilm", data, 4e-4)
    return replace(preset, recipe=RecipeConfig(layer_decay=0.9), decoding=DecodingConfig(length_cost=length_cost))


def _multilingual(data: str) -> RunConfig:
    """Build a preset of the multilingual model: small batches, no dropout, and embeddings as they are.

    Most parameters are embeddings, of tokens that one language's questions never show (README: scores).
    """
    preset = _preset("multilingual", data, 2e-4, batch_size=8)
    recipe = RecipeConfig(layer_decay=0.9, dropout=0.0, attention_dropout=0.0, freeze_embeddings=True)
    return replace(preset, training=replace(preset.training, epochs=1.0), recipe=recipe)


def _few_labels(model: str, learning_rate: float) -> RunConfig:
    """Go on from a reader with 100 to 2,000 labels: many passes at a small rate, ended early.

    Zhang et al., 2021 (arXiv:2006.05987) and Mosbach et al., 2021 (arXiv:2006.04884): few labels need more steps and a
    longer warm-up than passes over a large set have.
    """
    training = TrainingConfig(learning_rate=learning_rate, epochs=12.0, batch_size=8, patience=4, save_every=0)
    return RunConfig(model=model, training=training)


_RUN_ID = "{wandb_run_id}"
PRESETS: dict[str, RunConfig] = {
    "demo": RunConfig(
        validation_data="sample",
        output_dir=Path("runs/demo"),
        training=TrainingConfig(max_steps=600, learning_rate=6e-4, batch_size=8, evaluate_every=300, save_every=0),
        recipe=RecipeConfig(
            dropout=0.0,
            attention_dropout=0.0,
            layer_decay=0.85,
            freeze_embeddings=True,
            short_windows=0.9,
            short_length=64,
        ),
    ),
    "sample": RunConfig(
        validation_data="sample",
        output_dir=Path("runs/sample"),
        training=TrainingConfig(epochs=3.0, learning_rate=3e-4, batch_size=8, evaluate_every=0, save_every=0),
    ),
    "adapt": RunConfig(
        features=FeaturesConfig(max_length=160, doc_stride=48),
        training=TrainingConfig(epochs=1.0, learning_rate=3e-4, evaluate_every=0),
    ),
    "few-labels": _few_labels("minilm", 1e-4),
    "few-labels-distilbert": _few_labels("distilbert/distilbert-base-uncased-distilled-squad", 3e-5),
    "few-labels-minilm": _few_labels("deepset/minilm-uncased-squad2", 5e-5),
    "few-labels-roberta-base": _few_labels("deepset/roberta-base-squad2", 2e-5),
    "few-labels-deberta-v3-base": _few_labels("deepset/deberta-v3-base-squad2", 1e-5),
    "minilm-squad": _minilm("squad", length_cost=0.06),
    "minilm-squad-v2": _minilm("squad_v2"),
    "multilingual-squad": _multilingual("squad"),
    "distilbert-squad": _preset("distilbert/distilbert-base-uncased", "squad", 5e-5),
    "distilbert-squad-v2": _preset("distilbert/distilbert-base-uncased", "squad_v2", 5e-5),
    "bert-base-squad": _preset("google-bert/bert-base-uncased", "squad", 5e-5),
    "roberta-base-squad-v2": _preset("FacebookAI/roberta-base", "squad_v2", 3e-5),
    "electra-base-squad-v2": _preset("google/electra-base-discriminator", "squad_v2", 1e-4),
    "deberta-v3-base-squad-v2": _preset("microsoft/deberta-v3-base", "squad_v2", 2e-5, max_length=512),
    "modernbert-base-squad-v2": _preset("answerdotai/ModernBERT-base", "squad_v2", 5e-5, max_length=512),
}
"""Named defaults, which flags override: of embedded models measured here, of others published or close to that."""


def parse_config(arguments: Sequence[str]) -> RunConfig:
    """Read a run's configuration from the command line; exits on unknown flags and on `--help`.

    The first argument may name a preset or an earlier run's config file (`.json`, `.yaml`, `.yml`), whose values are
    the defaults that flags override; `--resume` may stand alone. Switches are taken in both forms, `--x` and `--x=True`
    (which sweeps write), and `{wandb_run_id}` in `--output-dir` is the id that W&B's agent gives a run. What a launcher
    says of gradient accumulation counts where it was not given here.

    Raises:
        ConfigError: an unknown preset, an unreadable file, a flag of another program, or a value no run can have; or a
            number of accumulation steps that is not the launcher's.
    """
    flags = list(arguments)
    name = flags.pop(0) if flags and not flags[0].startswith("-") else None
    defaults = RunConfig() if name is None else named_config(name)
    prog = "train_qa.py [PRESET | CONFIG FILE]"
    about = f"{RunConfig.__doc__}\n\nPresets: {', '.join(PRESETS)}."
    require_own_flags(flags)
    widen_narrow_terminal()
    flags = list(_with_plain_switches(_with_resume_value(flags)))
    try:
        config = tyro.cli(RunConfig, args=flags, default=defaults, prog=prog, description=about)
    except ConfigError as error:  # of a value that no flag may have given
        raise error if name is None else ConfigError(f"{error}; other values are those of {name}") from error
    config = _with_folder_name(config)
    return accumulating(config, is_given=any(flag.startswith("--training.accumulation") for flag in flags))


def load_config(path: Path) -> RunConfig:
    """Read a configuration from a `.json`, `.yaml` or `.yml` file; what the file leaves out has its default.

    Raises:
        ConfigError: the file does not exist, is not such a file, or has a key or value that no run has.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path} as JSON or YAML: {error}") from error
    return _validated(values, f"{path}: ", "the file")


def changed_config(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """Return the configuration with other values: of a part (`training`, `features` …) all, or those of a mapping.

    Paths may stand wherever the configuration has the name of a folder or file.

    Raises:
        ConfigError: a name or value that no run has.
    """
    values = config_values(config)
    for name, given in changes.items():
        own, value = values.get(name), _with_plain_paths(given)
        values[name] = own | dict(value) if isinstance(own, dict) and isinstance(value, Mapping) else value
    return _validated(values, "", "the configuration")


def _with_plain_paths(value: Any) -> Any:  # noqa: ANN401  # a setting, a part, or several of them
    """Return a value with paths as texts, also inside of mappings, lists and tuples."""
    if isinstance(value, Mapping):
        return {name: _with_plain_paths(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_plain_paths(one) for one in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _validated(values: object, source: str, whole: str) -> RunConfig:
    try:
        config: RunConfig = TypeAdapter(RunConfig).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or whole
        raise ConfigError(f"{source}{where}: {first['msg']}; found {first['input']!r}") from error
    _require_numbers(values, config_values(config), source)
    return config


def _require_numbers(given: Any, taken: Any, where: str) -> None:  # noqa: ANN401  # values, or parts with values
    """Check that no truth value was taken for a number: True would be 1.

    Raises:
        ConfigError: naming it.

    """
    if isinstance(given, bool) and not isinstance(taken, bool):
        raise ConfigError(f"{where}: wanted a number; found {given!r}")
    if isinstance(given, Mapping):
        for name, value in given.items():
            _require_numbers(value, taken[name], f"{where}{'.' if where and where[-1] != ' ' else ''}{name}")
    elif isinstance(given, list | tuple):
        for value, own in zip(given, taken, strict=True):
            _require_numbers(value, own, where)


def named_config(name: str) -> RunConfig:
    """Return a preset by its name, or an earlier run's configuration by the path of its file.

    Raises:
        ConfigError: neither, or a file that is no configuration.
    """
    if name in PRESETS:
        return PRESETS[name]
    if Path(name).suffix in {".json", ".yaml", ".yml"}:
        return replace(load_config(Path(name)), resume=None)
    raise ConfigError(f"no preset {name!r}; wanted a .json or .yaml file, or one of {', '.join(PRESETS)}")


def _with_resume_value(flags: list[str]) -> list[str]:
    """Put `auto` after a bare `--resume`."""
    pairs = itertools.pairwise([*flags, "--"])
    bare = (flag == "--resume" and after.startswith("-") for flag, after in pairs)
    return [word for flag, is_bare in zip(flags, bare, strict=True) for word in ([flag, "auto"] if is_bare else [flag])]


def _with_folder_name(config: RunConfig) -> RunConfig:
    """Put the id that W&B's agent assigned to a run into its folder's name, where the name has a place for it."""
    folder, run = str(config.output_dir), os.environ.get("WANDB_RUN_ID")
    if _RUN_ID not in folder:
        return config
    if not run:
        raise ConfigError(f"output-dir is {folder!r}, and there is no WANDB_RUN_ID; wanted a run of W&B's agent")
    return replace(config, output_dir=Path(folder.replace(_RUN_ID, run)))


def _with_plain_switches(flags: list[str]) -> Iterator[str]:
    """Write `--x=True` as `--x`, and `--x=False` as `--no-x`."""
    for flag in flags:
        name, _, value = flag.partition("=")
        section, dot, switch = name.removeprefix("--").rpartition(".")
        if value.lower() not in {"true", "false"} or switch.replace("_", "-") not in _SWITCHES:
            yield flag
        elif value.lower() == "true":
            yield name
        else:
            yield f"--{section}{dot}no-{switch}"


def accumulating(config: RunConfig, *, is_given: bool) -> RunConfig:
    """Take the launcher's number of accumulation steps, where there is one.

    Args:
        config: of the run.
        is_given: whether its own number was asked for, and is not the default alone.

    Raises:
        ConfigError: both were asked for, and are not the same.
    """
    told = os.environ.get(ACCUMULATION)
    given = config.training.accumulation_steps
    if told in {None, "1", str(given)}:
        return config
    if told is None or not told.isdecimal() or is_given or given != TrainingConfig.accumulation_steps:
        raise ConfigError(
            f"{ACCUMULATION} is {told!r}; wanted training.accumulation-steps, {given}, or no such variable (a "
            "launcher's configuration file sets it)"
        )
    return replace(config, training=replace(config.training, accumulation_steps=int(told)))


_SWITCHES = {
    field.name.replace("_", "-")
    for part in (DataConfig, FeaturesConfig, TrainingConfig, RecipeConfig, DecodingConfig, TrackingConfig, RunConfig)
    for field in dataclasses.fields(part)
    if field.type is bool
}
"""Settings that are on or off, as flags call them."""
