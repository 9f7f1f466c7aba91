"""Predictions against a loop over examples and against the published post-processing; then one test per pitfall."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.config import DecodingConfig
from qa.decoding.kept import NO_SPAN, FeatureSpans
from qa.decoding.predictions import Predictions
from qa.decoding.search import best_spans, hf_parity_spans, null_logits
from qa.features.collation import collate
from qa.features.labels import build_labels
from qa.features.pair_template import PairTemplate
from qa.features.windows import Features, Ragged, build_features
from qa.metrics import exact_match
from tests.support import tiny, tokenizers
from tests.support.windows import config

# --- Features and spans by hand ---


TEMPLATE = PairTemplate(
    before=(2,),
    between=(3,),
    after=(3,),
    before_types=(0,),
    first_type=0,
    between_types=(0,),
    second_type=1,
    after_types=(1,),
    context_first=False,
    null_position=0,
    pad_id=0,
    pad_type=0,
    pad_left=False,
)


def hand_made(contexts):
    """Features of contexts: (offsets of the tokens, windows as (first, size)) of each example."""
    windows = [(example, *window) for example, (_, cut) in enumerate(contexts) for window in cut]
    example, first, size = (np.array(column, dtype=np.int32) for column in zip(*windows, strict=True))
    flat = np.array([pair for offsets, _ in contexts for pair in offsets], dtype=np.int32).reshape(-1, 2)
    return Features(
        template=TEMPLATE,
        question_ids=Ragged.of([[7]] * len(contexts)),
        context_of=np.arange(len(contexts), dtype=np.int32),
        context_ids=Ragged.of([[9] * len(offsets) for offsets, _ in contexts]),
        token_start=flat[:, 0],
        token_end=flat[:, 1],
        example=example,
        first=first,
        size=size,
    )


def spans_of(rows, nulls, k=3):
    """Spans of features 0, 1, …: candidates (first, last, start logit, end logit) and the null logits of each."""
    filled = [[*row, *[(NO_SPAN, NO_SPAN, -np.inf, -np.inf)] * (k - len(row))] for row in rows]
    columns = np.array(filled, dtype=np.float32).reshape(len(rows), k, 4)
    return FeatureSpans(
        feature=np.arange(len(rows)),
        first=columns[..., 0].astype(np.int32),
        last=columns[..., 1].astype(np.int32),
        start_logit=columns[..., 2],
        end_logit=columns[..., 3],
        null_logits=np.array(nulls, dtype=np.float32),
    )


def predict(spans, features, *, ids, contexts, n_best, null_possible, merge=True):
    config = DecodingConfig(n_best=n_best, search="exact" if merge else "hf_parity")
    return Predictions.from_spans(
        spans, features, ids=ids, contexts=contexts, config=config, null_possible=null_possible
    )


def words(text, windows=None):
    """Offsets of the words and of the spaces between them, and the windows: by default one."""
    offsets, at = [], 0
    for piece in text.replace(" ", "| |").split("|"):
        offsets.append((at, at + len(piece)))
        at += len(piece)
    return offsets, windows or [(0, len(offsets))]


def answered(text, rows, nulls=None, windows=None, **settings_):
    """Predictions for one context of words and spaces."""
    options = {"n_best": 20, "null_possible": True} | settings_
    spans = spans_of(rows, nulls or [(0.0, 0.0)] * len(rows))
    return predict(spans, hand_made([words(text, windows)]), ids=["q"], contexts=[text], **options)


def records(predictions):
    return [(row["text"], row["start_logit"] + row["end_logit"]) for row in predictions.n_best()["q"]]


# --- The oracle ---


def plain_predict(spans, features, contexts, *, n_best, null_possible, merge):
    """One example after the other, candidate by candidate."""
    return [
        plain_example(
            plain_candidates(spans, features, example, context, merge=merge),
            plain_null(spans, features, example),
            n_best=n_best,
            null_possible=null_possible,
        )
        for example, context in enumerate(contexts)
    ]


def plain_candidates(spans, features, example, context, *, merge):
    """Answers as (score, start, end), in any order."""
    origin = features.context_ids.bounds[example]
    found = []
    for row, feature in enumerate(spans.feature):
        for at in range(spans.first.shape[1]):
            if features.example[feature] == example and spans.first[row, at] != NO_SPAN:
                start = int(features.token_start[origin + features.first[feature] + spans.first[row, at]])
                end = int(features.token_end[origin + features.first[feature] + spans.last[row, at]])
                found.append((spans.start_logit[row, at] + spans.end_logit[row, at], start, end))
    return plain_merge(found, context) if merge else found


def plain_merge(found, context):
    best = {}
    for score, start, end in found:
        inside = [at for at in range(start, end) if not context[at].isspace()]
        if inside:
            span = inside[0], inside[-1] + 1
            best[span] = max(score, best.get(span, score))
    return [(score, start, end) for (start, end), score in best.items()]


def plain_null(spans, features, example):
    rows = [row for row, feature in enumerate(spans.feature) if features.example[feature] == example]
    return min(spans.null_logits[row, 0] + spans.null_logits[row, 1] for row in rows)


def plain_example(candidates, null, *, n_best, null_possible):
    ranked = sorted(candidates, key=lambda found: (-found[0], *found[1:]))
    kept = []
    for found in ranked:
        places = len(kept) + 1 + (null_possible and null > found[0])
        if places <= n_best or not kept:
            kept.append(found)
    weights = [np.exp(np.float64(score) - 100) for score, _, _ in kept]
    null_weight = np.exp(np.float64(null) - 100) if null_possible else 0.0
    total = sum(weights) + null_weight
    return {
        "answers": kept,
        "null": null,
        "probabilities": [weight / total for weight in weights],
        "null_probability": null_weight / total if total else 0.0,
        "odds": null - kept[0][0] if kept else sys.float_info.max,
    }


LOGITS = st.sampled_from([-1.0, 0.0, 0.5, 1.0]) | st.floats(-20, 20, width=32)
TEXT = st.text(alphabet="ab \n\u2003é🙂", min_size=1, max_size=12)


@st.composite
def offsets_of(draw, context):
    """Tokens in ascending order; some cover nothing, some characters have none or two."""
    at, offsets = 0, []
    while at < len(context):
        end = min(at + draw(st.integers(0, 3)), len(context))
        offsets.append((at, end))
        at = end if draw(st.booleans()) else max(end, at + 1)
    return offsets


@st.composite
def problems(draw):
    """Contexts, their tokens and windows, candidates of the features, and the order in which features come back."""
    contexts = draw(st.lists(TEXT, min_size=1, max_size=4))
    made = []
    for context in contexts:
        offsets = draw(offsets_of(context))
        whole, half = len(offsets), len(offsets) // 2
        made.append(
            (offsets, draw(st.sampled_from([[(0, whole)], [(0, half), (half, whole - half)], [(0, whole)] * 2])))
        )
    k, rows = draw(st.integers(1, 4)), []
    for _, size in [window for _, windows in made for window in windows]:
        pairs = [(first, last) for first in range(size) for last in range(first, size)]
        chosen = draw(st.lists(st.sampled_from(pairs), max_size=k, unique=True)) if pairs else []
        rows.append([(first, last, draw(LOGITS), draw(LOGITS)) for first, last in chosen])
    nulls = [(draw(LOGITS), draw(LOGITS)) for _ in rows]
    return contexts, made, (rows, nulls, k), draw(st.permutations(range(len(rows))))


@settings(deadline=None, max_examples=300)
@given(problems(), st.integers(1, 6), st.booleans(), st.booleans())
def test_predictions_equal_the_loop_over_examples(problem, n_best, null_possible, merge):
    contexts, made, found, order = problem
    features = hand_made(made)
    spans = FeatureSpans(**{name: column[order] for name, column in vars(spans_of(*found)).items()})
    ids = [f"q{row}" for row in range(len(contexts))]
    options = {"n_best": n_best, "null_possible": null_possible, "merge": merge}
    ours = predict(spans, features, ids=ids, contexts=contexts, **options)
    wanted = plain_predict(spans, features, contexts, **options)
    lists = ours.n_best()
    for row, (key, here) in enumerate(zip(ids, wanted, strict=True)):
        part = slice(ours.bounds[row], ours.bounds[row + 1])
        found = zip(ours.start_logit[part] + ours.end_logit[part], ours.start[part], ours.end[part], strict=True)
        assert list(found) == here["answers"]
        assert ours.probability[part].tolist() == pytest.approx(here["probabilities"], abs=1e-12)
        assert ours.null_logits[row].sum() == here["null"]
        assert ours.null_odds[row] == here["odds"]
        assert ours.null_probability[row] == pytest.approx(here["null_probability"], abs=1e-12)
        check_list(lists[key], here, contexts[row], null_possible=null_possible)
    wins = [null_possible and here["odds"] > 0.5 for here in wanted]
    best = [
        context[here["answers"][0][1] : here["answers"][0][2]] if here["answers"] else ""
        for context, here in zip(contexts, wanted, strict=True)
    ]
    assert ours.best_texts == best
    assert ours.texts(0.5) == ["" if null else text for null, text in zip(wins, best, strict=True)]


def check_list(found, wanted, context, *, null_possible):
    """The n-best list holds the answers, and "no answer" before the first that scores less."""
    rows = [(context[start:end], start, end, score) for score, start, end in wanted["answers"]]
    if null_possible:
        place = sum(score >= wanted["null"] for *_, score in rows)
        rows.insert(place, ("", None, None, wanted["null"]))
    scores = [np.float32(row["start_logit"]) + np.float32(row["end_logit"]) for row in found]
    assert [(row["text"], row["start"], row["end"]) for row in found] == [row[:3] for row in rows]
    assert scores == [row[3] for row in rows]
    assert sum(row["probability"] for row in found) == pytest.approx(1.0 if rows else 0.0)


# --- The published post-processing ---


def published_candidates(starts, ends, mapping, *, n_best_size, max_answer_length):
    """The double loop over a feature; `mapping` has the offsets, None outside the context."""
    for first in np.argsort(starts)[-1 : -n_best_size - 1 : -1].tolist():
        for last in np.argsort(ends)[-1 : -n_best_size - 1 : -1].tolist():
            if mapping[first] is None or mapping[last] is None:
                continue
            if last < first or last - first + 1 > max_answer_length:
                continue
            yield published_row((mapping[first][0], mapping[last][1]), starts[first], ends[last])


def published_row(offsets, start_logit, end_logit):
    return {"offsets": offsets, "score": start_logit + end_logit, "start_logit": start_logit, "end_logit": end_logit}


def published_n_best(prelim, min_null, context, *, n_best_size, v2):
    """One example's list with texts and probabilities."""
    if v2:
        prelim.append(min_null)
    found = sorted(prelim, key=lambda one: one["score"], reverse=True)[:n_best_size]
    if v2 and not any(one["offsets"] == (0, 0) for one in found):
        found.append(min_null)
    for one in found:
        one["text"] = context[one["offsets"][0] : one["offsets"][1]]
    assert any(one["text"] for one in found), "here the script makes up the text 'empty'"
    weights = np.exp(np.array([one["score"] for one in found]) - max(one["score"] for one in found))
    for one, weight in zip(found, weights / weights.sum(), strict=True):
        one["probability"] = weight
    return found


