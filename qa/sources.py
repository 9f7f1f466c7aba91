"""Hub id, file or folder → raw rows, unchecked; the format of a file is found from its content, never from its name."""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from qa.config import DataConfig
from qa.errors import DataError

COLUMNS = ("id", "title", "context", "question", "answers")
REQUIRED_COLUMNS = ("id", "context", "question")
ROWS_AT_ONCE = 1_000  # 100 MB where contexts have 100,000 characters
_ACCEPTED = (
    "nested SQuAD JSON, a JSON list of rows, JSON Lines, comma-separated CSV whose first line names the columns "
    "(any of these in UTF-8, also gzipped), Parquet, and a folder from save_to_disk or with a file per split"
)
_DATA_SUFFIXES = {".json", ".jsonl", ".ndjson", ".csv", ".parquet", ".gz"}
_HUB_IDS = {"squad": "rajpurkar/squad", "squad_v2": "rajpurkar/squad_v2"}
_SPLIT_NAMES = {"validation": ("validation", "valid", "val", "dev")}
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\b")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNREADABLE = (OSError, EOFError, ValueError, zlib.error, csv.Error, pa.ArrowException)


def read_rows(source: str, *, split: str, config: DataConfig) -> Iterator[object]:
    """Yield the rows of a source as the parsers give them, a row at a time and not checked.

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
        return _file_rows(path)
    if _looks_like_path(source):
        raise DataError(f"{source}: no such file or folder; wanted an existing path, a hub id, or sample")
    return _hub_rows(source, split, config)


def require_columns(found: Iterable[str], source: object) -> None:
    """Raise DataError, with the names found and wanted, unless all required columns are among `found`."""
    names = list(found)
    missing = [column for column in REQUIRED_COLUMNS if column not in names]
    if missing:
        raise DataError(
            f"{source}: no column {', '.join(missing)}; found {names!a}; "
            f"wanted {', '.join(REQUIRED_COLUMNS)}, and answers where there are references"
        )


def _looks_like_path(source: str) -> bool:
    """Tell a mistyped path from a hub id, which is `name` or `owner/name`."""
    return source.startswith((".", "/", "~")) or source.count("/") > 1 or Path(source).suffix in _DATA_SUFFIXES


def _sample_rows(split: str) -> Iterator[object]:
    folder = files("qa") / "sample"
    splits = sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
    if split not in splits:
        raise DataError(f"sample: no split {split!r}; found {', '.join(splits) or 'none'}")
    with as_file(folder / f"{split}.json") as path:
        yield from _file_rows(path)


def _hub_rows(source: str, split: str, config: DataConfig) -> Iterator[object]:
    hub_id = _HUB_IDS.get(source, source)
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
    with _damage_named(source):
        for table in known.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
            yield from table.to_pylist()


# Folders


def _folder_rows(folder: Path, split: str) -> Iterator[object]:
    saved = [name for name in ("dataset_dict.json", "state.json") if (folder / name).exists()]
    if saved:
        yield from _dataset_rows(_saved_dataset(folder, split), folder)
    else:
        for path in _split_files(folder, split):
            yield from _file_rows(path)


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


# Files


@contextmanager
def _damage_named(source: object) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise DataError(f"{source}: cannot be read: {type(error).__name__}: {error}") from error


def _file_rows(path: Path) -> Iterator[object]:
    with _damage_named(path):
        yield from _parser(path)(path)


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if gzipped else path.open("rb")


def _parser(path: Path) -> Callable[[Path], Iterator[object]]:
    with _opened(path) as file:
        start = file.read(1 << 16).removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not start:
        raise DataError(f"{path}: the file is empty; accepted are {_ACCEPTED}")
    if start.startswith(b"PAR1"):
        return _parquet_rows
    if start.startswith((b"{", b"[")):
        return _json_line_rows if _has_json_lines(path) else _json_document_rows
    if _names_columns(start.splitlines()[0]):
        return _csv_rows
    raise DataError(f"{path}: unknown format, starting with {start[:40]!r}; accepted are {_ACCEPTED}")


def _names_columns(first_line: bytes) -> bool:
    return not set(COLUMNS).isdisjoint(next(csv.reader([first_line.decode("utf-8", "replace")])))


def _parquet_rows(path: Path) -> Iterator[object]:
    with _opened(path) as file:
        parquet = pq.ParquetFile(file)
        require_columns(parquet.schema_arrow.names, path)
        known = [column for column in COLUMNS if column in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(batch_size=ROWS_AT_ONCE, columns=known):
            yield from batch.to_pylist()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number, from 1, and text, split at line feeds only: a carriage return counts in answer offsets."""
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.removeprefix(_BYTE_ORDER_MARK if number == 1 else b"").decode()
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: line {number}, byte {error.start} is not UTF-8: {error.reason}") from error


