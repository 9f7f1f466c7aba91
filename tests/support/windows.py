"""The oracle of windows and labels: the tokenizer's own call on pairs, and loops over its windows."""

import bisect
import contextlib
import itertools
import json

import numpy as np
import regex
from tokenizers import Tokenizer

from qa.config import FeaturesConfig


def plain_windows(tokenizer, row, *, max_length, doc_stride):
    """What the recipes of the library's examples get for one row: ids, types and the context's part with offsets."""
    context_first = tokenizer.padding_side == "left"
    texts = (row["context"], row["question"]) if context_first else (row["question"], row["context"])
    with text_is_text(tokenizer):
        encoded = tokenizer(
            [texts[0]],
            [texts[1]],
            truncation="only_first" if context_first else "only_second",
            max_length=max_length,
            stride=doc_stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
    whole, windows = plain_offsets(tokenizer, row["context"]), []
    for at, encoding in enumerate(encoded.encodings):
        here = [i for i, text in enumerate(encoding.sequence_ids) if text == (0 if context_first else 1)]
        first = at * (len(windows[0]["context"]) - doc_stride) if at else 0
        windows.append(
            {
                "ids": encoded["input_ids"][at],
                "types": encoded["token_type_ids"][at],
                "context": here,
                "offsets": whole[first : first + len(here)],
            }
        )
    return windows


@contextlib.contextmanager
def text_is_text(tokenizer):
    """Let the tokenizer take "[SEP]" in a text for five characters, also where it is a piece of the vocabulary."""
    before = tokenizer.split_special_tokens, tokenizer._tokenizer
    content = json.loads(tokenizer._tokenizer.to_str())
    if content["model"]["type"] == "Unigram":
        special = set(tokenizer.all_special_tokens) - {tokenizer.unk_token}
        for piece in content["model"]["vocab"]:
            piece[0] = f"\ufffe{piece[0]}" if piece[0] in special else piece[0]
        tokenizer._tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.split_special_tokens = True
    yield
    tokenizer.split_special_tokens, tokenizer._tokenizer = before


def plain_offsets(tokenizer, context):
    with text_is_text(tokenizer):
        reported = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return plain_cover(context, [tuple(offset) for offset in reported])


def cluster_borders(text):
    """Those of Unicode's annex, but for marks, which are never the first of a cluster unless controls are before."""
    borders = itertools.accumulate((len(cluster) for cluster in regex.findall(r"\X", text)), initial=0)
    return [
        at for at in borders if at in (0, len(text)) or not regex.match(r"[^\p{GCB=Control}\r\n]\p{M}", text[at - 1 :])
    ]


def uncut(text, spans):
    borders = cluster_borders(text)
    return [
        (borders[bisect.bisect_right(borders, start) - 1], borders[bisect.bisect_left(borders, end)])
        for start, end in spans
    ]


def plain_cover(text, offsets):
    """The dull version."""
    spans = uncut(text, offsets)
    for at in range(1, len(spans)):
        spans[at] = (max(spans[at][0], spans[at - 1][0]), max(spans[at][1], spans[at - 1][1]))
    stops = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    grown = list(spans)
    for at, (stop, start) in enumerate(zip(stops, starts, strict=True)):
        gap = [place for place in range(stop, start) if not text[place].isspace()]
        white = [place for place in range(stop, start) if text[place].isspace()]
        for place in gap if spans else []:
            parted = white and place < white[0]
            if at == len(spans) or (at and parted):
                grown[at - 1] = grown[at - 1][0], max(grown[at - 1][1], place + 1)
            else:
                grown[at] = min(grown[at][0], place), grown[at][1]
    return uncut(text, grown)


def plain_labels(tokenizer, row, windows, every=False):
    """The tokens that overlap the first reference that lies in the window, in all of it; None where none does.

    With `every` a list of all such spans.
    """
    whole, labels = plain_offsets(tokenizer, row["context"]), []
    for window in windows:
        spans = []
        for start, text in zip(row["answers"]["answer_start"], row["answers"]["text"], strict=True):
            here = overlapping(window["offsets"], start, start + len(text))
            if here and len(here) == len(overlapping(whole, start, start + len(text))):
                spans.append((here[0], here[-1]))
        labels.append(list(dict.fromkeys(spans)) if every else spans[0] if spans else None)
    return labels


def overlapping(offsets, start, end):
    return [at for at, (begin, stop) in enumerate(offsets) if begin < end and stop > start]


def notebook_label(offsets, start, end):
    """The published loop over the tokens of a window's context."""
    first, last = 0, len(offsets) - 1
    if not (offsets[first][0] <= start and offsets[last][1] >= end):
        return None
    while first < len(offsets) and offsets[first][0] <= start:
        first += 1
    while offsets[last][1] >= end:
        last -= 1
    return first - 1, last + 1


def our_windows(features):
    """All features in the oracle's form."""
    windows = []
    for index in range(len(features)):
        ids, types, begin = features.row(index)
        size = int(features.size[index])
        here = np.arange(size)
        start, end = features.char_spans(np.full(size, index), here, here)
        windows.append(
            {
                "ids": ids.tolist(),
                "types": types.tolist(),
                "context": list(range(begin, begin + size)),
                "offsets": list(zip(start.tolist(), end.tolist(), strict=True)),
            }
        )
    return windows


def our_labels(labels):
    """The label of every feature, or None; of features with one label at most."""
    assert np.diff(labels.bounds).max(initial=0) <= 1
    pairs = dict(
        zip(labels.feature.tolist(), zip(labels.first.tolist(), labels.last.tolist(), strict=True), strict=True)
    )
    return [pairs.get(feature) for feature in range(len(labels))]


def windows_by_example(features):
    found = our_windows(features)
    return [[found[i] for i in np.flatnonzero(features.example == row)] for row in range(len(features.context_of))]


def config(max_length=384, doc_stride=128, max_question_length=64, **more):
    return FeaturesConfig(max_length=max_length, doc_stride=doc_stride, max_question_length=max_question_length, **more)


TEXTS = [
    "The  Loire\tflows past\r\nOrléans, Blois and Nantes.",
    "東京タワーの高さは333mです。Its height is 333 m.",
    "👩‍👩‍👧 family 🇫🇷 flag, e\u0301 and é, Å ≠ A\u030a, ﬁve ﬁsh, ½ cup, İstanbul",
    "مرحبا بالعالم in Arabic, שלום in Hebrew",
    "[SEP] in a text, <s> and </s> and <sep> <cls> [CLS] <mask> [MASK] as well",
    "x" * 120 + " y",
    " leading and trailing  ",
    "a\u200bb\u00adc\ufeffd\x00e\u2028f",
]


LONG = " ".join(TEXTS) + " " + " ".join(f"word{n} is number {n}." for n in range(60))


def same_features(ours, theirs):
    columns = ("context_of", "token_start", "token_end", "example", "first", "size")
    ragged = [(getattr(ours, name), getattr(theirs, name)) for name in ("question_ids", "context_ids")]
    pairs = [(getattr(ours, name), getattr(theirs, name)) for name in columns]
    pairs += [(getattr(a, part), getattr(b, part)) for a, b in ragged for part in ("values", "bounds")]
    return ours.template == theirs.template and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)