def published(features, offsets, contexts, start_logits, end_logits, *, n_best_size, max_answer_length, v2):
    """The method of the examples' `utils_qa.py`: texts, lists and score differences by example."""
    texts, lists, differences = {}, {}, {}
    for example, context in enumerate(contexts):
        rows, prelim = np.flatnonzero(features.example == example), []
        nulls = [published_row((0, 0), start_logits[row][0], end_logits[row][0]) for row in rows]
        for row in rows:
            prelim += published_candidates(
                start_logits[row],
                end_logits[row],
                offsets[row],
                n_best_size=n_best_size,
                max_answer_length=max_answer_length,
            )
        min_null = min(nulls, key=lambda null: null["score"])
        found = published_n_best(prelim, min_null, context, n_best_size=n_best_size, v2=v2)
        best = next(one for one in found if one["text"])
        difference = min_null["score"] - best["start_logit"] - best["end_logit"]
        texts[f"q{example}"] = "" if v2 and difference > 0 else best["text"]
        lists[f"q{example}"], differences[f"q{example}"] = found, difference
    return texts, lists, differences


def decoded(features, start_logits, end_logits, search, *, k, max_tokens):
    """Spans of all features in one batch, as evaluation makes them."""
    batch = collate(features, np.arange(len(features)), input_names=("input_ids",), pad_multiple=8)
    start, end = torch.from_numpy(start_logits), torch.from_numpy(end_logits)
    spans = search(start, end, batch.in_context, k=k, max_tokens=max_tokens)
    begin = batch.context_begin.unsqueeze(1)
    first, last = (torch.where(at == NO_SPAN, NO_SPAN, at - begin).numpy() for at in (spans.first, spans.last))
    return batch, FeatureSpans(
        feature=np.arange(len(features)),
        first=first,
        last=last,
        start_logit=spans.start_logit.numpy(),
        end_logit=spans.end_logit.numpy(),
        null_logits=null_logits(start, end, batch.null_position).numpy(),
    )


