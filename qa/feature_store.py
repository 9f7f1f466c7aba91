"""Features ↔ Arrow files: built once per machine, then mapped into memory."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset
from datasets.config import HF_DATASETS_CACHE
from filelock import FileLock
from pydantic import TypeAdapter
from transformers import PreTrainedTokenizerBase

from qa.config import FeaturesConfig
from qa.features import Encoder, Features, Ragged, features_of_table
from qa.files import whole_folder
from qa.layout import Layout

FORMAT = 1
"""Counts changes of what a cached feature is; part of the cache key."""
_TABLES = {
    "features": ("example", "first", "size", "label_first", "label_last"),
    "tokens": ("token_start", "token_end"),
    "examples": ("context_of",),
}
_RAGGED = ("question_ids", "context_ids")


def cached_features(
    examples: Dataset, tokenizer: PreTrainedTokenizerBase, config: FeaturesConfig, *, fingerprint: str
) -> Features:
    """Build features once per machine and map them into memory from Arrow files afterwards.

    The cache key covers the tokenizer, the settings and the examples' `fingerprint`. A lock on the key lets one process
    build while the others of the machine wait, without a collective that could time out.
    """
    root = config.cache_dir or Path(HF_DATASETS_CACHE) / "qa-features"
    root.mkdir(parents=True, exist_ok=True)
    encoder = Encoder.of(tokenizer)
    folder = root / _cache_key(encoder, config, fingerprint)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with whole_folder(folder) as part:
                save_features(features_of_table(examples.with_format("arrow")[:], encoder, config), part)
    return load_features(folder)


def _cache_key(encoder: Encoder, config: FeaturesConfig, fingerprint: str) -> str:
    settings = {**asdict(config), "cache_dir": None, "format": FORMAT, "data": fingerprint}
    backend = encoder.backend  # without the truncation that the last call of the tokenizer may have left switched on
    parts = [settings, asdict(encoder.layout), backend.to_str(), backend.encode_special_tokens]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def save_features(features: Features, folder: Path) -> None:
    """Write features into `folder` as Arrow IPC files, one a unit of counting, and the layout as JSON."""
    (folder / "layout.json").write_text(json.dumps(asdict(features.layout)), encoding="utf-8")
    columns: dict[str, dict[str, Any]] = {
        file: {name: getattr(features, name) for name in names} for file, names in _TABLES.items()
    }
    for name in _RAGGED:
        ragged = getattr(features, name)
        columns[name] = {name: pa.LargeListArray.from_arrays(ragged.bounds, ragged.values)}
    for file, arrays in columns.items():
        table = pa.table(arrays)
        with pa.OSFile(str(folder / f"{file}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)


def load_features(folder: Path) -> Features:
    """Map features written by `save_features` into memory; nothing is copied."""
    layout: Layout = TypeAdapter(Layout).validate_json((folder / "layout.json").read_bytes())
    arrays = {
        name: column for file in (*_TABLES, *_RAGGED) for name, column in _mapped(folder / f"{file}.arrow").items()
    }
    flat: dict[str, Any] = {name: arrays[name].to_numpy() for names in _TABLES.values() for name in names}
    ragged: dict[str, Any] = {
        name: Ragged(arrays[name].values.to_numpy(), arrays[name].offsets.to_numpy()) for name in _RAGGED
    }
    return Features(layout=layout, **flat, **ragged)


def _mapped(path: Path) -> dict[str, pa.Array]:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return {name: table[name].combine_chunks() for name in table.column_names}
