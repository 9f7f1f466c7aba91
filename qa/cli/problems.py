"""Problems of a data set -> a table and the first of them for people, all of them in a file."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from qa.cli.display import print_line, print_table
from qa.data.problems import DataProblem
from qa.files import whole_file

_SHOWN = 10


@dataclass
class ProblemFile:
    """Takes problems as they come: counts all, keeps the first, writes each as a line of JSON."""

    path: Path | None
    file: TextIO
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[DataProblem] = field(default_factory=list)

    def __call__(self, problems: Sequence[DataProblem]) -> None:
        """Take some."""
        for problem in problems:
            self.counts[problem.kind, problem.action] += 1
            # ASCII only: an id may hold a lone surrogate, which UTF-8 cannot
            self.file.write(f"{json.dumps(asdict(problem))}\n")
        self.first += problems[: _SHOWN - len(self.first)]

    def summary(self) -> dict[str, Any]:
        """Return numbers by kind and action, as JSON has them, and where all problems are told."""
        counts = [{"kind": kind, "action": action, "rows": rows} for (kind, action), rows in self.counts.most_common()]
        return {"problems": counts, "problems_file": str(self.path) if self.counts and self.path else None}


@contextmanager
def problem_file(path: Path, *, known_as: Path | None = None) -> Iterator[ProblemFile]:
    """Yield a file of problems that appears with all of them; without any, none is there.

    `known_as` is where it will be found, if its folder is renamed later.
    """
    with whole_file(path) as file:
        problems = ProblemFile(known_as or path, file)
        yield problems
    if not problems.counts:
        path.unlink()


@contextmanager
def no_problem_file() -> Iterator[ProblemFile]:
    """Yield what takes problems where there is no place for a file of them."""
    with Path(os.devnull).open("w", encoding="utf-8") as nothing:
        yield ProblemFile(None, nothing)


def show_problems(counts: Mapping[Any, int], first: Iterable[DataProblem]) -> None:
    """Print how many problems there are by kind and action, and the first."""
    if counts:
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        print_table(("problem", "done", "rows"), [(*kind, count) for kind, count in ordered])
    for problem in list(first)[:_SHOWN]:
        print_line(str(problem))
