"""The drop-in beside a stored table of what the removed pipeline answered; see its file in `tests/benchmarks`."""

import pytest

from tests.support.removed_pipeline import calls, differs, questions, save_small_reader, table


@pytest.mark.slow
def test_answers_and_scores_are_those_of_the_removed_pipeline(tmp_path):
    asked = list(calls(save_small_reader(tmp_path), table("sample"), questions("sample"), every=5))
    assert len(asked) == 80
    assert [call for call in asked if differs(*call[2:])] == []


def test_another_place_another_score_and_another_number_of_answers_differ():
    wanted = [[0, 3, 0.5], [4, 6, 0.25]]
    assert not differs([(0, 3, 0.500001), (4, 6, 0.25)], wanted)
    assert differs([(0, 3, 0.50002), (4, 6, 0.25)], wanted)
    assert differs([(0, 4, 0.5), (4, 6, 0.25)], wanted)
    assert differs([(0, 3, 0.5)], wanted)
