"""Teachers: trained readers whose logits of the training features are computed once, kept, and learned from."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np
import torch
from accelerate import Accelerator

from qa.config import FeaturesConfig, RunConfig
from qa.data.examples import Examples
from qa.errors import ModelError
from qa.features.alignment import (
    tokens_at_borders,
    windows_of_the_same_characters,
    windows_of_the_same_tokens,
)
from qa.features.cache import cached_columns, cached_features
from qa.features.collation import collate
from qa.features.labels import Labels
from qa.features.loader import batch_loader
from qa.features.order import evaluation_batches
from qa.features.pair_template import backend_text
from qa.features.soft_labels import SoftLabels, TeacherLogits
from qa.features.windows import Features
from qa.modeling.fingerprint import model_settings, weights_fingerprint
from qa.modeling.probe import Probe
from qa.modeling.reader import Reader, load_trained_reader
from qa.runtime.collectives import require_same
from qa.runtime.memory import free_memory

log = logging.getLogger(__name__)

FORMAT = 1
"""Counts changes of what is kept of a teacher; part of the cache key."""


def with_teachers(
    accelerator: Accelerator, labels: Labels, features: Features, examples: Examples, reader: Reader, config: RunConfig
) -> Labels:
    """Add to labels what the recipe's teachers say of the features; without teachers return them as they are.

    One process of a machine computes the logits, unless they are in the cache; the others wait. Collective.

    Args:
        accelerator: knows device and precision.
        labels: of all `features`.
        features: from the cache, before any are left out.
        examples: what the features were built from.
        reader: the one that learns.
        config: of the run.

    Raises:
        ModelError: a teacher has no span head, does not load, or does not take windows over the features' characters.
        LaunchError: processes with different teachers.

    """
    if not config.recipe.teacher:
        return labels
    logits, prints = [], []
    for source in config.recipe.teacher:
        teacher = load_trained_reader(source)
        if teacher.settings is not None and teacher.settings.head != "spans":
            raise ModelError(f"recipe.teacher {source!r} has a head of {teacher.settings.head}; wanted one of spans")
        fingerprint = teacher_fingerprint(teacher)
        logits.append(_cached_logits(accelerator, teacher, fingerprint, features, examples, reader, config.features))
        prints.append(fingerprint)
        log.info("learning from %s (%s) beside the labels", source, fingerprint[:8])
        del teacher
        free_memory()
    together = hashlib.sha256("".join(prints).encode()).hexdigest()
    require_same(accelerator, {"hash of the teachers": together})
    soft = SoftLabels(
        teachers=logits,
        rows=np.arange(len(features)),
        temperature=config.recipe.temperature,
        fingerprint=together,
    )
    return replace(labels, soft=soft)


def teacher_fingerprint(teacher: Reader) -> str:
    """Return a hash of all that a teacher's logits depend on beside the texts."""
    encoder = teacher.encoder
    parts = [weights_fingerprint(teacher.model), model_settings(teacher.model), asdict(encoder.template)]
    text = json.dumps([*parts, backend_text(encoder.backend)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _cached_logits(
    accelerator: Accelerator,
    teacher: Reader,
    fingerprint: str,
    features: Features,
    examples: Examples,
    reader: Reader,
    config: FeaturesConfig,
) -> TeacherLogits:
    if backend_text(teacher.encoder.backend) == backend_text(reader.encoder.backend):
        windows = windows_of_the_same_tokens(features, teacher.encoder.template)
        every = np.arange(len(features.token_start))
        start_at = end_at = every - np.repeat(features.context_ids.bounds[:-1], features.context_ids.lengths)
    else:
        others = cached_features(examples, teacher.encoder, config)
        windows = windows_of_the_same_characters(features, others)
        start_at, end_at = tokens_at_borders(features, others)
    parts = ["teacher", FORMAT, fingerprint, features.key, str(accelerator.mixed_precision)]
    columns = cached_columns(parts, config, lambda: window_logits(accelerator, teacher, windows))
    origin = windows.context_ids.bounds[windows.context_of[windows.example]] + windows.first
    return TeacherLogits(**columns, origin=origin, start_at=start_at, end_at=end_at)


@torch.no_grad()
def window_logits(accelerator: Accelerator, teacher: Reader, windows: Features) -> Mapping[str, np.ndarray]:
    """Run a teacher over windows; return the logits of their context tokens, end to end, and of their null positions.

    Raises:
        ModelError: it does not take windows that long, or a logit is not a number.

    """
    log.info("computing what %s says of %d windows, once", teacher.name, len(windows))
    model = teacher.model.train(mode=False).to(accelerator.device)
    _require_room(teacher, windows)
    bounds = np.concatenate([[0], np.cumsum(windows.size, dtype=np.int64)])
    logits, nulls = np.empty((2, bounds[-1]), np.float32), np.empty((2, len(windows)), np.float32)
    batches = evaluation_batches(windows.lengths, None, accelerator.device.type)
    loader = batch_loader(windows, batches, input_names=teacher.input_names, device=accelerator.device)
    with accelerator.autocast():
        for rows, batch in zip(batches, loader, strict=True):
            output = model(**batch.inputs)
            within = np.concatenate([np.arange(bounds[row], bounds[row + 1]) for row in rows])
            for at, values in enumerate((output.start_logits.float(), output.end_logits.float())):
                logits[at, within] = values[batch.in_context].cpu().numpy()
                nulls[at, rows] = values.gather(1, batch.null_position.unsqueeze(1)).squeeze(1).cpu().numpy()
    if not (np.isfinite(logits).all() and np.isfinite(nulls).all()):
        raise ModelError(f"the teacher {teacher.name!r} has logits that are not numbers; wanted a trained reader")
    return {"start": logits[0], "end": logits[1], "null_start": nulls[0], "null_end": nulls[1], "bounds": bounds}


def _require_room(teacher: Reader, windows: Features) -> None:
    """Let a teacher read the longest window, which with its tokens may be longer than the configuration says."""
    longest = np.array([windows.lengths.argmax()])
    probe = Probe(model=teacher.model, input_names=teacher.input_names, name=teacher.name)
    probe.logits(collate(windows, longest, input_names=teacher.input_names, pad_multiple=1))
