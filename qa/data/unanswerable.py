"""Answerable questions -> unanswerable ones, asked of another context of their title that looks like their own.

The method is the TF-IDF baseline of SQuAD 2.0's paper (Rajpurkar et al., 2018, arXiv:1806.03822), with a similarity of
the caller's choice. Such questions are easier than those that people write: they are worth most beside some of these.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from qa.data.placing import find_places

Similarity = Callable[[str, Sequence[str]], Float64[np.ndarray, "context"]]
"""Question, contexts -> how similar each is; 0: not at all."""

ID_SUFFIX = "-elsewhere"


def ask_elsewhere(examples: pa.Table, similarity: Similarity, *, share: float, seed: int) -> pa.Table:
    """Return unanswerable examples: a share of the answerable ones, each with another context and without references.

    The context is the one most similar to the question among those of its title, or of all titles where its own has no
    other, that hold none of its references, in any case and Unicode form; a question that no such context is similar
    to is left out. Ids end with `-elsewhere`.

    Args:
        examples: id, title, context, question and answers, checked.
        similarity: of a question to contexts.
        share: of the answerable examples that are drawn, 0 to 1.
        seed: of the draw, in which an example's id counts, not its place.

    """
    by_title = _contexts_by_title(examples)
    every = tuple(dict.fromkeys(context for contexts in by_title.values() for context in contexts))
    found: dict[int, str] = {}
    for row, example in enumerate(examples.to_pylist()):
        if example["answers"]["text"] and random.Random(f"{seed} {example['id']}").random() < share:
            contexts = by_title[example["title"]]
            context = _most_similar(example, contexts if len(contexts) > 1 else every, similarity)
            if context is not None:
                found[row] = context
    return _moved(examples.take(pa.array(found, pa.int64())), list(found.values()))


def _contexts_by_title(examples: pa.Table) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for title, context in zip(examples["title"].to_pylist(), examples["context"].to_pylist(), strict=True):
        found.setdefault(title, {})[context] = None
    return {title: tuple(contexts) for title, contexts in found.items()}


def _most_similar(example: Mapping[str, Any], contexts: Sequence[str], similarity: Similarity) -> str | None:
    """Return the most similar of the contexts that do not answer an example; None if none is similar at all."""
    scores = similarity(example["question"], contexts)
    references = example["answers"]["text"]
    for at in np.argsort(-scores, kind="stable").tolist():
        if scores[at] <= 0:
            return None
        context: str = contexts[at]
        if context != example["context"] and not any(find_places(context, one) for one in references):
            return context
    return None


def _moved(examples: pa.Table, contexts: Sequence[str]) -> pa.Table:
    """Return examples with other contexts, and without references."""
    answers = examples.schema.field("answers").type
    changed = {
        "id": pa.array([f"{key}{ID_SUFFIX}" for key in examples["id"].to_pylist()], examples.schema.field("id").type),
        "context": pa.array(contexts, examples.schema.field("context").type),
        "answers": pa.array([{"text": [], "answer_start": []}] * len(contexts), answers),
    }
    columns = {name: changed.get(name, examples[name]) for name in examples.column_names}
    return pa.table(columns, schema=examples.schema.remove_metadata())
