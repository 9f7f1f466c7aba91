"""Texts of all scripts, with every tokenizer: no hole, no cut character, text stays text, labels translate back.

`python -m tests.benchmarks.unicode_fuzz` does the same with a million texts.
"""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from qa.features.windows import features_of_table
from tests.support import promises, tokenizers, unicode_texts

TEXTS = 150


def texts(seed, count):
    return promises.Texts.of(unicode_texts.rows(random.Random(seed), count))


@pytest.mark.parametrize("family", tokenizers.FAMILIES)
def test_texts_of_all_scripts_keep_the_promises_of_offsets_labels_and_answers(family):
    trip = promises.check(tokenizers.tokenizer(family), texts(3, TEXTS), seed=3)
    assert trip.labelled > TEXTS / 4


def test_the_texts_are_of_all_of_unicode():
    letters = {character for block in unicode_texts.BLOCKS for character in block}
    assert len(letters) > 140_000
    chance = random.Random(0)
    drawn = "".join(unicode_texts.text(chance) for _ in range(4000))
    assert len({ord(character) // 128 for character in drawn}) > 0.95 * len(unicode_texts.BLOCKS)


# --- that the check finds what it looks for ---


@pytest.mark.parametrize("damage", [0, 1, 2, 3])
@pytest.mark.parametrize("family", ["bert", "robbert"])
def test_broken_offsets_are_those_that_the_loops_find(family, damage):
    found = texts(damage, 60)
    features = features_of_table(found.table, promises.encoder_of(tokenizers.tokenizer(family)), promises.WINDOWS)
    chance = np.random.default_rng(damage)
    moved = [column + _moves(chance, len(column), damage) for column in (features.token_start, features.token_end)]
    damaged = replace(features, token_start=np.maximum(moved[0], 0), token_end=np.maximum(moved[1], moved[0]))
    faults = promises.offset_faults(damaged, found)
    assert faults == _plainly(damaged, found)
    assert bool(faults) == bool(damage)


def _moves(chance, count, damage):
    return np.where(chance.random(count) < 0.02 * damage, chance.integers(-2, 3, count), 0).astype(np.int32)


def _plainly(features, found):
    offsets = features.token_start.tolist(), features.token_end.tolist()
    bounds = itertools.pairwise(features.context_ids.bounds.tolist())
    by_row = [
        promises.plain_faults(*(column[begin:end] for column in offsets), row)
        for (begin, end), row in zip(bounds, found.rows, strict=True)
    ]
    faults = sorted((at, kind) for at, kinds in enumerate(by_row) for kind in kinds)
    outside = [fault for fault in faults if fault[1] == "outside of the text"]
    return outside or faults


def test_an_answer_that_cuts_a_character_is_found():
    found = promises.Texts.of([unicode_texts.Row("Who?", "e\u0301 x", "x", 3, [0, 2, 3, 4])])
    features = features_of_table(found.table, promises.encoder_of(tokenizers.tokenizer("bert")), promises.WINDOWS)
    answers = promises.answers(features, found, 0)
    promises.check_answers(answers, found)
    at = answers.text.index("e\u0301")
    cut = replace(
        answers,
        text=[*answers.text[:at], "e", *answers.text[at + 1 :]],
        end=np.where(np.arange(len(answers.end)) == at, 1, answers.end),
    )
    with pytest.raises(AssertionError):
        promises.check_answers(cut, found)
