"""Windows, offsets and labels against the tokenizers' own pair calls and plain loops; then one test per pitfall."""

import dataclasses
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import CanineTokenizer

import qa.features
from qa import feature_store
from qa.errors import FeatureError, TokenizerError
from qa.feature_store import cached_features, load_features, save_features
from qa.features import _windows, build_features
from qa.labels import answer_tokens
from qa.layout import find_layout
from qa.round_trip import label_round_trip
from tests.support import tiny
from tests.support.windows import (
    config,
    notebook_label,
    our_labels,
    our_windows,
    plain_labels,
    plain_windows,
    windows_by_example,
)

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


def odd_rows():
    return [tiny.example("Which number has word7, Orléans or 333?", text) for text in [*TEXTS, LONG, LONG[::-1]]]


# --- Against the oracle ---


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


PIECES = st.sampled_from(
    [" ", "  ", "\n", "é", "e\u0301", "🙂", "👩\u200d👧", "🇫🇷", "東京", "ﬁ", "½", "\u200b", "\x00", "[SEP]", "İ"]
)
CONTEXTS = st.lists(PIECES | st.text(max_size=4) | st.sampled_from(LONG.split()), min_size=1, max_size=40).map("".join)


@st.composite
def contexts_with_an_answer(draw):
    context = draw(CONTEXTS.filter(bool))
    start = draw(st.integers(0, len(context) - 1))
    end = draw(st.integers(start + 1, min(len(context), start + 30)))
    return context, (context[start:end], start)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@settings(deadline=None, max_examples=60)
@given(contexts_with_an_answer(), st.sampled_from([(24, 0), (24, 5), (128, 30)]))
@with_example(("🙂", ("🙂", 0)), (24, 5))
@with_example(("a 👩\u200d👧 b", ("👩\u200d👧", 2)), (24, 0))
def test_windows_and_labels_equal_the_loop_on_any_text(family, text, sizes):
    tokenizer = tiny.fresh_tokenizer(family)
    row = tiny.example("Who is it?", text[0], text[1])
    max_length, doc_stride = sizes
    features = build_features(tiny.examples(row), tokenizer, config(max_length, doc_stride, 13))
    windows = plain_windows(tokenizer, row, max_length=max_length, doc_stride=doc_stride)
    assert our_windows(features) == windows
    assert our_labels(features) == plain_labels(tokenizer, row, windows)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_labels_of_the_embedded_set_equal_the_loop_and_translate_back_to_every_reference(family):
    rows, tokenizer = tiny.sample_rows("validation"), tiny.tokenizer(family)
    examples = tiny.examples(*rows)
    features = build_features(examples, tokenizer, config(128, 32, 48))
    windows, labels = our_windows(features), our_labels(features)
    wanted = [plain_labels(tokenizer, row, here) for row, here in zip(rows, windows_by_example(features), strict=True)]
    assert labels == [label for of_row in wanted for label in of_row]
    trip = label_round_trip(features, examples)
    assert trip.labelled == sum(label is not None for label in labels)
    assert (trip.exact + trip.wider, trip.unlabelled_examples, trip.rate) == (trip.labelled, 0, 100.0)
    assert len(windows) > len(rows)


