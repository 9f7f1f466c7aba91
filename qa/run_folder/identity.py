"""What must match for a run to be continued, and what may change.

Identity is content: weights, settings, examples and features by their hashes, not by the names of the places they come
from. How a step is cut into processes and batches, when a run evaluates, saves and logs, where it runs and by which
versions may change: that is logged and recorded.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qa.checks import flat_values
from qa.config import RecipeConfig, RunConfig, config_values
from qa.data.examples import Examples
from qa.errors import CheckpointError
from qa.features.windows import Features
from qa.runtime.environment import describe_environment
from qa.training.loop import TrainingLoop
from qa.training.plan import TrainingPlan

FORMAT = 2
"""Counts changes of what a checkpoint's identity says; its keys never change their meaning."""
_PROSE = {
    "model": "model",
    "weights": "hash of the model's weights",
    "seed": "seed",
    "train_fingerprint": "fingerprint of the train data",
    "validation_fingerprint": "fingerprint of the validation data",
    "max_length": "features.max-length",
    "doc_stride": "features.doc-stride",
    "max_question_length": "features.max-question-length",
    "features_key": "key of the features (tokenizer, settings, data)",
    "features_content": "hash of the features (tokenizer, settings, data)",
    "learning_rate": "training.learning-rate",
    "schedule": "training.schedule",
    "schedule_power": "training.schedule-power",
    "warmup_ratio": "training.warmup-ratio",
    "warmup_steps": "training.warmup-steps",
    "adam_betas": "training.adam-betas",
    "weight_decay": "training.weight-decay",
    "adam_epsilon": "training.adam-epsilon",
    "max_gradient_norm": "training.max-gradient-norm",
    "precision": "mixed precision",
    "teacher": "hash of the teachers",
    "steps_per_epoch": "steps of an epoch",
    "total_steps": "steps of the run",
    "global_batch_size": "features of a step",
    "head": "head",
    "tags": "what tokens are tagged as",
    "answers": "data.answers",
    "packed_length": "training.packed-length",
}
"""What messages call each key. Format 0 had these names for keys."""
_HASHED_WITH_FEATURES = {"train_fingerprint", "max_length", "doc_stride", "max_question_length"}
_KEYS_SINCE = {
    "features_key": 1,
    **dict.fromkeys(("weights", "features_content", "weight_decay", "adam_epsilon", "max_gradient_norm"), 2),
    **dict.fromkeys(("precision", "schedule_power", "warmup_steps", "adam_betas", "teacher"), 2),
}
"""Format that a key came with: an older checkpoint without it does not differ."""
_KEYS_UNTIL = {"model": 1, "features_key": 1}
"""Last format with a key: a name that says nothing of the content, and a hash that a library's version changes."""
_MODEL, _RECIPE = "model_config/", "recipe/"
_NOT_OF_THE_RUN = ("resume", "extend", "push_to_hub", "epochs", "max_steps")
_JUDGES = ("training/best_metric", "more_validation_data/", "decoding/")
"""What decides which model is the best: scores are not comparable when it has changed."""
_SAID_SINCE = {"decoding/length_cost": "null", "decoding/choice": "null"}
"""What older checkpoints do not say of that, and had."""
_BATCHES = "decoding/batch_"
"""What of that changes no score."""


@dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be continued, and what may change."""

    values: Mapping[str, str | float | None]
    """What must be the same, by key, as JSON has it."""
    changeable: Mapping[str, str | float | None]
    """What may change, by name."""

    @classmethod
    def of(
        cls,
        config: RunConfig,
        loop: TrainingLoop,
        *,
        train: Examples,
        validation: Examples | None,
        further: Mapping[str, Examples] | None = None,
    ) -> "Identity":
        """Return the identity of a run; the validation data is part of it, since the best score is one on it.

        Further sets may change; where one of the same name has other content, the best score is forgotten.
        """
        features, training, plan = config.features, config.training, loop.plan
        values: dict[str, str | float | None] = {
            "weights": plan.weights_fingerprint,
            "seed": config.seed,
            "train_fingerprint": train.fingerprint,
            "max_length": features.max_length,
            "doc_stride": features.doc_stride,
            "max_question_length": features.max_question_length,
            "features_content": features_fingerprint(loop.features),
            "learning_rate": training.learning_rate,
            "schedule": training.schedule,
            "schedule_power": training.schedule_power if training.schedule == "polynomial" else None,
            "warmup_ratio": training.warmup_ratio if training.warmup_steps is None else None,
            "warmup_steps": training.warmup_steps,
            "adam_betas": json.dumps(training.adam_betas),
            "weight_decay": training.weight_decay,
            "adam_epsilon": training.adam_epsilon,
            "max_gradient_norm": training.max_gradient_norm,
            "precision": loop.accelerator.mixed_precision,
            "steps_per_epoch": plan.steps_per_epoch,
            "total_steps": plan.total_steps,
            "global_batch_size": plan.split.global_batch,
        }
        if config.head != "spans":  # older checkpoints do not say it
            values["head"] = config.head
        if config.head == "tokens":  # older checkpoints learned which go on with an answer
            values["tags"] = "first and last tokens of answers"
        if config.data.answers != "any":
            values["answers"] = config.data.answers
        if training.packed_length is not None:  # features come in another order, and dropout is drawn for rows
            values["packed_length"] = training.packed_length
        if (soft := loop.loader.labels.soft) is not None:
            values["teacher"] = soft.fingerprint
        if validation is not None:
            values["validation_fingerprint"] = validation.fingerprint
        model = {f"{_MODEL}{name}": json.dumps(value, sort_keys=True) for name, value in plan.model_settings.items()}
        changeable = _changeable(config, loop) | _judging_sets(config, further or {})
        return cls(values | model | _recipe_values(config.recipe), changeable)

    def check(self, state: Mapping[str, Any]) -> None:
        """Compare with the state in a checkpoint; the number of steps is `require_extension`'s.

        Raises:
            CheckpointError: naming all that differ.

        """
        known = state.get("format", 0)
        if known > FORMAT:
            raise CheckpointError(
                f"the checkpoint has format {known}; wanted {FORMAT} or less: it is of a newer version"
            )
        saved = _with_keys(state["identity"]) if known == 0 else state["identity"]
        differing = [key for key in _comparable(self.values, saved, known) if saved.get(key) != self.values.get(key)]
        if not _HASHED_WITH_FEATURES.isdisjoint(differing):  # then their hashes differ too, and say nothing more
            differing = [key for key in differing if key not in {"features_key", "features_content"}]
        if differing:
            told = (f"{_name(key)} is {saved.get(key)!r} there and {self.values.get(key)!r} here" for key in differing)
            raise CheckpointError(f"the checkpoint is of another run: {'; '.join(told)}")

    def changes(self, state: Mapping[str, Any]) -> dict[str, str]:
        """Return what differs of what may, by name, as text."""
        saved = state.get("changeable", {})
        return {
            name.replace("/", ".").replace("_", "-"): f"{saved[name]!r} -> {value!r}"
            for name, value in self.changeable.items()
            if name in saved and saved[name] != value
        }

    def judges_alike(self, state: Mapping[str, Any]) -> bool:
        """Return whether scores are comparable with those of the checkpoint."""
        saved = _SAID_SINCE | state.get("changeable", {})
        names = (name for name in self.changeable if name.startswith(_JUDGES) and not name.startswith(_BATCHES))
        return all(saved.get(name, self.changeable[name]) == self.changeable[name] for name in names)


def require_extension(state: Mapping[str, Any], plan: TrainingPlan) -> str | None:
    """Let a run have another number of steps, where that is exact or asked for; return what changes, None: nothing.

    Raises:
        CheckpointError: the steps done would have been others and the configuration does not say how to go on.

    """
    done, start = state["progress"]["step"], state["progress"].get("schedule_start", 0)
    before, now = state["identity"].get("total_steps", state["identity"].get("steps of the run")), plan.total_steps
    if before == now:
        return None
    if now < done:
        raise CheckpointError(f"{done} steps are done; wanted at least as many in all, found {now}")
    changed = plan.changed_course(done, before, start=start)
    if not changed:
        return f"{before} -> {now}, with the same course so far"
    if plan.config.extend is None:
        raise CheckpointError(
            f"the checkpoint is of another run: steps of the run is {before} there and {now} here, which changes "
            f"{' and '.join(changed)}; wanted the same, or training.extend that says how (stretch or restart)"
        )
    return f"{before} -> {now}, {plan.config.extend}"


def features_fingerprint(features: Features) -> str:
    """Return a hash of all tokens, windows and characters, and of how question and context are joined."""
    digest = hashlib.sha256(repr(features.template).encode())
    for name, value in sorted(vars(features).items()):
        arrays = (value.values, value.bounds) if hasattr(value, "bounds") else (value,)
        for array in arrays:
            if isinstance(array, np.ndarray):
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _recipe_values(recipe: RecipeConfig) -> dict[str, str | float | None]:
    """Return the settings of a recipe that have an effect beside its others."""
    lora = ("lora_rank", "lora_alpha", "lora_dropout", "lora_targets")
    idle = {
        **dict.fromkeys(lora, recipe.lora_rank == 0),
        "averaging_decay": recipe.averaging != "ema",
        "averaging_share": recipe.averaging != "tail",
        "short_length": recipe.short_windows == 0,
        "teacher": True,  # whose name may change, not its content
        "teacher_weight": not recipe.teacher,
        "temperature": not recipe.teacher,
    }
    values = {name: value for name, value in vars(recipe).items() if not idle.get(name, False)}
    return {f"{_RECIPE}{name}": json.dumps(one) if isinstance(one, tuple) else one for name, one in values.items()}


def _judging_sets(config: RunConfig, further: Mapping[str, Examples]) -> dict[str, str]:
    """Return the content of the further sets, with their languages where they are not the run's."""
    own = {name: given.language for name, given in config.further_validation_data().items()}
    others = {name: code for name, code in own.items() if code not in {None, config.decoding.language}}
    return {
        f"more_validation_data/{name}": f"{examples.fingerprint} {others.get(name, '')}".rstrip()
        for name, examples in further.items()
    }


