"""What a run is trained on, and what it is judged on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import datasets
import pyarrow as pa

from qa.config import RunConfig
from qa.data.examples import Examples, drop_impossible, take
from qa.data.mapped import Wanted, mapped_examples
from qa.data.references import Purpose
from qa.data.sieve import ROWS_AT_ONCE
from qa.data.splitting import held_out
from qa.errors import ConfigError, DataError, SplitError


def load_training_examples(config: RunConfig) -> Examples:
    """Load the examples to train on: with references, with or without impossible ones, at most as many as asked.

    Those whose contexts are held out for validation are not among them; further data joins them, each part as often as
    its weight says.

    Raises:
        DataError: as `load_examples`, or the source has no references.
    """
    examples = _training_source(config)
    share = config.validation_share
    if share is not None:
        validated = set(held_out(examples.rows, share, seed=config.seed))
        rows = examples.rows.select([row for row in range(len(examples)) if row not in validated])
        examples = replace(examples, rows=rows)
    parts = [weighted(examples, config.train_weight)]
    for source, weight in config.further_train_data():
        parts.append(weighted(_labelled(source, config), weight))
    mixed = examples if len(parts) == 1 and parts[0] is examples else joined(parts)
    kept = mixed if config.data.allow_impossible else drop_impossible(mixed)
    return take(kept, config.max_train_examples)


def load_validation_examples(config: RunConfig) -> Examples | None:
    """Load the examples to evaluate, or only predict, on, at most as many as asked; None if the run has none.

    The configuration names a source, or `auto`, the validation split of the training data, or a share of its contexts
    to hold out. References need no places here.

    Raises:
        DataError: as `load_examples`.
        ConfigError: the training data has no validation split, and nothing else is asked for.
    """
    if config.validation_data is None:
        return None
    if config.validation_share is not None:
        examples = _training_source(config)
        rows = examples.rows.select(held_out(examples.rows, config.validation_share, seed=config.seed))
        note = f"{len(rows)} of the {len(examples)} examples of {config.train_data}, held out by context"
        examples = replace(examples, rows=rows, notes=(note,), problems=())
    elif config.validation_data == "auto":
        examples = _own_validation_split(config)
    else:
        examples = _loaded(config.validation_data, config.data.validation_split, config, purpose="texts")
    return take(_with_warning(examples), config.max_validation_examples)


def load_further_validation_examples(config: RunConfig) -> dict[str, Examples]:
    """Load the further sets that every evaluation scores, by name, each with at most as many examples as asked.

    Raises:
        DataError: as `load_examples`, or a set has no references.
    """
    found = {}
    for name, (source, _) in config.further_validation_data().items():
        examples = _loaded(source, config.data.validation_split, config, purpose="texts")
        if not examples.has_references:
            raise DataError(f"the validation set {name} has no references: {source}; wanted answers to score by")
        found[name] = take(examples, config.max_validation_examples)
    return found


def weighted(examples: Examples, weight: float) -> Examples:
    """Return all examples as often as the whole part of a weight says, and a share of them, spread evenly, once more.

    Raises:
        DataError: the weight leaves none.

    """
    if weight == 1.0:
        return examples
    whole, count = int(weight), len(examples)
    rest = round((weight - whole) * count)
    rows = [*range(count)] * whole + [at * count // rest for at in range(rest)]
    if not rows:
        raise DataError(f"a weight of {weight:g} leaves none of {count} examples; wanted one that leaves some")
    return replace(examples, rows=examples.rows.select(rows))


def joined(parts: Sequence[Examples]) -> Examples:
    """Return the examples of several sources one after the other; an id that is there again has a number after it."""
    rows = parts[0].rows if len(parts) == 1 else datasets.concatenate_datasets([part.rows for part in parts])
    ids = rows["id"][:]
    if len(set(ids)) < len(ids):
        seen, taken, names = Counter[str](), set(ids), []
        for key in ids:
            seen[key] += 1
            name = key
            while seen[key] > 1 and (name := f"{key}#{seen[key]}") in taken:
                seen[key] += 1
            taken.add(name)
            names.append(name)
        table = rows.with_format("arrow")[:]
        column = table.schema.get_field_index("id")
        rows = datasets.Dataset(table.set_column(column, "id", pa.array(names, pa.string())), fingerprint=uuid4().hex)
    problems = tuple(problem for part in parts for problem in part.problems)
    return Examples(rows=rows, problems=problems, notes=tuple(note for part in parts for note in part.notes))


def _loaded(
    source: str, split: str, config: RunConfig, *, purpose: Purpose = "spans", own_split: bool = False
) -> Examples:
    wanted = Wanted(source=source, split=split, config=config.data, purpose=purpose, own_split=own_split)
    return mapped_examples(wanted, config.features.cache_dir)


def _training_source(config: RunConfig) -> Examples:
    return _labelled(config.train_data, config)


def _labelled(source: str, config: RunConfig) -> Examples:
    examples = _loaded(source, config.data.train_split, config)
    if not examples.has_references:
        told = "".join(f"; {note}" for note in examples.notes)
        raise DataError(f"{source} has no references: no column answers; wanted answers to train on{told}")
    return examples


def _own_validation_split(config: RunConfig) -> Examples:
    split = config.data.validation_split
    try:
        examples = _loaded(config.train_data, split, config, purpose="texts", own_split=True)
    except SplitError as error:
        raise ConfigError(
            f"no validation-data, and the training data has no split {split!r} ({error}); wanted --validation-data "
            "with a source, with a share of the training contexts to hold out, such as 0.1, or with none"
        ) from error
    return replace(examples, notes=(f"the split {split!r} of {config.train_data}", *examples.notes))


def _with_warning(examples: Examples) -> Examples:
    if examples.has_references:
        return examples
    return replace(examples, notes=(*examples.notes, "no references: answers are written and nothing is scored"))


def shared_content(train: Examples, validation: Examples) -> tuple[int, int]:
    """Count the validation examples, and their distinct contexts, that the training examples hold too.

    An example is shared if its question and its context are.
    """
    pairs, contexts = Counter[tuple[str, str]](), set[str]()
    for table in validation.rows.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
        pairs.update(_pairs_of(table))
    asked = {context for context, _ in pairs}
    seen = set[tuple[str, str]]()
    for table in train.rows.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
        found = _pairs_of(table)
        seen.update(pair for pair in found if pair in pairs)
        contexts.update(context for context, _ in found if context in asked)
    return sum(pairs[pair] for pair in seen), len(contexts)


def _pairs_of(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(table["context"].to_pylist(), table["question"].to_pylist(), strict=True))
