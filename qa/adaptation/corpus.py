"""Files, folders and data sources -> texts."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.errors import DataError
from qa.files import from_home

TEXT_SUFFIXES = frozenset({".txt", ".text", ".md", ".markdown", ".rst"})
"""Of files that are read as plain text; what has another one is a data set, whose contexts are taken."""
_BETWEEN = "\n\n"  # contexts of one article


def read_texts(sources: Sequence[str], *, split: str) -> list[str]:
    """Read the texts of files, folders and data sources, in their order, without those that are blank.

    A file whose name ends like that of plain text is a text, in UTF-8; a folder with such files, at any depth, has one
    of each. Anything else is a data source as training takes it, whose labels do not matter: contexts of the same title
    are one text, and a context without a title is one by itself.

    Args:
        sources: paths, hub ids, or `sample`.
        split: of data sources that have splits.

    Raises:
        DataError: a source that cannot be read, or no text in all of them.

    """
    texts = [text for source in sources for text in _texts_of(source, split) if text.strip()]
    if not texts:
        raise DataError(f"{', '.join(sources)}: no text; wanted files of plain text, or a data set with contexts")
    return texts


def _texts_of(source: str, split: str) -> Iterator[str]:
    path = from_home(source)
    if path.is_file() and path.suffix.lower() in TEXT_SUFFIXES:
        return iter([_read(path)])
    if path.is_dir() and (files := _text_files(path)):
        return map(_read, files)
    return _contexts(source, split)


def _text_files(folder: Path) -> list[Path]:
    """Return the files of plain text under a folder; what a leading dot hides is left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in TEXT_SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} as UTF-8 text: {error}") from error


def _contexts(source: str, split: str) -> Iterator[str]:
    rows = load_examples(source, split=split, config=DataConfig(on_bad_example="skip"), purpose="nothing").rows
    return joined_by_title(zip(rows["title"][:], rows["context"][:], strict=True))


def joined_by_title(contexts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the different contexts of each title as one text, and each of those without a title."""
    articles: dict[str, dict[str, None]] = {}
    for title, context in contexts:
        articles.setdefault(title or f"\n{context}", {})[context] = None  # no title has a line end
    return (_BETWEEN.join(article) for article in articles.values())
