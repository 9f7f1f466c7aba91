"""Hub id, folder or file -> raw rows, unchecked."""

import re
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import datasets

from qa.config import DataConfig
from qa.data.formats import COLUMNS, ROWS_AT_ONCE, damage_named, read_file, require_columns
from qa.errors import DataError

HUB_IDS = {"squad": "rajpurkar/squad", "squad_v2": "rajpurkar/squad_v2"}
"""Short names of data sets on the hub."""
_DATA_SUFFIXES = {".json", ".jsonl", ".ndjson", ".csv", ".parquet", ".gz"}
_SPLIT_NAMES = {"validation": ("validation", "valid", "val", "dev")}
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\b")


def read_rows(source: str, *, split: str, config: DataConfig) -> Iterator[object]:
    """Yield the rows of a source one at a time, as the parsers build them, unchecked.

    `source` is `sample` for the embedded set, a path, or a hub id; what exists as a path is never looked up on the
    hub. `split` chooses among the splits of the embedded set, a folder or a hub id; a file has no splits.

    Raises:
        DataError: nothing there, nothing in it, an unknown format, a damaged file, or columns that are not there.
    """
    path = Path(source).expanduser()
    if source == "sample":
        return _sample_rows(split)
    if path.is_dir():
        return _folder_rows(path, split)
    if path.exists():
        return read_file(path)
    if looks_like_path(source):
        raise DataError(f"{source}: no such file or folder; wanted an existing path, a hub id, or sample")
    return _hub_rows(source, split, config)


def looks_like_path(source: str) -> bool:
    """Tell a path, perhaps a mistyped one, from a hub id, which is `name` or `owner/name`."""
    return source.startswith((".", "/", "~")) or source.count("/") > 1 or Path(source).suffix in _DATA_SUFFIXES


def is_hub_id(name: str) -> bool:
    """Tell `owner/name` on the hub from a path or one of this project's own names."""
    return name.count("/") == 1 and not looks_like_path(name) and not Path(name).exists()


def _sample_rows(split: str) -> Iterator[object]:
    folder = files("qa") / "sample"
    splits = sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
    if split not in splits:
        raise DataError(f"sample: no split {split!r}; found {', '.join(splits) or 'none'}")
    with as_file(folder / f"{split}.json") as path:
        yield from read_file(path)


def _hub_rows(source: str, split: str, config: DataConfig) -> Iterator[object]:
    hub_id = HUB_IDS.get(source, source)
    try:
        dataset = datasets.load_dataset(hub_id, name=config.name, split=split, revision=config.revision)
    except Exception as error:  # no common base: network, missing sets, splits and revisions all have their own
        raise DataError(
            f"cannot load {hub_id!r} from the hub (name {config.name!r}, split {split!r}, revision "
            f"{config.revision!r}), and no such path exists: {type(error).__name__}: {error}"
        ) from error
    return _dataset_rows(dataset, hub_id)


def _dataset_rows(dataset: datasets.Dataset, source: object) -> Iterator[object]:
    require_columns(dataset.column_names, source)
    known = dataset.select_columns([column for column in COLUMNS if column in dataset.column_names])
    with damage_named(source):
        for table in known.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
            yield from table.to_pylist()


# Folders


def _folder_rows(folder: Path, split: str) -> Iterator[object]:
    saved = [name for name in ("dataset_dict.json", "state.json") if (folder / name).exists()]
    if saved:
        yield from _dataset_rows(_saved_dataset(folder, split), folder)
    else:
        for path in _split_files(folder, split):
            yield from read_file(path)


def _saved_dataset(folder: Path, split: str) -> datasets.Dataset:
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # a damaged description raises whatever its use runs into
        raise DataError(f"{folder}: not a whole folder of save_to_disk: {type(error).__name__}: {error}") from error
    if isinstance(loaded, datasets.Dataset):
        return loaded
    if split not in loaded:
        raise DataError(f"{folder}: no split {split!r}; found {', '.join(loaded)}")
    return loaded[split]


def _split_files(folder: Path, split: str) -> list[Path]:
    """Return the file of a split, or all its `-00000-of-00002` shards in order."""
    names = "|".join(re.escape(name) for name in _SPLIT_NAMES.get(split, (split,)))
    starts_with_split = re.compile(rf"(?:{names})(?![^\W_])")
    visible = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    found = [path for path in visible if starts_with_split.match(path.name)]
    if not found:
        present = ", ".join(path.name for path in visible) or "no files"
        raise DataError(f"{folder}: no file for split {split!r}; found {present}; wanted a name like {split}.jsonl")
    if len(found) > 1 or _SHARD.search(found[0].name):
        _require_all_shards(found, folder, split)
    return found


def _require_all_shards(found: list[Path], folder: Path, split: str) -> None:
    shards = [_SHARD.search(path.name) for path in found]
    numbers = [(int(shard[1]), int(shard[2])) for shard in shards if shard]
    if numbers != [(index, len(found)) for index in range(len(found))]:
        listed = ", ".join(path.name for path in found)
        raise DataError(
            f"{folder}: split {split!r} is ambiguous or incomplete; found {listed}; wanted one file, or all"
        )
