"""Evidence: disjoint stretches of documents, joined, grown and filtered as asked."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.errors import ConfigError, ExampleError
from qa.inference.evidence import EvidenceShape, ScoredSpan, certainty, joined_spans
from tests.support.predictors import CONTEXT, QUESTION

TEXT = "One is here. Two is there! And three? " * 2
ALL = EvidenceShape(min_score=0.0)


def shape(**changes):
    return EvidenceShape(**(vars(ALL) | changes))


def as_pairs(found):
    return [(span.start, span.end) for span in found]


def by_characters(spans, gap, least):
    """Which characters are in a span, or between two that are near; runs of these."""
    marked = {at for start, end, _ in spans for at in range(start, end)}
    for at in sorted(marked):
        following = [other for other in marked if at < other <= at + gap + 1]
        marked |= set(range(at, max(following, default=at)))
    runs = [at for at in range(len(TEXT) + 2) if (at in marked) != (at - 1 in marked)]
    return [(start, end) for start, end in zip(runs[::2], runs[1::2], strict=True) if end - start >= least]


SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda pair: ScoredSpan(pair[0], pair[0] + pair[1], 0.5)),
    max_size=6,
)


@given(SPANS, st.integers(0, 6), st.integers(1, 8))
def test_joined_spans_are_runs_of_characters(spans, gap, least):
    found = joined_spans(spans, TEXT, shape(merge_gap=gap, min_chars=least))
    assert as_pairs(found) == by_characters(spans, gap, least)


def test_spans_that_are_not_sure_enough_are_left_out_before_others_are_joined():
    spans = [ScoredSpan(0, 3, 0.9), ScoredSpan(3, 5, 0.1), ScoredSpan(5, 8, 0.4)]
    assert joined_spans(spans, TEXT, shape(min_score=0.4)) == [ScoredSpan(0, 3, 0.9), ScoredSpan(5, 8, 0.4)]
    assert joined_spans(spans, TEXT, ALL) == [ScoredSpan(0, 8, 0.9)]


def test_spans_grow_to_sentences():
    spans = [ScoredSpan(4, 6, 0.5), ScoredSpan(15, 17, 0.7), ScoredSpan(30, 41, 0.6)]
    found = joined_spans(spans, TEXT, shape(sentences=True))
    assert [TEXT[span.start : span.end] for span in found] == [
        "One is here.",
        "Two is there!",
        "And three? One is here.",
    ]


def test_certainty_is_one_half_at_the_threshold_and_bounded():
    assert certainty(-2.0, threshold=2.0, temperature=1.5) == 0.5
    assert certainty(1.0, threshold=0.0, temperature=1.0) == pytest.approx(0.7310586)
    assert certainty(-1e9, threshold=0.0, temperature=1e-3) < 1e-300
    assert certainty(1e9, threshold=0.0, temperature=1.0) == 1


def test_evidence_is_disjoint_stretches_in_order_with_what_is_known_of_documents(predictor):
    documents = [CONTEXT * 3, {"text": f"{CONTEXT}\f{CONTEXT}", "meta": {"page": 4}, "id": "b"}]
    found = predictor.evidence(QUESTION, documents, min_score=0.0, top_k=6, max_answer_length=8)
    assert len(found) == 2
    assert min(map(len, found)) > 1
    for at, (rows, text) in enumerate(zip(found, (CONTEXT * 3, documents[1]["text"]), strict=True)):
        assert all(row["text"] == text[row["start"] : row["end"]] and row["passage"] == at for row in rows)
        assert all(one["end"] < other["start"] for one, other in itertools.pairwise(rows))
    assert not {"id", "meta", "page"} & found[0][0].keys()
    assert all(row["id"] == "b" and row["meta"] == {"page": 4} for row in found[1])
    assert {row["page"] for row in found[1]} <= {4, 5}


def test_the_best_span_is_the_best_of_a_search(predictor):
    best = predictor.search(QUESTION, [CONTEXT], no_answer=False)[0]
    (found,) = predictor.evidence(QUESTION, [CONTEXT], min_score=0.0, top_k=1)
    assert [(row["start"], row["end"]) for row in found] == [(best["start"], best["end"])]
    assert found[0]["score"] == certainty(best["log_odds"], threshold=0.0, temperature=1.0)


def test_every_option_of_evidence_changes_what_is_found(predictor):
    def found(**options):
        return predictor.evidence(QUESTION, [CONTEXT * 2], **({"min_score": 0.0, "max_answer_length": 4} | options))[0]

    plain = found()
    middle = sorted(row["score"] for row in plain)[len(plain) // 2]
    assert 0 < len(found(min_score=middle)) < len(plain)
    assert len(found(merge_gap=500)) == 1 < len(plain)
    shortest = min(row["end"] - row["start"] for row in plain)
    assert 0 < len(found(min_chars=shortest + 1)) < len(plain)
    assert all(row["text"].endswith(".") for row in found(sentences=True))
    assert len(found(top_k=2)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 2.0}, "min_score is 2.0; wanted a share"),
        ({"merge_gap": -1}, "merge_gap is -1; wanted a whole number, 0 or more"),
        ({"min_chars": 0}, "min_chars is 0; wanted a whole number, 1 or more"),
        ({"score": "window"}, "score is 'window'"),
    ],
)
def test_options_out_of_range_are_refused(predictor, options, message):
    with pytest.raises(ConfigError, match=message):
        predictor.evidence(QUESTION, [CONTEXT], **options)


def test_documents_of_wrong_type_are_named(predictor):
    assert predictor.evidence(QUESTION, []) == []
    with pytest.raises(ExampleError, match="wanted several passages"):
        predictor.evidence(QUESTION, CONTEXT)
    with pytest.raises(ExampleError, match="input 1: context is None"):
        predictor.evidence(QUESTION, [CONTEXT, None])
