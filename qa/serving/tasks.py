"""Tasks of many clients -> answers: inputs with the same options go through the model together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from qa.errors import QAError
from qa.inference.answers import Answer, PassageAnswer
from qa.inference.inputs import Row
from qa.inference.predictor import Predictor
from qa.serving.schema import MOST_ANSWERS, Options

Results = list[list[Answer]] | list[PassageAnswer]


@dataclass(frozen=True, kw_only=True)
class AnswerTask:
    """Questions of one client."""

    rows: Sequence[Row]
    options: Options

    @property
    def size(self) -> int:
        """Inputs."""
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class SearchTask:
    """A search of one client."""

    question: str
    contexts: Sequence[str]
    options: Options

    @property
    def size(self) -> int:
        """Passages."""
        return len(self.contexts)


Task = AnswerTask | SearchTask


def answer_tasks(predictor: Predictor, tasks: Sequence[Task]) -> list[Results | Exception]:
    """Return every task's results, or what is wrong with it, in order."""
    found: dict[int, Results | Exception] = {}
    alike: dict[Options, list[int]] = defaultdict(list)
    for at, task in enumerate(tasks):
        if isinstance(task, SearchTask):
            found[at] = _search(predictor, task)
        else:
            alike[task.options.model_copy(update={"top_k": 1})].append(at)
    for options, places in alike.items():
        group = [task for at in places if isinstance(task := tasks[at], AnswerTask)]
        found |= dict(zip(places, _answer(predictor, group, options), strict=True))
    return [found[at] for at in range(len(tasks))]


def _search(predictor: Predictor, task: SearchTask) -> Results | Exception:
    options = task.options.model_dump()
    try:
        return predictor.search(task.question, task.contexts, **options)
    except QAError as error:
        return error


def _answer(predictor: Predictor, tasks: Sequence[AnswerTask], options: Options) -> list[Results | Exception]:
    """Answer the questions of tasks with the same options; a bad one must not spoil the others."""
    rows = [row for task in tasks for row in task.rows]
    try:
        answers = predictor(rows, **options.model_dump() | {"top_k": MOST_ANSWERS})
    except QAError as error:
        if len(tasks) == 1:
            return [error]
        return [result for task in tasks for result in _answer(predictor, [task], options)]
    each = iter(answers)
    return [[next(each)[: task.options.top_k] for _ in task.rows] for task in tasks]
