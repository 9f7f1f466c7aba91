"""Features and labels <-> memory-mapped files, built once per machine."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from pydantic import TypeAdapter

from qa.config import Answers, FeaturesConfig, Head
from qa.data.examples import Examples
from qa.data.store import cache_root, stored, stored_in_shards
from qa.features.columns import growing_columns, mapped_columns
from qa.features.labels import Labels, build_labels
from qa.features.pair_template import PairTemplate, backend_text
from qa.features.round_trip import label_round_trip
from qa.features.shards import FeatureShards
from qa.features.windows import Encoder, Features, Ragged, check_room, padded_length

FORMAT = 4
"""Counts changes of what a cached feature or label is; part of the cache key."""
_LAYOUT_FILE = "layout.json"
_RAGGED = ("question", "context")
_LABELS = "labels"


def cached_features(examples: Examples, encoder: Encoder, config: FeaturesConfig) -> Features:
    """Build features once per machine, by all processes that ask for them, and map them into memory afterwards.

    The cache key covers the tokenizer, its library's version, the settings and the examples' fingerprint. Memory does
    not grow with the data but for some bytes an example.

    Raises:
        FeatureError: see `qa.features.windows.build_features`.
        StorageError: the cache cannot be written.

    """
    check_room(encoder.template, config)
    key = _features_key(encoder, config, examples.fingerprint)
    shards = FeatureShards(examples.rows, encoder, config)

    def join(parts: Path, folder: Path) -> None:
        shards.join(parts, folder)
        _save_layout(folder, encoder.template, padded_length(encoder.template, config))

    return replace(load_features(stored_in_shards(cache_root(config.cache_dir), key, shards.phases, join)), key=key)


def cached_labels(
    examples: Examples, features: Features, config: FeaturesConfig, *, head: Head = "spans", answers: Answers = "any"
) -> Labels:
    """Build the labels of cached features once per machine, as `cached_features` does, and check them.

    Args:
        examples: those that the features were built from.
        features: their windows.
        config: which references of a window are learned, and how many must be exact.
        head: whether spans are learned, or tokens.
        answers: whether any of several references is right, or all are wanted.

    Raises:
        LabelError: fewer of them translate back to their references than the configuration wants.
        StorageError: the cache cannot be written.

    """
    tagged, every = head == "tokens", config.all_references or answers == "all"
    kind = [_LABELS, *(["tagged"] if tagged else []), *(["every"] if answers == "all" else [])]
    key = _hash([features.key, examples.fingerprint, *kind])

    def build(folder: Path) -> None:
        save_labels(build_labels(examples.rows, features, every=every, tagged=tagged), folder)

    labels = replace(load_labels(stored(cache_root(config.cache_dir), key, build)), tagged=tagged)
    label_round_trip(features, labels, examples.rows).require(config.least_round_trip)
    return labels


def cached_columns(
    parts: list[Any], config: FeaturesConfig, build: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Build columns once per machine, as `cached_features` does, and map them into memory.

    Args:
        parts: all that the columns depend on, as JSON has it.
        config: says where the cache is.
        build: returns columns by name.

    Raises:
        StorageError: the cache cannot be written.

    """

    def write(folder: Path) -> None:
        _write_columns(folder, build())

    return mapped_columns(stored(cache_root(config.cache_dir), _hash(parts), write))


def _features_key(encoder: Encoder, config: FeaturesConfig, fingerprint: str) -> str:
    settings = {**asdict(config), "least_round_trip": None, "cache_dir": None, "format": FORMAT, "data": fingerprint}
    return _hash([settings, asdict(encoder.template), backend_text(encoder.backend), tokenizers.__version__])


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


# --- files --------------------------------------------------------------------------------------------------------


def save_features(features: Features, folder: Path) -> None:
    """Write features into `folder`: a file per column, and how rows are made as JSON."""
    columns = {name: value for name, value in vars(features).items() if isinstance(value, np.ndarray)}
    for text in _RAGGED:
        ragged: Ragged = getattr(features, f"{text}_ids")
        columns |= {f"{text}_ids": ragged.values, f"{text}_bounds": ragged.bounds}
    _write_columns(folder, columns)
    _save_layout(folder, features.template, features.padded_to)


def load_features(folder: Path) -> Features:
    """Map features written by `save_features` into memory; nothing is copied."""
    layout = json.loads((folder / _LAYOUT_FILE).read_bytes())
    columns: dict[str, Any] = dict(mapped_columns(folder))
    template: PairTemplate = TypeAdapter(PairTemplate).validate_python(layout["template"])
    for text in _RAGGED:
        columns[f"{text}_ids"] = Ragged(columns[f"{text}_ids"], columns.pop(f"{text}_bounds"))
    return Features(template=template, padded_to=layout["padded_to"], **columns)


def _save_layout(folder: Path, template: PairTemplate, padded_to: int | None) -> None:
    layout = {"template": asdict(template), "padded_to": padded_to}
    (folder / _LAYOUT_FILE).write_text(json.dumps(layout), encoding="utf-8")


def save_labels(labels: Labels, folder: Path) -> None:
    """Write labels into `folder`, a file per column."""
    _write_columns(folder, {name: value for name, value in vars(labels).items() if isinstance(value, np.ndarray)})


def load_labels(folder: Path) -> Labels:
    """Map labels written by `save_labels` into memory; nothing is copied."""
    columns: dict[str, Any] = dict(mapped_columns(folder))
    return Labels(**columns)


def _write_columns(folder: Path, columns: Mapping[str, np.ndarray]) -> None:
    with growing_columns(folder) as files:
        files.append(**columns)