def _changeable(config: RunConfig, loop: TrainingLoop) -> dict[str, str | float | None]:
    settings = flat_values(config_values(config))
    environment = describe_environment(loop.accelerator)
    fixed = {*_PROSE, *_NOT_OF_THE_RUN} - {"model"}  # whose name may change, not its content
    free = {
        name: value
        for name, value in settings.items()
        if name.rpartition("/")[2] not in fixed and not name.startswith(_RECIPE)
    }
    versions = {f"versions/{name}": version for name, version in environment["versions"].items()}
    names = ("platform", "device", "device_name", "processes", "distributed_type", "threads")
    return free | versions | {name: environment[name] for name in names}


def _comparable(here: Mapping[str, Any], saved: Mapping[str, Any], known: int) -> list[str]:
    """Return the keys that both formats have; of the model's settings those that both versions of the library have."""
    keys = (key for key in dict.fromkeys((*here, *saved)) if key != "total_steps")
    both = (key for key in keys if _since(key) <= known and key not in _KEYS_UNTIL)
    return [key for key in both if not key.startswith(_MODEL) or (key in here and key in saved)]


def _since(key: str) -> int:
    return 2 if key.startswith(_RECIPE) else _KEYS_SINCE.get(key, 0)


def _name(key: str) -> str:
    if key.startswith(_RECIPE):
        return key.replace("/", ".").replace("_", "-")
    return f"{key.removeprefix(_MODEL)} of the model" if key.startswith(_MODEL) else _PROSE.get(key, key)


def _with_keys(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity of a checkpoint of format 0 under the keys of today."""
    keys = {name: key for key, name in _PROSE.items()}
    return {keys.get(name, name): value for name, value in old.items()}
