"""A folder -> the files of a split, by their names."""

import re
from pathlib import Path

from qa.data.formats import is_data
from qa.data.shapes import SPLIT_NAMES, split_of
from qa.errors import DataError, SplitError

_SUFFIXES = {"", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet", ".gz"}
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\b")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SHOWN_NAMES = 20


def lone_file(folder: Path) -> Path | None:
    """Return the file `data`, with any suffix, of a folder without other data or folders; None: there is more, or less.

    It is read as if it had been named itself: it may hold all splits, or be one.
    """
    visible = [path for path in folder.iterdir() if not path.name.startswith((".", "_"))]
    files = [path for path in visible if path.is_file() and _suffix(path) in _SUFFIXES]
    if any(path.is_dir() for path in visible) or not any(_stem(path.name) == "data" for path in files):
        return None
    found = [path for path in files if is_data(path)]
    return found[0] if len(found) == 1 and _stem(found[0].name) == "data" else None


def split_files(folder: Path, split: str) -> list[Path]:
    """Return the file of a split, or all its `-00000-of-00002` shards in order.

    A name counts that has the split as a word of its own, at best as its first, else as its last (`train.json`,
    `KorQuAD_v1.0_train.json`). Where no file has, the folder of that name, or `data`, is looked into. What cannot be
    data, by its suffix or its first bytes, does not count.

    Raises:
        SplitError: no such file.
        DataError: several files that are not one set of shards, or shards that are not complete.
    """
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))
    files = [path for path in visible if path.is_file() and _suffix(path) in _SUFFIXES]
    found = _best(files, split)
    if not found:
        return _files_further_in(visible, folder, split)
    if len(found) > 1 or _SHARD.search(found[0].name):
        _require_all_shards(found, folder, split)
    return found


def _files_further_in(visible: list[Path], folder: Path, split: str) -> list[Path]:
    inner = {path.name: path for path in visible if path.is_dir()}
    if split in inner:
        return _whole_folder(inner[split], split)
    if "data" in inner or len(inner) == 1:
        return split_files(inner.get("data") or next(iter(inner.values())), split)
    names = ", ".join(path.name for path in visible[:_SHOWN_NAMES]) or "no files"
    raise SplitError(f"{folder}: no file for split {split!r}; found {names}; wanted a name like {split}.jsonl")


def _suffix(path: Path) -> str:
    """Return a file's suffix; what follows the point of a version (`dev-v1.1`) is none."""
    suffix = path.suffix.lower()
    return "" if suffix[1:].isdigit() else suffix


def _best(files: list[Path], split: str) -> list[Path]:
    """Return the files whose names say most plainly that they are of a split."""
    ranks = {path: _rank(path.name, split) for path in files}
    ranked = sorted({rank for rank in ranks.values() if rank is not None})
    for best in ranked:
        found = [path for path in files if ranks[path] == best and is_data(path)]
        if found:
            return found
    return []


def _rank(name: str, split: str) -> tuple[bool, int] | None:
    """Rank a name that has the split as a word: others of other splits last, then by where it stands."""
    stem = _SHARD.sub("", _stem(name))
    names = SPLIT_NAMES.get(split)
    if names is None:  # one that may have several words
        found = re.search(rf"(?<![^\W_]){re.escape(split)}(?![^\W_])", stem)
        return None if found is None else (False, 0 if found.start() == 0 else 1 if found.end() == len(stem) else 2)
    words = [word.lower() for word in _WORD.findall(stem)]
    at = [index for index, word in enumerate(words) if word in names]
    if not at:
        return None
    others = any(split_of(word) in SPLIT_NAMES and word not in names for word in words)
    return others, 0 if at[0] == 0 else 1 if at[-1] == len(words) - 1 else 2


def _stem(name: str) -> str:
    path = Path(name)
    while path.suffix and _suffix(path) in _SUFFIXES - {""}:
        path = path.with_suffix("")
    return path.name


def _whole_folder(folder: Path, split: str) -> list[Path]:
    """Return the data of a folder that is named after the split."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "_")))
    found = [path for path in files if _suffix(path) in _SUFFIXES and is_data(path)]
    if not found:
        raise SplitError(f"{folder}: no data for split {split!r}")
    if len(found) > 1:
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
