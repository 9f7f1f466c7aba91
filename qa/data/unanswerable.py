"""Answerable questions -> unanswerable ones, asked of another context of their title that looks like their own.

The method is the TF-IDF baseline of SQuAD 2.0's paper (Rajpurkar et al., 2018, arXiv:1806.03822), with a similarity of
the caller's choice. Nobody reads what it makes: a context may still answer a question in words of its own.
"""

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from qa.data.placing import find_places

Similarity = Callable[[str, Sequence[str]], Float64[np.ndarray, "context"]]
"""Question, contexts -> how similar each is; 0: not at all. The same contexts come in a row."""

ID_SUFFIX = "-elsewhere"


def draw_answerable(examples: pa.Table, share: float, *, seed: int) -> list[int]:
    """Return rows of a share (0 to 1) of the answerable examples; id and seed decide, not the place."""
    drawn = []
    for row, (key, answers) in enumerate(zip(examples["id"].to_pylist(), examples["answers"].to_pylist(), strict=True)):
        if answers["text"] and random.Random(f"{seed} {key}").random() < share:
            drawn.append(row)
    return drawn


def ask_elsewhere(examples: pa.Table, rows: Sequence[int], similarity: Similarity) -> pa.Table:
    """Return the examples of some rows, in their order, each with another context and without references.

    The context is the one most similar to the question among those of its title, or of all titles where its own has no
    other. It holds none of the references, in any case and Unicode form and inside of words too, and no example asks
    the same question of it and has an answer there. A question that no such context is similar to is left out. Ids end
    with `-elsewhere`.

    Args:
        examples: id, title, context, question and answers, checked.
        rows: of answerable examples.
        similarity: of a question to contexts; called with a title's contexts for all its rows, one after the other.

    """
    answered = _answered_contexts(examples)
    chosen = examples.take(pa.array(rows, pa.int64())).to_pylist()
    found: dict[int, str] = {}
    for at, contexts in _by_title(examples, chosen):
        example = chosen[at]
        context = _most_similar(example, contexts, similarity, answered[_folded(example["question"])])
        if context is not None:
            found[at] = context
    kept = sorted(found)
    return _moved(examples.take(pa.array([rows[at] for at in kept], pa.int64())), [found[at] for at in kept])


def _answered_contexts(examples: pa.Table) -> dict[str, set[str]]:
    """Return where a question is answered: forms and contracts are asked the same ones again and again."""
    found: dict[str, set[str]] = {}
    columns = (examples[name].to_pylist() for name in ("question", "context", "answers"))
    for question, context, answers in zip(*columns, strict=True):
        if answers["text"]:
            found.setdefault(_folded(question), set()).add(context)
    return found


def _folded(question: str) -> str:
    return " ".join(question.casefold().split())


def _by_title(examples: pa.Table, chosen: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each chosen example's number and the contexts to choose from, those with the same contexts in a row."""
    contexts: dict[str, dict[str, None]] = {}
    for title, context in zip(examples["title"].to_pylist(), examples["context"].to_pylist(), strict=True):
        contexts.setdefault(title, {})[context] = None
    members: dict[str, list[int]] = {}
    for at, example in enumerate(chosen):
        members.setdefault(example["title"], []).append(at)
    alone = [title for title in members if len(contexts[title]) == 1]
    for title in [title for title in members if len(contexts[title]) > 1]:
        own = tuple(contexts[title])
        yield from ((at, own) for at in members[title])
    if alone:
        every = tuple(dict.fromkeys(context for own in contexts.values() for context in own))
        yield from ((at, every) for title in alone for at in members[title])


def _most_similar(
    example: Mapping[str, Any], contexts: Sequence[str], similarity: Similarity, answered: Collection[str]
) -> str | None:
    """Return the most similar of the contexts that do not answer an example; None if none is similar at all."""
    scores = similarity(example["question"], contexts)
    references = example["answers"]["text"]
    for at in np.argsort(-scores, kind="stable").tolist():
        if scores[at] <= 0:
            return None
        context: str = contexts[at]
        if context not in answered and not any(find_places(context, one) for one in references):
            return context
    return None


def _moved(examples: pa.Table, contexts: Sequence[str]) -> pa.Table:
    """Return examples with other contexts, and without references."""
    changed = {
        "id": [f"{key}{ID_SUFFIX}" for key in examples["id"].to_pylist()],
        "context": contexts,
        "answers": [{"text": [], "answer_start": []}] * len(contexts),
    }
    columns = {
        name: pa.array(changed[name], examples.schema.field(name).type) if name in changed else examples[name]
        for name in examples.column_names
    }
    return pa.table(columns, schema=examples.schema.remove_metadata())
