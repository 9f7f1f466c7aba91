"""The oracle of windows and labels: the tokenizer's own call on pairs, and loops over its windows."""

import numpy as np

from qa.config import FeaturesConfig
from qa.features.labels import NO_LABEL


def plain_windows(tokenizer, row, *, max_length, doc_stride):
    """What the recipes of the library's examples get for one row: ids, types and the context's part with offsets."""
    context_first = tokenizer.padding_side == "left"
    texts = (row["context"], row["question"]) if context_first else (row["question"], row["context"])
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
    windows = []
    for at, encoding in enumerate(encoded.encodings):
        here = [i for i, text in enumerate(encoding.sequence_ids) if text == (0 if context_first else 1)]
        windows.append(
            {
                "ids": encoded["input_ids"][at],
                "types": encoded["token_type_ids"][at],
                "context": here,
                "offsets": [tuple(encoded["offset_mapping"][at][i]) for i in here],
            }
        )
    return windows


def plain_labels(tokenizer, row, windows):
    """The tokens that overlap the first reference, in the windows that hold all of them; None in the others."""
    if not row["answers"]["text"]:
        return [None] * len(windows)
    start = row["answers"]["answer_start"][0]
    end = start + len(row["answers"]["text"][0])
    whole = tokenizer(row["context"], add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    all_of_it = len(overlapping(whole, start, end))
    found = [overlapping(window["offsets"], start, end) for window in windows]
    return [(here[0], here[-1]) if here and len(here) == all_of_it else None for here in found]


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
    pairs = zip(labels.first.tolist(), labels.last.tolist(), strict=True)
    return [None if pair == (NO_LABEL, NO_LABEL) else pair for pair in pairs]


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
