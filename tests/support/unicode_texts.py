"""Texts of all scripts of Unicode, and what must hold of features and answers whatever a text holds."""

import random
import sys
import unicodedata
from functools import lru_cache

import numpy as np
import regex
import torch

from qa.config import DecodingConfig, FeaturesConfig
from qa.decoding.predictions import Predictions
from qa.decoding.spans import find_spans
from qa.features.collation import batch_loader
from qa.features.labels import build_labels
from qa.features.order import evaluation_batches
from qa.features.round_trip import label_round_trip
from qa.features.windows import Encoder, features_of_table
from tests.support import tiny

WINDOWS = FeaturesConfig(max_length=48, doc_stride=12, max_question_length=12)
DECODING = DecodingConfig(n_best=8, max_answer_tokens=12)
_BLOCK = 128
_WHITE = (" ", " ", " ", " ", "\n", "\t", "\r\n", "\u00a0", "\u2003", "\u2028", "\u3000")
_CONTROLS = ("\0", "\x07", "\u200b", "\u200c", "\u200d", "\u200e", "\u202e", "\u2066", "\u2069", "\ufeff", "\u00ad")
_SIGNS = (
    "👩‍👩‍👧‍👦",
    "👩\u200d🔬",
    "🇨🇭",
    "🇫🇷🇩🇪",
    "👍🏽",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "🏴\U000e0067\U000e0062\U000e007f",
    "葛\U000e0100",
)
_MARKS = (
    "\u0301",
    "\u0323\u0302",
    "\u064e\u0651",
    "\u05b8",
    "\u093e",
    "\u0e31",
    "\ufe0f",
    "\u1160",
    "\u11ab",
    "\u0600",
    "\u0602",
)
_SPECIAL = (
    "[SEP]",
    "[CLS]",
    "[MASK]",
    "[PAD]",
    "[UNK]",
    "<s>",
    "</s>",
    "<sep>",
    "<cls>",
    "<mask>",
    "<pad>",
    "<unk>",
    "##x",
    "▁",
)
_JOINED_BY_A_MARK = regex.compile(r"[^\p{GCB=Control}\r\n]\p{M}")
_FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def blocks():
    """All assigned characters, by stretches of 128 code points: of no more than a script or two each."""
    found = {}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) not in {"Cn", "Cs", "Co"}:
            found.setdefault(code // _BLOCK, []).append(chr(code))
    return list(found.values())


BLOCKS = blocks()


def piece(chance, letters):
    drawn = chance.random()
    if drawn < 0.72:
        return "".join(chance.choices(letters, k=chance.randint(1, 7)))
    kind = chance.choice((_CONTROLS, _SIGNS, _MARKS, _SPECIAL, (".", ",", "'", "-", "7", "42", "Ada", "the")))
    return chance.choice(kind)


def text(chance, longest=24):
    letters = chance.choice(BLOCKS)
    if chance.random() < 0.3:
        letters = letters + chance.choice(BLOCKS)
    pieces = [piece(chance, letters) + chance.choice(("", "", *_WHITE)) for _ in range(chance.randint(1, longest))]
    whole = "".join(pieces)
    return unicodedata.normalize(chance.choice(_FORMS), whole) if chance.random() < 0.5 else whole


@lru_cache(maxsize=4096)
def borders(context):
    """Of what people take for a character."""
    starts = [found.start() for found in regex.finditer(r"\X", context)]
    return [at for at in starts if at == 0 or not _JOINED_BY_A_MARK.match(context, at - 1)] + [len(context)]


def rows(chance, count):
    """Examples with a reference each, a stretch of whole characters that is not white space alone."""
    found = []
    while len(found) < count:
        context = text(chance)
        places = borders(context)
        first, last = sorted(chance.sample(range(len(places)), 2)) if len(places) > 1 else (0, 0)
        answer = context[places[first] : places[last]]
        if answer.strip():
            found.append(tiny.example(text(chance, 4), context, (answer, places[first])))
    return found


class RandomLogits(torch.nn.Module):
    """Has other logits for every token."""

    def __init__(self, seed):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, input_ids):
        logits = torch.randn(2, *input_ids.shape, generator=self.generator)
        return type("Logits", (), {"start_logits": logits[0], "end_logits": logits[1]})


