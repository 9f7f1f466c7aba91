"""A JSON value of any shape -> flat rows, one per question, under the names that the file has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from qa.data.annotations import NOT_ANNOTATED
from qa.data.names import CONTEXT, QUESTION, TITLE, known_name, tidy
from qa.errors import DataError, SplitError

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
}
"""What files call a split."""
_INHERITED = frozenset((*CONTEXT, *TITLE))
_QUESTIONS = ("qas", "qa_pairs", "questions")
_OF_OTHER_SHAPES = frozenset(("header", "data", "fields", "row", "answer", "paragraphs", *_QUESTIONS))
"""One of these is in every value that is not a flat row."""
_VERDICTS = frozenset(("accept", "reject", "ignore"))


def split_of(name: str) -> str:
    """Return the split that a name stands for (`dev`: validation), or the name."""
    return next((split for split, names in SPLIT_NAMES.items() if name.lower() in names), name)


def named_split(names: Iterable[str], split: str) -> str | None:
    """Return the name that a split has among these: its own, or the only one that stands for it; None: no such."""
    names = list(names)
    alike = [name for name in names if split_of(name) == split_of(split)]
    if split in names:
        return split
    return alike[0] if len(alike) == 1 else None


def document_rows(document: object, place: str, split: str | None) -> Iterator[object]:
    """Yield the rows of a whole JSON document.

    A list of rows, paragraphs or articles; one of these alone; SQuAD's `data`; what `pandas` and `datasets` write
    (columns, records, index, split, table); or an object with such a document for each split.

    Raises:
        DataError: something else, or a wrong nesting; `place` begins the message.
        SplitError: an object of splits that lacks this one; None: any document without splits.
    """
    if isinstance(document, dict):
        parts = {name: part for name, part in document.items() if split_of(name) in SPLIT_NAMES}
        if parts and len(parts) == len(document):
            chosen = _part_of_split(parts, place, split)
            yield from document_rows(chosen, place, None)
            return
        document = _listed(document, place)
    if not isinstance(document, list):
        raise DataError(f"{place}data is of type {type(document).__name__}; wanted a list")
    for index, value in enumerate(document):
        yield from value_rows(value, f"{place}data[{index}]")


def has_splits(document: object) -> bool:
    """Tell an object with a part for each split."""
    return isinstance(document, dict) and bool(document) and all(split_of(name) in SPLIT_NAMES for name in document)


def _part_of_split(parts: Mapping[str, object], place: str, split: str | None) -> object:
    name = None if split is None else named_split(parts, split)
    if name is None:
        raise SplitError(f"{place}no split {split!r}; found {', '.join(parts)}")
    return parts[name]


def _listed(document: dict[str, Any], place: str) -> object:
    """Return the rows of a document that is an object."""
    data, names = document.get("data"), document.get("columns")
    if isinstance(data, list) and isinstance(names, list):  # pandas: split
        return [dict(zip(map(str, names), cells, strict=False)) if isinstance(cells, list) else cells for cells in data]
    if "data" in document and not _is_task(document):
        return [data] if isinstance(data, dict) else data
    if isinstance(document.get("rows"), list) and not any(map(known_name, document)):
        return document["rows"]
    values = list(document.values())
    if any(map(known_name, document)):
        return _transposed(document, place) if _are_columns(document) else [document]
    if values and all(isinstance(value, dict) for value in values):  # pandas: index; DROP
        return values
    return [document]


def _are_columns(document: Mapping[str, Any]) -> bool:
    """Tell columns of texts from one row."""
    texts = [value for name, value in document.items() if tidy(name) in (*CONTEXT, *QUESTION)]
    return bool(texts) and all(isinstance(value, dict | list) for value in texts) and not _questions(document)


def _transposed(columns: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    cells = {name: list(value.values()) if isinstance(value, dict) else value for name, value in columns.items()}
    lengths = {name: len(value) for name, value in cells.items() if isinstance(value, list)}
    if len(lengths) < len(cells) or len(set(lengths.values())) != 1:
        raise DataError(f"{place}columns of lengths {lengths}; wanted a list, of one length, for every column")
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


# --- one value ----------------------------------------------------------------------------------------------------


def value_rows(value: object, place: str) -> Iterator[object]:
    """Yield the rows of a row, a paragraph, an article, a data set, or a record of an annotation tool.

    Raises:
        DataError: a wrong nesting; `place` begins the message.
    """
    if not isinstance(value, dict) or value.keys().isdisjoint(_OF_OTHER_SHAPES):
        yield value
    elif value.keys() == {"header"}:  # the first line of MRQA's files
        return
    elif _is_task(value):
        yield _row_of_task(value)
    elif isinstance(value.get("fields"), dict) and "responses" in value:
        yield _row_of_record(value)
    elif isinstance(value.get("row"), dict) and "row_idx" in value:  # the hub's viewer
        yield from value_rows(value["row"], place)
    elif str(value.get("answer")) in _VERDICTS and {"_task_hash", "_input_hash"} & value.keys():
        yield _row_of_prodigy(value)
    else:
        yield from _nested_rows(value, place, {})


def _nested_rows(value: dict[str, Any], place: str, shared: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row per question of data / paragraphs / qas, any of which may be the outermost."""
    questions = _questions(value)
    outer = None if any(tidy(name) in QUESTION for name in value) else ("paragraphs", "data")
    children = next((name for name in outer or () if name in value), questions)
    if children is None:
        yield {**shared, **value}
        return
    inherited = {**shared, **{name: own for name, own in value.items() if tidy(name) in _INHERITED}}
    for child, inner in _objects(value[children], f"{place}.{children}"):
        if children == questions:
            yield {**inherited, **child}
        else:
            yield from _nested_rows(child, inner, inherited)


