"""What notebooks show: short, escaped, with the answer marked."""

import pytest

import qa
from qa.data.examples import Examples
from qa.features.windows import build_features
from qa.inference.predictor import Predictor
from qa.representations import html_table, marked
from tests.support import tiny
from tests.support.windows import config

HOSTILE = "<script>alert(1)</script>"


def test_tables_escape_texts_and_round_numbers():
    page = html_table(("<b>", "n"), [(HOSTILE, 0.123456), (marked("a b", 2, 3), 7)])
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "<td>0.1235</td>" in page
    assert "<td>a <mark>b</mark></td><td>7</td>" in page


@pytest.mark.parametrize(("start", "end", "wanted"), [(2, 5, "a&lt;<mark>b&gt;c</mark>"), (0, 0, "a&lt;b&gt;c")])
def test_a_span_is_marked_and_an_empty_one_is_not(start, end, wanted):
    assert marked("a<b>c", start, end) == wanted


def test_long_texts_are_cut_round_the_span():
    text = "x" * 1000 + "HERE" + "y" * 1000
    shown = marked(text, 1000, 1004)
    assert shown.startswith("…x")
    assert shown.endswith("y…")
    assert len(shown) < 700


def test_answers_are_shown_in_their_context():
    answer = {"answer": "b", "score": 0.5, "start": 2, "end": 3}
    nothing = {"answer": "", "score": 0.25, "start": 0, "end": 0}
    assert repr(qa.show([answer, nothing], "a b")) == "0.50  b\n0.25  (no answer)"
    page = qa.show(answer, "a b")._repr_html_()
    assert "a <mark>b</mark>" in page
    assert "(no answer)" in qa.show(nothing, "a b")._repr_html_()


def test_a_predictor_is_shown_in_a_line_and_a_table(tmp_path):
    predictor = Predictor.from_pretrained(tiny.save_reader(tmp_path / "reader"), device="cpu")
    assert repr(predictor).startswith("Predictor(model: BertForQuestionAnswering, parameters: ")
    assert len(repr(predictor)) < 250
    assert len(repr(predictor.reader)) < 100
    assert "<td>device</td><td>cpu</td>" in predictor._repr_html_()


def test_examples_are_shown_with_their_answers():
    rows = tiny.examples(
        tiny.example("Who?", "Francisco did.", "Francisco"), tiny.example(HOSTILE, "Nobody."), *tiny.small(6)
    )
    examples = Examples(rows=rows)
    assert repr(examples).startswith("Examples(8 examples, ")
    page = examples._repr_html_()
    assert "<mark>Francisco</mark> did." in page
    assert HOSTILE not in page
    assert page.count("<tr>") == 6
    unanswered = Examples(rows=tiny.without_references(rows))
    assert repr(unanswered) == "Examples(8 examples, 0 problems)"
    assert "<mark>" not in unanswered._repr_html_()


def test_features_are_shown_by_their_numbers():
    features = build_features(tiny.small(6), tiny.tokenizer(), config(64, 16, 32))
    assert repr(features).startswith(f"Features({len(features)} windows, 6 examples, ")
    assert "<td>examples</td><td>6</td>" in features._repr_html_()
