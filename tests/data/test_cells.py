"""Lists and objects as programs write them into cells."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.data.cells import holds_structure, parse_cell

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=3) | st.dictionaries(st.text(max_size=4), VALUES, max_size=3))
def test_what_json_and_python_write_is_read(value):
    assert parse_cell(json.dumps(value)) == value
    assert parse_cell(repr(value)) == value


@given(st.lists(st.text(alphabet="ab 'x\"\\\n,[]", max_size=5), max_size=4), st.lists(st.integers(0, 99), max_size=4))
def test_what_numpy_prints_is_read(words, numbers):
    """Without commas in `str`, with `array(…)` in `repr`."""
    one, two = np.array(words, dtype=object), np.array(numbers, dtype=np.int64)
    assert parse_cell(str(one)) == words
    assert parse_cell(str(two)) == numbers
    assert parse_cell(repr({"text": one, "answer_start": two})) == {"text": words, "answer_start": numbers}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[nan]", [None]),
        ("{'answer_start': [np.int64(3)]}", {"answer_start": [3]}),
        ("{'text': array(['a'],\n      dtype=object)}", {"text": ["a"]}),
        (" {'a': 1} ", {"a": 1}),
    ],
)
def test_odd_spellings_are_read(text, value):
    assert parse_cell(text) == value


@pytest.mark.parametrize(
    "text", ["{'a", "[1", "[" * 2000, "{a: b}", "[x for x in y]", "[1]; [2]", "", "{**a}", "[f'{x}']"]
)
def test_anything_else_is_refused_and_nothing_runs(text):
    with pytest.raises(ValueError, match="neither JSON nor a Python literal"):
        parse_cell(text)


def test_a_list_and_an_object_are_told_from_text():
    assert [holds_structure(text) for text in (" [1]", "{}", "text", "", "'[1]'")] == [True, True, False, False, False]