def random_logits(features, seed=0):
    rng = np.random.default_rng(seed)
    columns = -(-int(features.lengths.max()) // 8) * 8
    return rng.normal(size=(2, len(features), columns)).astype(np.float32) * 3


@pytest.mark.parametrize("v2", [False, True])
@pytest.mark.parametrize("n_best", [20, 5])
def test_parity_mode_equals_the_published_post_processing(v2, n_best):
    rows = tiny.sample_rows("validation")[:30]
    contexts = [row["context"] for row in rows]
    features = build_features(tiny.examples(*rows), tiny.tokenizer(), config(96, 24, 40))
    start, end = random_logits(features)
    start[features.example % 2 == 0, 0] += 30  # every other example is better not answered
    batch, spans = decoded(features, start, end, hf_parity_spans, k=n_best, max_tokens=30)
    offsets = []
    for feature in range(len(features)):
        size, begin = int(features.size[feature]), int(batch.context_begin[feature])
        here = zip(*features.char_spans(np.full(size, feature), np.arange(size), np.arange(size)), strict=True)
        offsets.append([None] * begin + list(here) + [None] * (start.shape[1] - begin - size))
    texts, lists, differences = published(
        features, offsets, contexts, start, end, n_best_size=n_best, max_answer_length=30, v2=v2
    )
    ids = list(texts)
    ours = predict(spans, features, ids=ids, contexts=contexts, n_best=n_best, null_possible=v2, merge=False)
    assert dict(zip(ids, ours.texts(0.0), strict=True)) == texts
    if v2:
        assert {bool(text) for text in texts.values()} == {True, False}
        assert ours.null_odds.tolist() == pytest.approx(list(differences.values()), rel=1e-5)
    for key, found in ours.n_best().items():
        wanted = lists[key]
        for name in ("text", "start_logit", "end_logit"):
            assert [row[name] for row in found] == [row[name] for row in wanted]
        probabilities = [row["probability"] for row in wanted]
        assert [row["probability"] for row in found] == pytest.approx(probabilities, rel=1e-5)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_text_is_the_substring_of_its_context_at_its_offsets(family):
    rows = [*tiny.sample_rows("validation")[:12], tiny.example("Who?", " \n 👩\u200d👧  🇫🇷 e\u0301 [SEP] \u200b.")]
    contexts = [row["context"] for row in rows]
    features = build_features(tiny.examples(*rows), tiny.tokenizer(family), config(128, 24, 40))
    start, end = random_logits(features)
    _, spans = decoded(features, start, end, best_spans, k=20, max_tokens=8)
    ids = [str(row) for row in range(len(rows))]
    ours = predict(spans, features, ids=ids, contexts=contexts, n_best=20, null_possible=True)
    for key, found in ours.n_best().items():
        answers = [row for row in found if row["start"] is not None]
        assert answers
        for row in answers:
            assert contexts[int(key)][row["start"] : row["end"]] == row["text"] == row["text"].strip() != ""
        assert len({(row["start"], row["end"]) for row in answers}) == len(answers)
        assert sum(row["probability"] for row in found) == pytest.approx(1.0)


@pytest.mark.parametrize("family", ["bert", "sentencepiece"])
@pytest.mark.parametrize("context", ["by \u200bAda\u200f now", "\ufeffAda went", "by Ada\u200b now"])
def test_a_right_answer_matches_exactly_whatever_nobody_sees_beside_it(family, context):
    """Offsets cover such signs, and no script for scores drops them."""
    rows = tiny.examples(tiny.example("Who?", context, "Ada"))
    features = build_features(rows, tokenizers.tokenizer(family), config())
    labels, zeros = build_labels(rows, features), np.zeros((1, 1), dtype=np.float32)
    spans = FeatureSpans(
        feature=np.array([0]),
        first=labels.first[:, None],
        last=labels.last[:, None],
        start_logit=zeros,
        end_logit=zeros,
        null_logits=np.zeros((1, 2), dtype=np.float32),
    )
    found = predict(spans, features, ids=["0"], contexts=[context], n_best=1, null_possible=False)
    assert exact_match(found.best_texts[0], ["Ada"], "ar") == 1.0


# --- Known bugs of the same job elsewhere ---


def test_the_null_score_is_the_minimum_over_an_examples_features():
    """The notebook keeps the largest."""
    ours = answered("one two", [[(0, 0, 1, 1)], [(2, 2, 0, 0)]], [(5.0, 4.0), (-1.0, 0.0)], [(0, 3), (0, 3)])
    assert ours.null_logits.tolist() == [[-1.0, 0.0]]
    assert ours.null_odds.tolist() == [-3.0]
    assert ours.texts(0.0) == ["one"]


def test_an_example_without_candidates_inherits_nothing_and_its_text_is_not_made_up():
    """utils_qa gives it the text "empty", and the null score of the example before."""
    features = hand_made([words("one"), words("two"), words("three")])
    spans = spans_of([[(0, 0, 1, 1)], [], [(0, 0, 2, 2)]], [(0, 0), (7, 1), (0, 1)])
    for null_possible in (False, True):
        ours = predict(
            spans,
            features,
            ids=["a", "b", "c"],
            contexts=["one", "two", "three"],
            n_best=5,
            null_possible=null_possible,
        )
        assert ours.best_texts == ours.texts(0.0) == ["one", "", "three"]
        assert ours.null_odds.tolist() == [-2.0, sys.float_info.max, -3.0]
        assert ours.null_logits[1].tolist() == [7.0, 1.0]
        assert [row["text"] for row in ours.n_best()["b"]] == [""] * null_possible
        assert ours.null_probability[1] == null_possible


def test_the_same_span_from_two_windows_is_counted_once_with_its_best_score():
    rows, windows = [[(2, 2, 1, 1), (0, 0, 0, 0)], [(0, 0, 2, 1)]], [(0, 3), (2, 1)]
    ours = answered("one two", rows, windows=windows, null_possible=False)
    assert records(ours) == [("two", 3.0), ("one", 0.0)]
    assert ours.probability.tolist() == pytest.approx([1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))])
    assert records(answered("one two", rows, windows=windows, null_possible=False, merge=False)) == [
        ("two", 3.0),
        ("two", 2.0),
        ("one", 0.0),
    ]


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\u00a0", "\u3000", "\u2028"])
def test_white_space_is_never_an_answer_and_is_cut_off_the_borders(space):
    text = f"one{space}two"
    features = hand_made([([(0, 3), (3, 4), (4, 7)], [(0, 3)])])
    spans = spans_of([[(1, 1, 9, 9), (1, 2, 5, 5), (2, 2, 1, 1)]], [(0, 0)])
    ours = predict(spans, features, ids=["q"], contexts=[text], n_best=5, null_possible=False)
    assert records(ours) == [("two", 10.0)]
    assert (ours.start.tolist(), ours.end.tolist()) == ([4], [7])
    only_space = predict(
        spans_of([[(1, 1, 9, 9)]], [(0, 0)]), features, ids=["q"], contexts=[text], n_best=5, null_possible=False
    )
    assert only_space.best_texts == [""]


