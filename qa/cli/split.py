"""`qa split`: train, validation and test sets, or folds, with no context in two of them."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from qa.cli.data import say, stream
from qa.cli.data_flags import Split
from qa.cli.display import print_json, print_line, print_table
from qa.cli.problems import ProblemFile, problem_file, show_problems
from qa.data.splitting import Groups, assign
from qa.data.streaming import ExampleStream
from qa.data.writing import write_examples
from qa.errors import StorageError, UsageError
from qa.files import whole_folder

_PROBLEMS = "data_problems.jsonl"
_NAMES = ("train", "validation", "test")
Choice = Mapping[Hashable, int]


def run(arguments: Split) -> None:
    """Choose a part for every context, write the parts, and say what was dropped or changed."""
    folder, shares = arguments.output.out, _shares(arguments)
    if folder.exists():
        raise StorageError(f"{folder} is there already; wanted a new folder")
    examples = stream(arguments.data, arguments.on_bad_example, arguments.references)
    groups = Groups(arguments.by)
    try:
        with whole_folder(folder) as part:
            with problem_file(part / _PROBLEMS, known_as=folder / _PROBLEMS) as problems:
                _look(examples, groups, problems)
            choice = assign(groups.totals(), shares, seed=arguments.seed)
            files = _files(part, arguments.format, len(shares), folds=arguments.folds is not None)
            counts = {
                str(path.relative_to(part)): write_examples(_chosen(examples, groups, choice, parts), path)
                for path, parts in files.items()
            }
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from error
    say(examples.notes)
    _tell(arguments, counts, problems, examples.notes)


def _shares(arguments: Split) -> tuple[float, ...]:
    if arguments.folds is not None:
        if arguments.folds < 2:
            raise UsageError(f"folds is {arguments.folds}; wanted 2 or more")
        return (1.0 / arguments.folds,) * arguments.folds
    rest = (arguments.validation, arguments.test) if arguments.test else (arguments.validation,)
    if not (all(share > 0 for share in rest) and sum(rest) < 1):
        raise UsageError(f"validation and test are {rest}; wanted shares above 0, together below 1")
    return (1.0 - sum(rest), *rest)


def _look(examples: ExampleStream, groups: Groups, problems: ProblemFile) -> None:
    """Read all examples once, for their groups and problems."""
    for table in examples.tables(problems):
        answers = table["answers"].to_pylist() if "answers" in table.column_names else [None] * table.num_rows
        rows = zip(table["title"].to_pylist(), table["context"].to_pylist(), answers, strict=True)
        for title, context, answer in rows:
            groups.add(title, context, answerable=answer is None or bool(answer["text"]))


def _files(folder: Path, suffix: str, parts: int, *, folds: bool) -> dict[Path, set[int]]:
    """Return the files to write, with the parts that each gets."""
    if not folds:
        return {folder / f"{_NAMES[part]}.{suffix}": {part} for part in range(parts)}
    files: dict[Path, set[int]] = {}
    for fold in range(parts):
        inner = folder / f"fold-{fold + 1}"
        inner.mkdir()
        files[inner / f"train.{suffix}"] = set(range(parts)) - {fold}
        files[inner / f"validation.{suffix}"] = {fold}
    return files


def _chosen(examples: ExampleStream, groups: Groups, choice: Choice, parts: set[int]) -> Iterator[pa.Table]:
    for table in examples.tables():
        kept = [choice[groups.group_of(context)] in parts for context in table["context"].to_pylist()]
        yield table.filter(pa.array(kept, pa.bool_()))


def _tell(arguments: Split, counts: Mapping[str, int], problems: ProblemFile, notes: Sequence[str]) -> None:
    folder = arguments.output.out
    if arguments.json:
        print_json({"out": str(folder), "files": counts, **problems.summary(), "notes": notes})
        return
    show_problems(problems.counts, problems.first)
    print_table(("file", "examples"), list(counts.items()))
    print_line(f"{folder}")
