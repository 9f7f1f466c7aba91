"""The drop-in beside a stored table of what the removed pipeline answered; see its file in `tests/benchmarks`."""

import pytest

import qa
from tests.support.removed_pipeline import questions, save_small_reader, table


@pytest.mark.slow
def test_answers_and_scores_are_those_of_the_removed_pipeline(tmp_path):
    known, rows = table("sample"), questions("sample")
    nlp = qa.pipeline("question-answering", model=str(save_small_reader(tmp_path)), device="cpu")
    for place, options in enumerate(known["options"]):
        for key in list(known["answers"])[::5]:
            found = nlp(question=rows[key]["question"], context=rows[key]["context"], **options)
            listed = [found] if isinstance(found, dict) else found
            wanted = known["answers"][key][place]
            assert [(one["start"], one["end"]) for one in listed] == [(start, end) for start, end, _ in wanted]
            assert [one["score"] for one in listed] == pytest.approx([score for *_, score in wanted], abs=1e-5)