def test_a_token_that_covers_no_character_is_no_answer():
    features = hand_made([([(0, 3), (3, 3), (3, 6)], [(0, 3)])])
    spans = spans_of([[(1, 1, 9, 9), (2, 2, 1, 1)]], [(0, 0)])
    ours = predict(spans, features, ids=["q"], contexts=["onetwo"], n_best=5, null_possible=False)
    assert records(ours) == [("two", 2.0)]


# --- n-best lists ---


CANDIDATES = [[(0, 0, 4, 0), (2, 2, 3, 0), (4, 4, 1, 0)]]


@pytest.mark.parametrize(
    ("n_best", "null", "wanted"),
    [
        (2, 9.0, ["", "one"]),  # "no answer" is one of the two
        (2, 3.5, ["one", ""]),
        (2, 3.0, ["one", "two", ""]),  # not among the two: after them, as the scripts do
        (2, 0.0, ["one", "two", ""]),
        (20, 2.0, ["one", "two", "", "three"]),
        (1, 9.0, ["", "one"]),  # the best span stays: the odds are against it
        (1, 0.0, ["one", ""]),
    ],
)
def test_no_answer_stands_in_its_place_in_lists_of_n_best(n_best, null, wanted):
    ours = answered("one two three", CANDIDATES, [(null, 0.0)], n_best=n_best)
    assert [text for text, _ in records(ours)] == wanted
    assert ours.null_odds.tolist() == [null - 4.0]
    assert ours.best_texts == ["one"]
    rows = ours.n_best()["q"]
    assert [row["probability"] for row in rows] == sorted((row["probability"] for row in rows), reverse=True)
    assert sum(row["probability"] for row in rows) == pytest.approx(1.0)