def check(tokenizer, found, *, seed):
    """Build features, labels and answers of rows, and check them; returns the labels, and those that are not exact."""
    examples = tiny.examples(*found)
    table = examples.with_format("arrow")[:]
    encoder = Encoder.of(tokenizer)
    features = features_of_table(table, encoder, WINDOWS)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    assert not special & set(features.context_ids.values.tolist()), "a text's [SEP] is text"
    assert not special & set(features.question_ids.values.tolist())
    contexts = [row["context"] for row in found]
    _check_cover(features, contexts)
    trip = label_round_trip(features, build_labels(examples, features), examples)
    assert trip.narrower == 0, trip.shown_exceptions()
    _check_token_references(features, contexts, encoder, seed)
    _check_answers(features, contexts, seed)
    return trip


def _check_cover(features, contexts):
    """Every character that is not white space is in a token; tokens never go back and end with whole characters."""
    for row, context in enumerate(contexts):
        at = features.context_of[row]
        mine = slice(features.context_ids.bounds[at], features.context_ids.bounds[at + 1])
        start, end = features.token_start[mine], features.token_end[mine]
        if not len(start):
            continue
        covered = np.zeros(len(context) + 1, dtype=np.int64)
        np.add.at(covered, start, 1)
        np.add.at(covered, end, -1)
        open_at = np.cumsum(covered)[:-1] > 0
        holes = [context[place] for place in np.flatnonzero(~open_at) if not context[place].isspace()]
        assert not holes, (context, holes)
        assert (np.diff(start) >= 0).all(), context
        assert (np.diff(end) >= 0).all(), context
        assert {*start.tolist(), *end.tolist()} <= set(borders(context)), context


def _check_token_references(features, contexts, encoder, seed):
    """References that begin and end where tokens do translate back exactly."""
    chance, aligned = random.Random(seed), []
    for row, context in enumerate(contexts):
        at = features.context_of[row]
        mine = range(features.context_ids.bounds[at], features.context_ids.bounds[at + 1])
        if not mine:
            continue
        firsts = [at for at in mine if at == mine[0] or features.token_start[at] >= features.token_end[at - 1]]
        lasts = [at for at in mine if at == mine[-1] or features.token_end[at] <= features.token_start[at + 1]]
        first = chance.choice(firsts)  # some tokens share characters: a border is where none goes on
        last = next(at for at in lasts if at >= first)
        start, end = int(features.token_start[first]), int(features.token_end[last])
        if context[start:end].strip():
            aligned.append(tiny.example("Who?", context, (context[start:end], start)))
    examples = tiny.examples(*aligned)
    again = features_of_table(examples.with_format("arrow")[:], encoder, WINDOWS)
    trip = label_round_trip(again, build_labels(examples, again), examples)
    assert trip.exact == trip.labelled, trip.shown_exceptions()


def _check_answers(features, contexts, seed):
    """Every answer is its substring, and whole characters."""
    batches = evaluation_batches(features.lengths, 64, torch.device("cpu"))
    loader = batch_loader(features, batches, input_names=("input_ids",), device=torch.device("cpu"))
    spans = find_spans(RandomLogits(seed), loader, DECODING, features=len(features))
    ids = [str(row) for row in range(len(contexts))]
    found = Predictions.from_spans(spans, features, ids=ids, contexts=contexts, config=DECODING, null_possible=False)
    for row, context in enumerate(contexts):
        whole = set(borders(context))
        for at in range(found.bounds[row], found.bounds[row + 1]):
            start, end = int(found.start[at]), int(found.end[at])
            assert context[start:end] == found.text[at]
            assert found.text[at].strip()
            assert {start, end} <= whole, (context, found.text[at])
