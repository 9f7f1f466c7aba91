"""What must match for a run to be continued."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qa.config import RunConfig
from qa.data.examples import Examples
from qa.errors import CheckpointError
from qa.training.loop import TrainingLoop

FORMAT = 1
"""Counts changes of what a checkpoint's identity says; its keys never change their meaning."""
_PROSE = {
    "model": "model",
    "seed": "seed",
    "train_fingerprint": "fingerprint of the train data",
    "validation_fingerprint": "fingerprint of the validation data",
    "max_length": "features.max-length",
    "doc_stride": "features.doc-stride",
    "max_question_length": "features.max-question-length",
    "features_key": "key of the features (tokenizer, settings, data)",
    "learning_rate": "training.learning-rate",
    "schedule": "training.schedule",
    "warmup_ratio": "training.warmup-ratio",
    "steps_per_epoch": "steps of an epoch",
    "total_steps": "steps of the run",
    "global_batch_size": "features of a step",
}
"""What messages call each key. Format 0 had these names for keys."""
_HASHED_WITH_FEATURES = {"train_fingerprint", "max_length", "doc_stride", "max_question_length"}
_KEYS_SINCE = {"features_key": 1}
"""Format that a key came with: an older checkpoint without it does not differ."""


@dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be continued (how a step is cut into processes and batches need not)."""

    values: Mapping[str, str | int | float]
    """By key, as JSON has them."""

    @classmethod
    def of(cls, config: RunConfig, loop: TrainingLoop, *, train: Examples, validation: Examples | None) -> "Identity":
        """Return the identity of a run; the validation data is part of it, since the best score is one on it."""
        features, training, plan = config.features, config.training, loop.plan
        values: dict[str, str | int | float] = {
            "model": config.model,
            "seed": config.seed,
            "train_fingerprint": train.fingerprint,
            "max_length": features.max_length,
            "doc_stride": features.doc_stride,
            "max_question_length": features.max_question_length,
            "features_key": loop.features.key,
            "learning_rate": training.learning_rate,
            "schedule": training.schedule,
            "warmup_ratio": training.warmup_ratio,
            "steps_per_epoch": plan.steps_per_epoch,
            "total_steps": plan.total_steps,
            "global_batch_size": plan.split.global_batch,
        }
        if validation is not None:
            values["validation_fingerprint"] = validation.fingerprint
        return cls(values)

    def check(self, state: Mapping[str, Any]) -> None:
        """Compare with the state in a checkpoint.

        Raises:
            CheckpointError: naming all that differ.

        """
        known = state.get("format", 0)
        if known > FORMAT:
            raise CheckpointError(
                f"the checkpoint has format {known}; wanted {FORMAT} or less: it is of a newer version"
            )
        saved = _with_keys(state["identity"]) if known == 0 else state["identity"]
        keys = [key for key in dict.fromkeys((*self.values, *saved)) if _KEYS_SINCE.get(key, 0) <= known]
        differing = [key for key in keys if saved.get(key) != self.values.get(key)]
        if not _HASHED_WITH_FEATURES.isdisjoint(differing):  # then that key differs too, and says nothing more
            differing = [key for key in differing if key != "features_key"]
        if differing:
            told = (
                f"{_PROSE.get(key, key)} is {saved.get(key)!r} there and {self.values.get(key)!r} here"
                for key in differing
            )
            raise CheckpointError(f"the checkpoint is of another run: {'; '.join(told)}")


def _with_keys(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity of a checkpoint of format 0 under the keys of today."""
    keys = {name: key for key, name in _PROSE.items()}
    return {keys.get(name, name): value for name, value in old.items()}
