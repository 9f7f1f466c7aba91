"""Texts of all scripts, with every tokenizer: no hole, no cut character, text stays text, labels translate back.

`python -m tests.benchmarks.unicode_fuzz` does the same with a million texts.
"""

import random

import pytest

from tests.support import tokenizers, unicode_texts

TEXTS = 150


@pytest.mark.parametrize("family", tokenizers.FAMILIES)
def test_texts_of_all_scripts_keep_the_promises_of_offsets_labels_and_answers(family):
    rows = unicode_texts.rows(random.Random(3), TEXTS)
    trip = unicode_texts.check(tokenizers.tokenizer(family), rows, seed=3)
    assert trip.labelled > TEXTS / 4


def test_the_texts_are_of_all_of_unicode():
    letters = {character for block in unicode_texts.BLOCKS for character in block}
    assert len(letters) > 140_000
    chance = random.Random(0)
    drawn = "".join(unicode_texts.text(chance) for _ in range(4000))
    assert len({ord(character) // 128 for character in drawn}) > 0.95 * len(unicode_texts.BLOCKS)
