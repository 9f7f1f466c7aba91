"""Windows, offsets and labels against the tokenizers' own pair calls and plain loops; then one test per pitfall."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.errors import FeatureError
from qa.features import windows as cutting
from qa.features.labels import build_labels
from qa.features.round_trip import label_round_trip
from qa.features.windows import Encoder, build_features, features_of_texts, lay_windows
from tests.support import tiny
from tests.support.windows import (
    LONG,
    TEXTS,
    config,
    our_labels,
    our_windows,
    plain_windows,
    same_features,
    windows_by_example,
)


def odd_rows():
    return [tiny.example("Which number has word7, Orléans or 333?", text) for text in [*TEXTS, LONG, LONG[::-1]]]


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize(("max_length", "doc_stride"), [(48, 0), (48, 7), (64, 20), (384, 128)])
def test_windows_are_those_of_the_tokenizers_own_pair_call(family, max_length, doc_stride):
    tokenizer = tiny.fresh_tokenizer(family)
    rows = [*odd_rows(), *tiny.sample_rows("validation")[::40]]
    rows = [row for row in rows if len(tokenizer(row["question"], add_special_tokens=False).input_ids) <= 22]
    features = build_features(tiny.examples(*rows), tokenizer, config(max_length, doc_stride, min(64, max_length - 5)))
    assert len(rows) > 10
    for row, windows in zip(rows, windows_by_example(features), strict=True):
        assert windows == plain_windows(tokenizer, row, max_length=max_length, doc_stride=doc_stride)
    assert features.lengths.tolist() == [len(window["ids"]) for window in our_windows(features)]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_texts_in_memory_become_the_features_of_a_table(family):
    rows = [*odd_rows(), *odd_rows()[:2], *tiny.sample_rows("validation")[:10]]
    tokenizer, settings = tiny.fresh_tokenizer(family), config(64, 20, 24)
    questions, contexts = ([row[name] for row in rows] for name in ("question", "context"))
    found = features_of_texts(questions, contexts, Encoder.of(tokenizer), settings)
    assert same_features(found, build_features(tiny.examples(*rows), tokenizer, settings))
    assert len(found.context_ids) < len(rows)


@pytest.mark.parametrize("most", [1, 700])
def test_long_contexts_are_tokenised_some_at_a_time(most, monkeypatch):
    """Encodings of a thousand books at once would take all memory."""
    settings, encoder, taken = config(64, 20, 24), Encoder.of(tiny.tokenizer()), []
    questions, contexts = ([row[name] for row in odd_rows()] for name in ("question", "context"))
    wanted, cover = features_of_texts(questions, contexts, encoder, settings), cutting.cover_texts

    def covered(texts, reported):
        taken.append(texts)
        return cover(texts, reported)

    monkeypatch.setattr(cutting, "cover_texts", covered)
    monkeypatch.setattr(cutting, "CHARACTERS_AT_ONCE", most)
    assert same_features(features_of_texts(questions, contexts, encoder, settings), wanted)
    assert [text for texts in taken for text in texts] == [*dict.fromkeys(contexts)]
    assert all(len(texts) == 1 or sum(map(len, texts)) <= most for texts in taken)
    assert any(len(texts) > 1 for texts in taken) == (most > 1)


def plain_layout_of_windows(length, room, doc_stride):
    step = room - (doc_stride if doc_stride < room else room // 2)
    first, found = 0, []
    while True:
        found.append((first, min(room, length - first)))
        if first + room >= length:
            return found
        first += step


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 70)), min_size=1, max_size=5), st.integers(0, 80))
def test_windows_cover_every_context_with_the_stride_that_fits(sizes, doc_stride):
    lengths, rooms = (np.array(column) for column in zip(*sizes, strict=True))
    example, first, size = lay_windows(lengths, rooms, doc_stride)
    wanted = [(at, *window) for at, pair in enumerate(sizes) for window in plain_layout_of_windows(*pair, doc_stride)]
    assert list(zip(example.tolist(), first.tolist(), size.tolist(), strict=True)) == wanted


def test_a_question_longer_than_the_window_is_capped_and_never_raises():
    tokenizer, question = tiny.tokenizer(), "why " * 1000
    examples = tiny.examples(tiny.example(question, LONG, "word9"), tiny.example("why " * 65, LONG, "word9"))
    for longest in (64, 30):
        features = build_features(examples, tokenizer, config(max_question_length=longest))
        kept = tokenizer(question, add_special_tokens=False).input_ids[:longest]
        assert [features.question_ids[row].tolist() for row in (0, 1)] == [kept, kept]
        assert features.row(0)[0].tolist()[1 : longest + 1] == kept
        assert features.lengths.max() <= 384
        assert label_round_trip(features, build_labels(examples, features), examples).rate == 100.0


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_stride_that_leaves_no_room_is_clamped_by_row(family):
    tokenizer = tiny.tokenizer(family)
    long_question = tiny.example("why " * 80, LONG)
    short_question = tiny.example("why?", LONG)
    features = build_features(tiny.examples(long_question, short_question), tokenizer, config(80, 60, 64))
    long_one, short_one = windows_by_example(features)
    assert len(long_one) <= 2 * len(features.context_ids[0]) / len(long_one[0]["context"]) + 1
    assert {offset for window in long_one for offset in window["offsets"]} == {
        offset for window in short_one for offset in window["offsets"]
    }
    assert short_one == plain_windows(tiny.fresh_tokenizer(family), short_question, max_length=80, doc_stride=60)


def test_a_window_without_room_for_context_is_refused():
    with pytest.raises(FeatureError, match=r"max-length 64 leaves -3 tokens .* question of 64 and 3 special"):
        build_features(tiny.small(), tiny.tokenizer(), config(64, 16, 64))
    smallest = build_features(tiny.small(), tiny.tokenizer(), config(68, 16, 64))
    assert smallest.size.min() >= 1


@pytest.mark.parametrize("context", ["", "\u200b\u200b\x00\x01", " \n "])
def test_a_context_without_tokens_gives_one_window_without_context(context):
    rows = [tiny.example("Who?", "before"), tiny.example("Who?", context), tiny.example("Who?", "after", "after")]
    examples = tiny.examples(*rows)
    features = build_features(examples, tiny.tokenizer(), config())
    assert features.example.tolist() == [0, 1, 2]
    assert features.size[1] == 0
    assert our_labels(build_labels(examples, features))[1:] == [None, (0, 0)]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_context_of_100000_characters(family):
    context = "abc def " * 12_500 + "end."
    examples = tiny.examples(tiny.example("Who?", context, ("end.", 100_000)))
    features = build_features(examples, tiny.tokenizer(family), config())
    assert features.first[-1] + features.size[-1] == len(features.context_ids[0])
    assert label_round_trip(features, build_labels(examples, features), examples).exact >= (
        family not in {"modernbert", "deberta-v2"}
    )
    assert our_labels(build_labels(examples, features)).count(None) in (len(features) - 1, len(features) - 2)


def test_truncation_and_padding_that_the_tokenizer_was_left_with_do_not_count():
    tokenizer = tiny.fresh_tokenizer()
    tokenizer(["a b c d e f"], truncation=True, max_length=4, padding="max_length")
    assert tokenizer.backend_tokenizer.truncation is not None
    assert same_features(
        build_features(tiny.small(), tokenizer, config()), build_features(tiny.small(), tiny.tokenizer(), config())
    )
    assert tokenizer.backend_tokenizer.truncation is not None


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("split", [False, True])
def test_special_tokens_in_a_text_are_text_whatever_the_tokenizer_says(family, split):
    """Else a text could fake the border of question and context."""
    tokenizer = tiny.fresh_tokenizer(family)
    tokenizer.split_special_tokens = split
    row = tiny.example("Who [CLS] </s> <sep>?", "a [SEP] b </s> <s> [PAD] <cls> <sep> c")
    features = build_features(tiny.examples(row), tokenizer, config())
    unknown = {tokenizer.unk_token_id}
    special = set(tokenizer.all_special_ids) - unknown
    assert not special & {*features.context_ids[0].tolist(), *features.question_ids[0].tolist()}
    assert our_windows(features) == plain_windows(tokenizer, row, max_length=384, doc_stride=128)


def test_a_context_that_several_questions_share_is_kept_once():
    examples = tiny.examples(*(tiny.example(f"q{n}", f"context {n % 2}", f"{n % 2}") for n in range(6)))
    features = build_features(examples, tiny.tokenizer(), config())
    assert len(features.context_ids) == 2
    assert features.context_of.tolist() == [0, 1] * 3
    assert label_round_trip(features, build_labels(examples, features), examples).exact == 6