def _csv_rows(path: Path) -> Iterator[object]:
    csv.field_size_limit(2**31 - 1)  # the default of 131,072 characters is shorter than some contexts
    cells = csv.reader((line for _, line in _lines(path)), strict=True)
    try:
        names = next(cells)
        require_columns(names, path)
        for row in filter(None, cells):  # blank lines hold no cells
            if len(row) != len(names):
                raise DataError(f"{path}: line {cells.line_num}: found {len(row)} cells; wanted {len(names)}")
            yield _with_parsed_answers(dict(zip(names, row, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}: line {cells.line_num} is not CSV: {error}") from error


def _with_parsed_answers(row: dict[str, str]) -> dict[str, Any]:
    """Parse the JSON of the answers cell; what is no JSON stays a string, which no answers may be."""
    cell = row.get("answers")
    if cell is None:
        return dict(row)
    try:
        return {**row, "answers": json.loads(cell) if cell else None}
    except (ValueError, RecursionError):
        return dict(row)


def _has_json_lines(path: Path) -> bool:
    """Whether a second object follows a first line that is an object, which no JSON document can have."""
    lines = [line.strip() for _, line in islice(((n, line) for n, line in _lines(path) if line.strip()), 2)]
    return len(lines) == 2 and lines[0].startswith("{") and lines[0].endswith("}") and lines[1].startswith("{")


def _json_line_rows(path: Path) -> Iterator[object]:
    for number, line in _lines(path):
        if line.strip():
            yield _parsed(line.rstrip(), path, first_line=number)


def _json_document_rows(path: Path) -> Iterator[object]:
    document = _parsed("".join(line for _, line in _lines(path)), path)
    rows = document.get("data", document) if isinstance(document, dict) else document
    rows = [rows] if isinstance(rows, dict) else rows  # a JSON Lines file of one line
    if not isinstance(rows, list):
        raise DataError(f"{path}: data is of type {type(rows).__name__}; wanted a list")
    nested = any(isinstance(row, dict) and "paragraphs" in row for row in rows)
    yield from _nested_rows(rows, path) if nested else rows


def _parsed(text: str, path: Path, *, first_line: int = 1) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}: line {line}, column {error.colno} is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
        raise DataError(f"{path}: JSON from line {first_line} cannot be read: {error}") from error


def _nested_rows(articles: list[Any], path: Path) -> Iterator[dict[str, Any]]:
    """Yield a row per question of SQuAD's data / paragraphs / qas; of an impossible one, without answers."""
    for article, place in _objects({"data": articles}, "data", f"{path}: "):
        for paragraph, inner_place in _objects(article, "paragraphs", f"{place}."):
            for question, _ in _objects(paragraph, "qas", f"{inner_place}."):
                answers = [] if question.get("is_impossible") else question.get("answers")
                shared = {"title": article.get("title"), "context": paragraph.get("context")}
                yield {**shared, "id": question.get("id"), "question": question.get("question"), "answers": answers}


def _objects(parent: dict[str, Any], key: str, place: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the objects of the list `parent[key]`, each with its place in the file."""
    children = parent.get(key)
    if not isinstance(children, list):
        raise DataError(f"{place}{key} is of type {type(children).__name__}; wanted a list")
    for index, child in enumerate(children):
        if not isinstance(child, dict):
            raise DataError(f"{place}{key}[{index}] is of type {type(child).__name__}; wanted an object")
        yield child, f"{place}{key}[{index}]"
