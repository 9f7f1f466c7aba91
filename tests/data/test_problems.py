"""What is wrong with a row, as messages say it."""

import pytest

from qa.errors import ExampleError
from tests.support.rows import loaded, row


def test_the_message_says_row_id_found_and_wanted(tmp_path):
    with pytest.raises(ExampleError) as caught:
        loaded(tmp_path, [row(0), row(1, start=5)])
    assert "row 1, id 'q1': answer not at its offset: found 'at '; wanted 'cat' at character 5" in str(caught.value)


def test_the_first_ten_problems_are_shown_with_the_total(tmp_path):
    with pytest.raises(ExampleError) as caught:
        loaded(tmp_path, [row(number, question="") for number in range(25)])
    message = str(caught.value)
    assert "25 bad examples, the first 10:" in message
    assert [f"row {number}, " in message for number in (0, 9, 10)] == [True, True, False]


def test_what_is_found_is_shown_in_short(tmp_path):
    with pytest.raises(ExampleError) as caught:
        loaded(tmp_path, [row(0, title=["x" * 10_000] * 10_000), row(1, title={"a": 10**4000})])
    assert len(str(caught.value)) < 2000
