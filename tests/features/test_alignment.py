"""Windows and tokens of another tokenizer over the same characters, against loops over all tokens."""

from dataclasses import replace

import numpy as np
import pytest

from qa.features.alignment import tokens_at_borders, windows_of_the_same_characters, windows_of_the_same_tokens
from qa.features.windows import NO_TOKEN, build_features
from tests.support import tiny
from tests.support.windows import LONG, TEXTS, config, overlapping

PAIRS = [("bert", "roberta"), ("roberta", "bert"), ("deberta-v2", "modernbert"), ("xlnet", "bert"), ("bert", "xlnet")]


def rows():
    texts = [*(text for text in TEXTS), LONG, "  \n ", ""]
    return tiny.examples(*(tiny.example("Who is it?", text, id=f"q{at}") for at, text in enumerate(texts)))


def built(family, *sizes):
    return build_features(rows(), tiny.tokenizer(family), config(*sizes))


def offsets(features, context):
    begin, end = features.context_ids.bounds[context : context + 2]
    return list(zip(features.token_start[begin:end].tolist(), features.token_end[begin:end].tolist(), strict=True))


@pytest.mark.parametrize(("family", "other"), PAIRS)
def test_a_window_has_the_other_tokens_that_overlap_its_characters(family, other):
    features, others = built(family, 48, 12, 16), built(other, 48, 12, 16)
    windows = windows_of_the_same_characters(features, others)
    assert len(windows) == len(features) > len(rows())
    assert (windows.example == features.example).all()
    assert windows.template == others.template
    for at in range(len(features)):
        context = features.context_of[features.example[at]]
        first, size = int(features.first[at]), int(features.size[at])
        own = offsets(features, context)[first : first + size]
        wanted = overlapping(offsets(others, context), own[0][0], own[-1][1]) if own else []
        begin = int(windows.first[at])
        assert list(range(begin, begin + int(windows.size[at]))) == wanted, at


@pytest.mark.parametrize(("family", "other"), PAIRS)
def test_a_token_begins_and_ends_in_the_tokens_that_hold_its_borders(family, other):
    features, others = built(family, 48, 12, 16), built(other, 48, 12, 16)
    starts, ends = tokens_at_borders(features, others)
    at = 0
    for context in range(len(others.context_ids)):
        own = offsets(features, context)
        for begin, end in offsets(others, context):
            here = overlapping(own, begin, end) if begin < end else []
            assert (starts[at], ends[at]) == ((here[0], here[-1]) if here else (NO_TOKEN, NO_TOKEN))
            at += 1
    assert at == len(starts) == len(ends)
    assert (np.diff(starts[starts != NO_TOKEN]) < 0).any()  # several contexts: the count begins anew


def test_the_same_tokenizer_keeps_the_tokens_and_another_way_to_join_them():
    features = built("bert", 48, 12, 16)
    last = features.template.question_first().null_last(3)
    windows = windows_of_the_same_tokens(features, last)
    assert (windows.first == features.first).all()
    assert (windows.size == features.size).all()
    assert windows.template == last


def test_rows_of_a_model_that_sees_padding_are_as_long_as_its_longest_window():
    features, others = built("bert", 48, 12, 16), built("roberta", 48, 12, 16)
    assert windows_of_the_same_characters(features, others).padded_to is None
    for padded, wanted in ((48, None), (4096, 4096)):
        windows = windows_of_the_same_characters(features, replace(others, padded_to=padded))
        longest = int(windows.lengths.max())
        assert longest > 48
        assert windows.padded_to == (wanted or longest)