def _questions(value: Mapping[str, Any]) -> str | None:
    """Return the key of a list of questions; an argument of another type is named where it is read."""
    named = [name for name in _QUESTIONS if name in value]
    return next((name for name in named if name != "questions" or _holds_objects(value[name])), None)


def _holds_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _objects(children: object, place: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the objects of a list, each with its place in the file."""
    if not isinstance(children, list):
        raise DataError(f"{place} is of type {type(children).__name__}; wanted a list")
    for index, child in enumerate(children):
        if not isinstance(child, dict):
            raise DataError(f"{place}[{index}] is of type {type(child).__name__}; wanted an object")
        yield child, f"{place}[{index}]"


# --- annotation tools ---------------------------------------------------------------------------------------------


def _is_task(value: Mapping[str, Any]) -> bool:
    """Tell a task of Label Studio: its data, and what annotators made of it."""
    return isinstance(value.get("data"), dict) and any(isinstance(value.get(name), list) for name in _MADE)


_MADE = ("annotations", "completions")  # completions: before version 1


def _row_of_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's data with the results of all annotations that were not cancelled; an empty one means none."""
    made: Sequence[Any] = next(task[name] for name in _MADE if isinstance(task.get(name), list))
    kept = [one for one in made if isinstance(one, dict) and not one.get("was_cancelled")]
    answers = [item for one in kept for item in one.get("result") or []] if kept else NOT_ANNOTATED
    return {"id": task.get("id"), **task["data"], "answers": answers}


def _row_of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record of Argilla with the responses to the question that asks for the answer."""
    responses: Any = record["responses"]
    if isinstance(responses, list):  # version 1: a list of annotators' values by question
        values = [(one.get("values") or {}, one.get("status")) for one in responses if isinstance(one, dict)]
        names = dict.fromkeys(name for value, _ in values for name in value)
        responses = {
            name: [{"status": status, **value[name]} for value, status in values if name in value] for name in names
        }
    asked = [name for name in responses or {} if known_name(name)] or list(responses or {})
    answers = (responses[asked[0]] if asked else None) or NOT_ANNOTATED
    return {"id": record.get("id") or record.get("external_id"), **record["fields"], "answers": answers}


def _row_of_prodigy(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task of Prodigy, whose `answer` is the verdict; what was not accepted has no annotation."""
    row = {name: value for name, value in task.items() if name not in {"answer", "spans"}}
    spans = (task.get("spans") or []) if task["answer"] == "accept" else NOT_ANNOTATED
    return {"id": task.get("_task_hash"), **row, "answers": spans}
