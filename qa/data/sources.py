"""Hub id, folder or file -> raw rows, unchecked."""

from collections.abc import Iterator
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

import datasets

from qa.config import DataConfig
from qa.data.folders import lone_file, split_files
from qa.data.formats import ROWS_AT_ONCE, columns_to_read, damage_named, read_file, splits_itself
from qa.data.shapes import named_split, value_rows
from qa.errors import DataError, SplitError
from qa.files import from_home, looks_like_path

HUB_IDS = {"squad": "rajpurkar/squad", "squad_v2": "rajpurkar/squad_v2"}
"""Short names of data sets on the hub."""


def read_rows(source: str, *, split: str, config: DataConfig, own_split: bool = False) -> Iterator[object]:
    """Yield the rows of a source one at a time, as the parsers build them, unchecked.

    `source` is `sample` for the embedded set, `sample:zh` for one in another language, a path, or a hub id; what exists
    as a path is never looked up on the hub, and a folder with nothing but a file `data` is that file. `split` chooses
    among the splits of an embedded set, a folder, a hub id, or a JSON file that has some; any other file is one split,
    whatever it is called, unless `own_split` says that it must be this one.

    Raises:
        DataError: nothing there, nothing in it, an unknown format, a damaged file, or columns that are not there.
        SplitError: no such split.
    """
    path = from_home(source)
    if _is_embedded(source):
        return _sample_rows(source, split)
    if _is_there(path):
        path = _lone_or_itself(path)
        if path.is_dir():
            return _folder_rows(path, split)
        if own_split and not splits_itself(path):
            raise SplitError(f"{source}: one file, without splits; wanted the split {split!r}")
        return read_file(path, split)
    if looks_like_path(source):
        raise DataError(f"{source}: no such file or folder; wanted an existing path, a hub id, or sample")
    return _hub_rows(source, split, config)


def source_files(source: str, *, split: str, config: DataConfig) -> list[Path]:
    """Return the files that `read_rows` reads; none for the embedded sets, and for what can be read only once: a pipe.

    Raises:
        DataError: as `read_rows`.
        SplitError: no such split.

    """
    path = from_home(source)
    if _is_embedded(source) or (looks_like_path(source) and not _is_there(path)):
        return []
    if not _is_there(path):
        return [Path(file["filename"]) for file in _hub_dataset(source, split, config).cache_files]
    path = _lone_or_itself(path)
    if path.is_dir() and not _is_saved(path):
        return split_files(path, split)
    return sorted(file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def _lone_or_itself(path: Path) -> Path:
    return (lone_file(path) if path.is_dir() and not _is_saved(path) else None) or path


def _is_embedded(source: str) -> bool:
    return source == "sample" or source.startswith("sample:")


def _is_there(path: Path) -> bool:
    """Tell whether a path exists.

    Raises:
        DataError: it cannot be one, as it is longer than the system takes.

    """
    try:
        return path.exists()
    except OSError as error:
        raise DataError(f"{str(path)[:80]!r} ...: {error.strerror}; wanted a path, a hub id, or sample") from error


def is_hub_id(name: str) -> bool:
    """Tell `owner/name` on the hub from a path or one of this project's own names."""
    return name.count("/") == 1 and not looks_like_path(name) and not Path(name).exists()


def _sample_rows(source: str, split: str) -> Iterator[object]:
    folder = _sample_folder(source)
    splits = sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
    name = named_split(splits, split)
    if name is None:
        raise SplitError(f"{source}: no split {split!r}; found {', '.join(splits) or 'none'}")
    with as_file(folder / f"{name}.json") as path:
        yield from read_file(path)


def _sample_folder(source: str) -> Traversable:
    """Return the folder of the embedded set, or of the one in the language that follows the colon."""
    english = files("qa") / "sample"
    others = {f"sample:{entry.name}": entry for entry in english.iterdir() if entry.is_dir()}
    if source != "sample" and source not in others:
        raise DataError(f"{source}: no such embedded set; found sample, {', '.join(sorted(others))}")
    return others.get(source, english)


def _hub_rows(source: str, split: str, config: DataConfig) -> Iterator[object]:
    return _dataset_rows(_hub_dataset(source, split, config), HUB_IDS.get(source, source))


def _hub_dataset(source: str, split: str, config: DataConfig) -> datasets.Dataset:
    hub_id = HUB_IDS.get(source, source)
    try:
        return _loaded(hub_id, split, config)
    except Exception as error:  # no common base: network, missing sets, splits and revisions all have their own
        raise (SplitError if _is_unknown_split(error) else DataError)(
            f"cannot load {hub_id!r} from the hub (name {config.name!r}, split {split!r}, revision "
            f"{config.revision!r}), and no such path exists: {type(error).__name__}: {error}"
        ) from error


def _loaded(hub_id: str, split: str, config: DataConfig) -> datasets.Dataset:
    try:
        return datasets.load_dataset(hub_id, name=config.name, split=split, revision=config.revision)
    except ValueError as error:
        if not _is_unknown_split(error):
            raise
        every = datasets.load_dataset(hub_id, name=config.name, revision=config.revision)  # all is there by now
        name = named_split(every, split)
        if name is None:
            raise
        return every[name]


def _is_unknown_split(error: Exception) -> bool:
    return isinstance(error, ValueError) and str(error).startswith("Unknown split")


def _dataset_rows(dataset: datasets.Dataset, source: object) -> Iterator[object]:
    known = dataset.select_columns(columns_to_read(dataset.column_names, source))
    with damage_named(source):
        for table in known.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
            for row in table.to_pylist():
                yield from value_rows(row, f"{source}: ")


def _folder_rows(folder: Path, split: str) -> Iterator[object]:
    if _is_saved(folder):
        yield from _dataset_rows(_saved_dataset(folder, split), folder)
    else:
        for path in split_files(folder, split):
            yield from read_file(path, split)


def _is_saved(folder: Path) -> bool:
    """Tell a folder of `save_to_disk`."""
    return any((folder / name).exists() for name in ("dataset_dict.json", "state.json"))


def _saved_dataset(folder: Path, split: str) -> datasets.Dataset:
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # a damaged description raises whatever its use runs into
        raise DataError(f"{folder}: not a whole folder of save_to_disk: {type(error).__name__}: {error}") from error
    if isinstance(loaded, datasets.Dataset):
        return loaded
    name = named_split(loaded, split)
    if name is None:
        raise SplitError(f"{folder}: no split {split!r}; found {', '.join(loaded)}")
    return loaded[name]
