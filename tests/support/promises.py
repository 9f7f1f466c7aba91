"""What must hold of features, labels and answers, whatever a text holds and whatever a tokenizer reports.

All contexts are looked at as one text, so that a million of them are checked in minutes; `plain_faults` is the same in
loops over characters.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset

from qa.config import DecodingConfig, FeaturesConfig
from qa.decoding.predictions import Predictions
from qa.decoding.spans import find_spans
from qa.features.labels import build_labels
from qa.features.loader import batch_loader
from qa.features.order import evaluation_batches
from qa.features.round_trip import label_round_trip
from qa.features.windows import Encoder, features_of_table

WINDOWS = FeaturesConfig(max_length=48, doc_stride=12, max_question_length=12)
DECODING = DecodingConfig(n_best=8, max_answer_tokens=12)
_BATCH_TOKENS = 8192
_LONGEST_REFERENCE = 4  # tokens
encoder_of = cache(Encoder.of)


@dataclass(frozen=True, eq=False, kw_only=True)
class Texts:
    """Rows of `unicode_texts`, all contexts as one text: those of row `i` are `bounds[i]:bounds[i + 1]`."""

    rows: list
    table: pa.Table
    bounds: np.ndarray
    is_white: np.ndarray
    is_border: np.ndarray

    @classmethod
    def of(cls, rows):
        lengths = [len(row.context) for row in rows]
        bounds = np.cumsum([0, *lengths])
        is_border = np.zeros(bounds[-1] + 1, dtype=bool)
        for row, origin in zip(rows, bounds.tolist(), strict=False):
            is_border[[origin + at for at in row.borders]] = True
        is_white = np.array([character.isspace() for row in rows for character in row.context], dtype=bool)
        columns = {"question": [row.question for row in rows], "context": [row.context for row in rows]}
        return cls(rows=rows, table=pa.table(columns), bounds=bounds, is_white=is_white, is_border=is_border)

    def labelled_by(self, texts, starts):
        """The rows as examples with the given references."""
        answers = pa.array(
            [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)],
            pa.struct({"text": pa.list_(pa.string()), "answer_start": pa.list_(pa.int32())}),
        )
        return Dataset(self.table.append_column("answers", answers), fingerprint="texts")  # or it is hashed, slowly


class RandomLogits(torch.nn.Module):
    """Has other logits for every token."""

    def __init__(self, seed):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, input_ids):
        logits = torch.randn(2, *input_ids.shape, generator=self.generator)
        return type("Logits", (), {"start_logits": logits[0], "end_logits": logits[1]})


def check(tokenizer, texts, *, seed):
    """Build features, labels and answers, and check them; returns how the labels translate back."""
    features = features_of_table(texts.table, encoder_of(tokenizer), WINDOWS)
    check_features(tokenizer, features, texts)
    examples = texts.labelled_by([[row.answer] for row in texts.rows], [[row.start] for row in texts.rows])
    trip = label_round_trip(features, build_labels(examples, features), examples)
    assert trip.narrower == 0, trip.shown_exceptions()
    aligned = token_references(features, texts, seed)
    exact = label_round_trip(features, build_labels(aligned, features), aligned)
    assert exact.exact == exact.labelled, exact.shown_exceptions()
    check_answers(answers(features, texts, seed), texts)
    return trip


def check_features(tokenizer, features, texts):
    """Text is text; all but white space is in a token; tokens never go back and end with whole characters."""
    special = [token for token in tokenizer.all_special_ids if token != tokenizer.unk_token_id]
    assert not np.isin(features.context_ids.values, special).any(), "a text's [SEP] is text"
    assert not np.isin(features.question_ids.values, special).any(), "a text's [SEP] is text"
    assert np.array_equal(features.context_of, np.arange(len(texts.rows))), "wanted different contexts"
    faults = offset_faults(features, texts)
    assert not faults, [(texts.rows[row].context, fault) for row, fault in faults[:3]]


def offset_faults(features, texts):
    """The rows whose offsets break a promise, and which."""
    tokens = np.diff(features.context_ids.bounds)
    row = np.repeat(np.arange(len(tokens)), tokens)
    start, end = features.token_start + texts.bounds[row], features.token_end + texts.bounds[row]
    outside = (features.token_start < 0) | (start > end) | (end > texts.bounds[row + 1])
    if outside.any():
        return [(at, "outside of the text") for at in np.unique(row[outside]).tolist()]
    back = (row[1:] == row[:-1]) & ((start[1:] < start[:-1]) | (end[1:] < end[:-1]))
    cut = ~(texts.is_border[start] & texts.is_border[end])
    characters = len(texts.is_white)
    depth = np.bincount(start, minlength=characters + 1) - np.bincount(end, minlength=characters + 1)
    hole = np.flatnonzero((np.cumsum(depth)[:-1] <= 0) & ~texts.is_white)
    hole_row = np.searchsorted(texts.bounds, hole, side="right") - 1
    kinds = {"a hole": hole_row[tokens[hole_row] > 0], "backwards": row[1:][back], "a cut character": row[cut]}
    return sorted((at, kind) for kind, rows in kinds.items() for at in np.unique(rows).tolist())


def plain_faults(start, end, row):
    """What `offset_faults` finds in a row, whose tokens have these offsets."""
    if any(not 0 <= first <= last <= len(row.context) for first, last in zip(start, end, strict=True)):
        return ["outside of the text"]
    held = {place for first, last in zip(start, end, strict=True) for place in range(first, last)}
    holes = [place for place, one in enumerate(row.context) if not one.isspace() and place not in held]
    found = ["a cut character"] if not {*start, *end} <= set(row.borders) else []
    found += ["a hole"] if start and holes else []
    return found + (["backwards"] if sorted(start) != start or sorted(end) != end else [])


def token_references(features, texts, seed):
    """Examples with a reference each that begins and ends where tokens do, if a context has any."""
    bounds, chance = features.context_ids.bounds, np.random.default_rng(seed)
    rows = np.flatnonzero(np.diff(bounds))
    new = np.ones(len(features.token_start), dtype=bool)  # some tokens share characters: a border is where none goes on
    new[1:] = features.token_start[1:] >= features.token_end[:-1]
    new[bounds[rows]] = True
    firsts, lasts = np.flatnonzero(new), np.flatnonzero(np.roll(new, -1))
    begin, stop = np.searchsorted(firsts, bounds[rows]), np.searchsorted(firsts, bounds[rows + 1])
    first = begin + (chance.random(len(rows)) * (stop - begin)).astype(int)
    last = np.minimum(first + chance.integers(0, _LONGEST_REFERENCE, len(rows)), stop - 1)
    spans = zip(rows, features.token_start[firsts[first]], features.token_end[lasts[last]], strict=True)
    found = {int(row): (texts.rows[row].context[start:end], int(start)) for row, start, end in spans}
    kept = [found[row] if row in found and found[row][0].strip() else None for row in range(len(texts.rows))]
    return texts.labelled_by([[one[0]] if one else [] for one in kept], [[one[1]] if one else [] for one in kept])


def answers(features, texts, seed):
    batches = evaluation_batches(features.lengths, 1024, "cpu", cpu_tokens=_BATCH_TOKENS)
    loader = batch_loader(features, batches, input_names=("input_ids",), device=torch.device("cpu"))
    spans = find_spans(RandomLogits(seed), loader, DECODING, features=len(features))
    contexts = [row.context for row in texts.rows]
    ids = [str(row) for row in range(len(contexts))]
    return Predictions.from_spans(spans, features, ids=ids, contexts=contexts, config=DECODING, null_possible=False)


def check_answers(found, texts):
    """Every answer is its substring, and whole characters."""
    places = zip(found.example.tolist(), found.start.tolist(), found.end.tolist(), strict=True)
    assert [texts.rows[row].context[start:end] for row, start, end in places] == list(found.text)
    assert all(map(str.strip, found.text))
    origin = texts.bounds[found.example]
    cut = ~(texts.is_border[origin + found.start] & texts.is_border[origin + found.end])
    assert not cut.any(), [
        (texts.rows[found.example[at]].context, found.text[at]) for at in np.flatnonzero(cut)[:3].tolist()
    ]
