"""Features and labels <-> memory-mapped Arrow files, built once per machine."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets.config import HF_DATASETS_CACHE
from filelock import FileLock
from pydantic import TypeAdapter
from transformers import PreTrainedTokenizerBase

from qa.config import FeaturesConfig
from qa.data.examples import Examples
from qa.features.labels import Labels, build_labels
from qa.features.pair_template import PairTemplate
from qa.features.windows import Encoder, Features, Ragged, features_of_table
from qa.files import whole_folder

FORMAT = 2
"""Counts changes of what a cached feature or label is; part of the cache key."""
_TEMPLATE_FILE = "template.json"
_FEATURE_TABLES = {
    "features": ("example", "first", "size"),
    "tokens": ("token_start", "token_end"),
    "examples": ("context_of",),
}
_RAGGED = ("question_ids", "context_ids")
_LABELS = "labels"


def cached_features(examples: Examples, tokenizer: PreTrainedTokenizerBase, config: FeaturesConfig) -> Features:
    """Build features once per machine and map them into memory from Arrow files afterwards.

    The cache key covers the tokenizer, the settings and the examples' fingerprint. A lock on the key lets one process
    build while the others of the machine wait, without a collective that could time out.

    Raises:
        TokenizerError, FeatureError: see `qa.features.windows.build_features`.
        StorageError: the cache cannot be written.

    """
    encoder = Encoder.of(tokenizer)
    key = _features_key(encoder, config, examples.fingerprint)

    def build(folder: Path) -> None:
        save_features(features_of_table(examples.rows.with_format("arrow")[:], encoder, config), folder)

    return replace(load_features(_built_once(config, key, build)), key=key)


def cached_labels(examples: Examples, features: Features, config: FeaturesConfig) -> Labels:
    """Build the labels of cached features once per machine, as `cached_features` does.

    Raises:
        StorageError: the cache cannot be written.

    """
    key = _hash([features.key, examples.fingerprint, _LABELS])
    folder = _built_once(config, key, lambda part: save_labels(build_labels(examples.rows, features), part))
    return load_labels(folder)


def _built_once(config: FeaturesConfig, key: str, build: Callable[[Path], None]) -> Path:
    """Return the cache folder of `key`, which `build` fills where it does not exist yet."""
    root = config.cache_dir or Path(HF_DATASETS_CACHE) / "qa-features"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / key
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with whole_folder(folder) as part:
                build(part)
    return folder


def _features_key(encoder: Encoder, config: FeaturesConfig, fingerprint: str) -> str:
    settings = {**asdict(config), "cache_dir": None, "format": FORMAT, "data": fingerprint}
    backend = encoder.backend  # without the truncation that the last call of the tokenizer may have left switched on
    return _hash([settings, asdict(encoder.template), backend.to_str(), backend.encode_special_tokens])


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


# --- files --------------------------------------------------------------------------------------------------------


def save_features(features: Features, folder: Path) -> None:
    """Write features into `folder` as Arrow IPC files, one per unit of counting, and the pair template as JSON."""
    (folder / _TEMPLATE_FILE).write_text(json.dumps(asdict(features.template)), encoding="utf-8")
    for file, names in _FEATURE_TABLES.items():
        _write_table({name: getattr(features, name) for name in names}, folder / f"{file}.arrow")
    for name in _RAGGED:
        ragged: Ragged = getattr(features, name)
        _write_table({name: pa.LargeListArray.from_arrays(ragged.bounds, ragged.values)}, folder / f"{name}.arrow")


def load_features(folder: Path) -> Features:
    """Map features written by `save_features` into memory; nothing is copied."""
    template: PairTemplate = TypeAdapter(PairTemplate).validate_json((folder / _TEMPLATE_FILE).read_bytes())
    flat: dict[str, Any] = {
        name: column.to_numpy()
        for file in _FEATURE_TABLES
        for name, column in _mapped(folder / f"{file}.arrow").items()
    }
    lists = {name: _mapped(folder / f"{name}.arrow")[name] for name in _RAGGED}
    ragged: dict[str, Any] = {
        name: Ragged(column.values.to_numpy(), column.offsets.to_numpy()) for name, column in lists.items()
    }
    return Features(template=template, **flat, **ragged)


def save_labels(labels: Labels, folder: Path) -> None:
    """Write labels into `folder` as an Arrow IPC file."""
    _write_table(vars(labels), folder / f"{_LABELS}.arrow")


def load_labels(folder: Path) -> Labels:
    """Map labels written by `save_labels` into memory; nothing is copied."""
    columns: dict[str, Any] = {name: column.to_numpy() for name, column in _mapped(folder / f"{_LABELS}.arrow").items()}
    return Labels(**columns)


def _write_table(columns: dict[str, Any], path: Path) -> None:
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _mapped(path: Path) -> dict[str, pa.Array]:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return {name: table[name].combine_chunks() for name in table.column_names}
