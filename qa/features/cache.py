"""Features and labels <-> memory-mapped Arrow files, built once per machine."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tokenizers
from datasets.config import HF_DATASETS_CACHE
from pydantic import TypeAdapter

from qa.config import Answers, FeaturesConfig, Head
from qa.data.examples import Examples
from qa.features.labels import Labels, build_labels
from qa.features.pair_template import PairTemplate, backend_text
from qa.features.round_trip import label_round_trip
from qa.features.store import stored
from qa.features.windows import Encoder, Features, Ragged, features_of_table

FORMAT = 3
"""Counts changes of what a cached feature or label is; part of the cache key."""
_LAYOUT_FILE = "layout.json"
_FEATURE_TABLES = {
    "features": ("example", "first", "size"),
    "tokens": ("token_start", "token_end"),
    "examples": ("context_of",),
}
_RAGGED = ("question_ids", "context_ids")
_LABELS = "labels"
_LABEL_TABLES = {"labels": ("first", "last", "reference"), "label_bounds": ("bounds",)}


def cached_features(examples: Examples, encoder: Encoder, config: FeaturesConfig) -> Features:
    """Build features once per machine and map them into memory from Arrow files afterwards.

    The cache key covers the tokenizer, its library's version, the settings and the examples' fingerprint.

    Raises:
        FeatureError: see `qa.features.windows.build_features`.
        StorageError: the cache cannot be written.

    """
    key = _features_key(encoder, config, examples.fingerprint)

    def build(folder: Path) -> None:
        save_features(features_of_table(examples.rows.with_format("arrow")[:], encoder, config), folder)

    return replace(load_features(stored(cache_root(config.cache_dir), key, build)), key=key)


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
    parts: list[Any], config: FeaturesConfig, build: Callable[[], Mapping[str, Mapping[str, np.ndarray]]]
) -> dict[str, np.ndarray]:
    """Build columns once per machine, as `cached_features` does, and map them into memory.

    Args:
        parts: all that the columns depend on, as JSON has it.
        config: says where the cache is.
        build: returns columns by name, by the name of a file for those of the same length.

    Raises:
        StorageError: the cache cannot be written.

    """

    def write(folder: Path) -> None:
        for file, columns in build().items():
            _write_table(dict(columns), folder / f"{file}.arrow")

    folder = stored(cache_root(config.cache_dir), _hash(parts), write)
    return _columns(folder, [file.stem for file in sorted(folder.glob("*.arrow"))])


def cache_root(folder: Path | None) -> Path:
    """Return the folder of the cache: the given one, or one in the data sets library's."""
    return folder or Path(HF_DATASETS_CACHE) / "qa-features"


def _features_key(encoder: Encoder, config: FeaturesConfig, fingerprint: str) -> str:
    settings = {**asdict(config), "least_round_trip": None, "cache_dir": None, "format": FORMAT, "data": fingerprint}
    return _hash([settings, asdict(encoder.template), backend_text(encoder.backend), tokenizers.__version__])


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


# --- files --------------------------------------------------------------------------------------------------------


def save_features(features: Features, folder: Path) -> None:
    """Write features into `folder` as Arrow IPC files, one per unit of counting, and how rows are made as JSON."""
    layout = {"template": asdict(features.template), "padded_to": features.padded_to}
    (folder / _LAYOUT_FILE).write_text(json.dumps(layout), encoding="utf-8")
    for file, names in _FEATURE_TABLES.items():
        _write_table({name: getattr(features, name) for name in names}, folder / f"{file}.arrow")
    for name in _RAGGED:
        ragged: Ragged = getattr(features, name)
        _write_table({name: pa.LargeListArray.from_arrays(ragged.bounds, ragged.values)}, folder / f"{name}.arrow")


def load_features(folder: Path) -> Features:
    """Map features written by `save_features` into memory; nothing is copied."""
    layout = json.loads((folder / _LAYOUT_FILE).read_bytes())
    template: PairTemplate = TypeAdapter(PairTemplate).validate_python(layout["template"])
    flat = _columns(folder, _FEATURE_TABLES)
    lists = {name: _mapped(folder / f"{name}.arrow")[name] for name in _RAGGED}
    ragged: dict[str, Any] = {
        name: Ragged(column.values.to_numpy(), column.offsets.to_numpy()) for name, column in lists.items()
    }
    return Features(template=template, padded_to=layout["padded_to"], **flat, **ragged)


def save_labels(labels: Labels, folder: Path) -> None:
    """Write labels into `folder` as Arrow IPC files, one per unit of counting."""
    for file, names in _LABEL_TABLES.items():
        _write_table({name: getattr(labels, name) for name in names}, folder / f"{file}.arrow")


def load_labels(folder: Path) -> Labels:
    """Map labels written by `save_labels` into memory; nothing is copied."""
    return Labels(**_columns(folder, _LABEL_TABLES))


def _columns(folder: Path, files: Iterable[str]) -> dict[str, Any]:
    return {name: column.to_numpy() for file in files for name, column in _mapped(folder / f"{file}.arrow").items()}


def _write_table(columns: dict[str, Any], path: Path) -> None:
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _mapped(path: Path) -> dict[str, pa.Array]:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return {name: table[name].combine_chunks() for name in table.column_names}