def test_where_no_answer_is_impossible_it_is_in_no_list_and_wins_nowhere():
    ours = answered("one two three", CANDIDATES, [(99.0, 99.0)], n_best=2, null_possible=False)
    assert [text for text, _ in records(ours)] == ["one", "two"]
    assert ours.texts(0.0) == ["one"]
    assert ours.null_probability.tolist() == [0.0]


def test_null_odds_at_the_threshold_are_answered():
    ours = answered("one two three", CANDIDATES, [(6.0, 0.0)])
    assert ours.texts(2.0) == ["one"]
    assert ours.texts(1.5) == [""]


def test_rounding_does_not_put_no_answer_before_an_answer_that_scores_the_same():
    """Scores are sums in float32 everywhere: in the order, in the odds and in the lists."""
    rows, null = [[(0, 0, 1.0, 2**-25)]], [(1.0, 2**-24)]
    ours = answered("one", rows, null)
    assert ours.null_odds.tolist() == [0.0]
    assert [text for text, _ in records(ours)] == ["one", ""]


@pytest.mark.parametrize("merge", [True, False])
def test_predictions_do_not_depend_on_the_order_in_which_features_come_back(merge):
    features = hand_made([words("one two", [(0, 3), (0, 3), (0, 3)])])
    spans = spans_of([[(0, 0, 1, 2)], [(0, 0, 2, 1)], [(2, 2, 3, 0)]], [(1, 2), (2, 1), (0, 3)])

    def lists(order):
        moved = FeatureSpans(**{name: column[order] for name, column in vars(spans).items()})
        return predict(
            moved, features, ids=["q"], contexts=["one two"], n_best=5, null_possible=True, merge=merge
        ).n_best()

    assert lists([0, 1, 2]) == lists([2, 1, 0]) == lists([1, 2, 0])


# --- Calibration ---


@given(st.floats(0.1, 10), st.floats(-5, 5), st.lists(LOGITS, min_size=4, max_size=4))
@with_example(1.0, 0.0, [1.0, 1.0, 0.0, 0.5])
def test_calibrated_probabilities_are_the_softmax_of_scaled_scores_with_the_threshold_taken_off(
    temperature, threshold, logits
):
    a, b, null, end = logits
    ours = answered("one two", [[(0, 0, a, 0.0), (2, 2, b, 0.0)]], [(null, end)])
    found = ours.calibrated(temperature=temperature, threshold=threshold)
    raw = np.array([*(ours.start_logit + ours.end_logit), float(ours.null_logits.sum()) - threshold], dtype=np.float64)
    weights = np.exp(raw / temperature - (raw / temperature).max())
    wanted = weights / weights.sum()
    assert [*found.probability, *found.null_probability] == pytest.approx(wanted.tolist(), abs=1e-9)
    same = {"probability": ours.probability, "null_probability": ours.null_probability}
    assert dataclasses.replace(found, **same).n_best() == ours.n_best()