def test_labels_are_those_of_the_published_notebook_where_no_character_is_cut():
    rows, tokenizer = tiny.sample_rows("train"), tiny.tokenizer("bert")
    features = build_features(tiny.examples(*rows), tokenizer, config(128, 32, 48))
    labels = our_labels(features)
    for index, window in enumerate(our_windows(features)):
        answers = rows[features.example[index]]["answers"]
        if answers["text"]:
            start = answers["answer_start"][0]
            assert labels[index] == notebook_label(window["offsets"], start, start + len(answers["text"][0]))
        else:
            assert labels[index] is None


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
    example, first, size = _windows(lengths, rooms, doc_stride)
    wanted = [(at, *window) for at, pair in enumerate(sizes) for window in plain_layout_of_windows(*pair, doc_stride)]
    assert list(zip(example.tolist(), first.tolist(), size.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_null_position_is_cls_and_left_padding_puts_the_context_first(family):
    tokenizer = tiny.tokenizer(family)
    layout = find_layout(tokenizer)
    ids, _, begin = build_features(tiny.small(1), tokenizer, config()).row(0)
    assert ids[layout.null_position] == tokenizer.cls_token_id
    assert layout.null_position == (-1 if family == "xlnet" else 0)
    assert layout.context_first == layout.pad_left == (family == "xlnet")
    assert (begin == 0) == (family == "xlnet")


# --- Questions and strides that do not fit ---


def test_a_question_longer_than_the_window_is_capped_and_never_raises():
    tokenizer, question = tiny.tokenizer(), "why " * 1000
    examples = tiny.examples(tiny.example(question, LONG, "word9"), tiny.example("why " * 65, LONG, "word9"))
    for longest in (64, 30):
        features = build_features(examples, tokenizer, config(max_question_length=longest))
        kept = tokenizer(question, add_special_tokens=False).input_ids[:longest]
        assert [features.question_ids[row].tolist() for row in (0, 1)] == [kept, kept]
        assert features.row(0)[0].tolist()[1 : longest + 1] == kept
        assert features.lengths.max() <= 384
        assert label_round_trip(features, examples).rate == 100.0


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


# --- Contexts and answers that stumble loops ---


@pytest.mark.parametrize("context", ["", "\u200b\u200b\x00\x01", " \n "])
def test_a_context_without_tokens_gives_one_window_without_context(context):
    rows = [tiny.example("Who?", "before"), tiny.example("Who?", context), tiny.example("Who?", "after", "after")]
    features = build_features(tiny.examples(*rows), tiny.tokenizer(), config())
    assert features.example.tolist() == [0, 1, 2]
    assert features.size[1] == 0
    assert our_labels(features)[1:] == [None, (0, 0)]


def test_no_context_has_any_token():
    examples = tiny.examples(tiny.example("Who?", "\u200b", "\u200b"))
    features = build_features(examples, tiny.tokenizer(), config())
    assert our_labels(features) == [None]
    assert label_round_trip(features, examples).unlabelled_examples == 1


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_context_of_100000_characters(family):
    context = "abc def " * 12_500 + "end."
    row = tiny.example("Who?", context, ("end.", 100_000))
    features = build_features(tiny.examples(row), tiny.tokenizer(family), config())
    assert features.first[-1] + features.size[-1] == len(features.context_ids[0])
    assert label_round_trip(features, tiny.examples(row)).exact >= (family not in {"modernbert", "deberta-v2"})
    assert our_labels(features).count(None) in (len(features) - 1, len(features) - 2)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_answers_at_both_ends_of_a_context(family):
    context = "Nantes lies on the Loire"
    rows = [
        tiny.example("q", context, "Nantes"),
        tiny.example("q", context, "Loire"),
        tiny.example("q", context, context),
    ]
    features = build_features(tiny.examples(*rows), tiny.tokenizer(family), config())
    last = len(features.context_ids[0]) - 1
    labels = our_labels(features)
    assert [labels[0][0], labels[1][1], labels[2]] == [0, last, (0, last)]


def test_an_answer_that_no_window_holds_is_the_null_position_everywhere_and_counted():
    examples = tiny.examples(tiny.example("q", LONG, LONG))
    features = build_features(examples, tiny.tokenizer(), config(64, 20, 32))
    assert set(our_labels(features)) == {None}
    trip = label_round_trip(features, examples)
    assert (trip.labelled, trip.unlabelled_examples, trip.rate) == (0, 1, 100.0)


def test_without_references_nothing_is_labelled():
    rows = tiny.without_references(tiny.small())
    features = build_features(rows, tiny.tokenizer(), config())
    assert set(our_labels(features)) == {None}
    assert label_round_trip(features, rows).unlabelled_examples == 0


def test_only_the_first_reference_is_the_label():
    row = tiny.example("q", "one two three", "two", "three", "one")
    features = build_features(tiny.examples(row), tiny.tokenizer(), config())
    start, end = features.char_spans(np.array([0]), features.label_first, features.label_last)
    assert row["context"][start[0] : end[0]] == "two"


def test_round_trip_tells_exact_labels_from_wider_ones():
    rows = [tiny.example("q", "the Loire flows", "Loire"), tiny.example("q", "the Loire flows", "oir")]
    examples = tiny.examples(*rows)
    trip = label_round_trip(build_features(examples, tiny.tokenizer(), config()), examples)
    assert (trip.labelled, trip.exact, trip.wider, trip.rate) == (2, 1, 1, 100.0)
    assert [reference for reference, _ in trip.exceptions] == ["oir"]
    assert all(reference in decoded for reference, decoded in trip.exceptions)


def test_a_label_that_is_neither_exact_nor_wider_lowers_the_rate():
    examples = tiny.examples(tiny.example("q", "the Loire flows", "Loire"))
    features = build_features(examples, tiny.tokenizer(), config())
    moved = dataclasses.replace(features, label_first=features.label_first * 0, label_last=features.label_last * 0)
    trip = label_round_trip(moved, examples)
    assert (trip.labelled, trip.rate, trip.exceptions) == (1, 0.0, (("Loire", "the"),))


def test_rows_that_were_selected_or_shuffled_keep_their_labels():
    rows = tiny.sample("validation").shuffle(seed=1).select(range(5, 40))
    features = build_features(rows, tiny.tokenizer(), config())
    assert same_features(features, build_features(tiny.examples(*rows), tiny.tokenizer(), config()))
    assert label_round_trip(features, rows).rate == 100.0


def test_labels_are_right_where_all_characters_together_are_more_than_32_bits_count():
    table = tiny.examples(*(tiny.example("q", "x" * 9, ("xx", 2)) for _ in range(4))).with_format("arrow")[:]
    start = np.array([0, 2_000_000_000] * 4, dtype=np.int32)
    first, last = answer_tokens(
        table, np.arange(4, dtype=np.int32), np.arange(0, 10, 2), start, start + np.array([9, 1] * 4, dtype=np.int32)
    )
    assert (first.tolist(), last.tolist()) == ([0] * 4, [0] * 4)


# --- Tokenizers ---


def test_a_slow_tokenizer_is_refused_by_name():
    with pytest.raises(TokenizerError, match=r"CanineTokenizer .* is not fast"):
        build_features(tiny.small(), CanineTokenizer(), config())


def test_a_tokenizer_that_drops_a_text_is_refused():
    tokenizer = tiny.fresh_tokenizer("modernbert")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$B:1 $A", special_tokens=[])
    with pytest.raises(TokenizerError, match="does not join two words to the first and then the second"):
        build_features(tiny.small(), tokenizer, config())


def test_truncation_and_padding_that_the_tokenizer_was_left_with_do_not_count():
    tokenizer = tiny.fresh_tokenizer()
    tokenizer(["a b c d e f"], truncation=True, max_length=4, padding="max_length")
    assert tokenizer.backend_tokenizer.truncation is not None
    assert same_features(
        build_features(tiny.small(), tokenizer, config()), build_features(tiny.small(), tiny.tokenizer(), config())
    )
    assert tokenizer.backend_tokenizer.truncation is not None


@pytest.mark.parametrize("split", [False, True])
def test_special_tokens_in_a_text_are_split_where_the_tokenizer_says_so(split):
    tokenizer = tiny.fresh_tokenizer()
    tokenizer.split_special_tokens = split
    row = tiny.example("Who [CLS]?", "a [SEP] b [PAD] c")
    features = build_features(tiny.examples(row), tokenizer, config())
    assert (tokenizer.sep_token_id in features.context_ids[0]) == (not split)
    assert our_windows(features) == plain_windows(tokenizer, row, max_length=384, doc_stride=128)


def test_a_context_that_several_questions_share_is_encoded_once(monkeypatch):
    seen, encode = [], qa.features._encode
    monkeypatch.setattr(
        "qa.features._encode", lambda backend, texts: seen.extend(texts.to_pylist()) or encode(backend, texts)
    )
    rows = [tiny.example(f"q{n}", f"context {n % 2}", f"{n % 2}") for n in range(6)]
    features = build_features(tiny.examples(*rows), tiny.tokenizer(), config())
    assert sorted(text for text in seen if text.startswith("context")) == ["context 0", "context 1"]
    assert features.context_of.tolist() == [0, 1] * 3
    assert label_round_trip(features, tiny.examples(*rows)).exact == 6


# --- Arrow files ---


def same_features(ours, theirs):
    columns = ("context_of", "token_start", "token_end", "example", "first", "size", "label_first", "label_last")
    ragged = [(getattr(ours, name), getattr(theirs, name)) for name in ("question_ids", "context_ids")]
    pairs = [(getattr(ours, name), getattr(theirs, name)) for name in columns]
    pairs += [(getattr(a, part), getattr(b, part)) for a, b in ragged for part in ("values", "bounds")]
    return ours.layout == theirs.layout and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_features_loaded_from_arrow_equal_those_that_were_built(family, tmp_path):
    features = build_features(tiny.sample("validation"), tiny.tokenizer(family), config(128, 32, 48))
    save_features(features, tmp_path)
    loaded = load_features(tmp_path)
    assert same_features(features, loaded)
    assert our_windows(loaded) == our_windows(features)
    assert not loaded.token_start.flags.owndata  # mapped, not copied


@pytest.fixture
def builds(monkeypatch):
    """Every call of the builder."""
    calls, build = [], feature_store.features_of_table
    monkeypatch.setattr(feature_store, "features_of_table", lambda *args: calls.append(args) or build(*args))
    return calls


def test_the_second_call_does_not_tokenise_again(builds, tmp_path):
    def features(tokenizer):
        return cached_features(tiny.small(), tokenizer, config(cache_dir=tmp_path), fingerprint="x")

    first = features(tiny.tokenizer())
    used = tiny.fresh_tokenizer()
    used("a b c", truncation=True, max_length=3)  # leaves truncation switched on
    assert same_features(features(used), first)
    assert len(builds) == 1
    assert same_features(first, build_features(tiny.small(), tiny.tokenizer(), config()))


def test_the_cache_key_covers_tokenizer_settings_and_data(builds, tmp_path):
    splitting, left = tiny.fresh_tokenizer(), tiny.fresh_tokenizer()
    splitting.split_special_tokens = True
    left.padding_side = "left"
    extended = tiny.fresh_tokenizer()
    extended.add_tokens("Loire")
    base = tiny.tokenizer(), config(cache_dir=tmp_path), "data"
    variants = [
        base,
        *[(tokenizer, *base[1:]) for tokenizer in (tiny.tokenizer("roberta"), splitting, left, extended)],
        *[
            (base[0], config(*sizes, cache_dir=tmp_path), "data")
            for sizes in ((300, 128, 64), (384, 100, 64), (384, 128, 60))
        ],
        (*base[:2], "other data"),
    ]
    for tokenizer, settings_, fingerprint in variants * 2:
        cached_features(tiny.small(), tokenizer, settings_, fingerprint=fingerprint)
    assert len(builds) == len(variants)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == len(variants)


def build_in(folder, barrier=None):
    if barrier is not None:
        barrier.wait()
    return len(cached_features(tiny.small(), tiny.tokenizer(), config(cache_dir=folder), fingerprint="x"))


def test_threads_that_build_at_once_build_once(builds, tmp_path):
    tiny.tokenizer()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(build_in, [tmp_path] * 8)) == {6}
    assert len(builds) == 1


@pytest.mark.processes
def test_processes_that_build_at_once_leave_one_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    other = context.Process(target=build_in, args=(tmp_path, barrier))
    other.start()
    assert build_in(tmp_path, barrier) == 6
    other.join()
    assert other.exitcode == 0
    assert len([path for path in tmp_path.iterdir() if path.suffix != ".lock"]) == 1


def test_a_build_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(feature_store, "save_features", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build_in(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    assert build_in(tmp_path) == 6
