"""Result files hold what the evaluation found."""

import dataclasses
import json

from qa.run_folder.paths import RunPaths
from qa.run_folder.results import write_results
from tests.support.tracking import EVALUATION, PREDICTIONS


def test_result_files_hold_what_the_evaluation_found(tmp_path):
    write_results(RunPaths(tmp_path), EVALUATION)
    read = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()}
    assert set(read) == {"metrics.json", "predictions.json", "nbest_predictions.json", "null_odds.json"}
    assert read["metrics.json"] == EVALUATION.scores | {"no_answer_possible": True}
    assert read["predictions.json"] == {"q0": "0", "q1": "", "q2": ""}
    assert read["null_odds.json"] == {"q0": -5.0, "q1": 1.0, "q2": float(PREDICTIONS.null_odds[2])}
    assert [answer["text"] for answer in read["nbest_predictions.json"]["q0"]] == ["0", "The word", ""]
    assert read["nbest_predictions.json"]["q2"][0]["start"] is None


def test_without_references_there_is_no_metrics_file(tmp_path):
    write_results(RunPaths(tmp_path), dataclasses.replace(EVALUATION, scores=None))
    assert not (tmp_path / "metrics.json").exists()
    assert (tmp_path / "predictions.json").exists()


def test_all_answers_are_written_where_all_were_to_be_found(tmp_path):
    write_results(RunPaths(tmp_path), dataclasses.replace(EVALUATION, several=True))
    found = json.loads((tmp_path / "all_answers.json").read_text(encoding="utf-8"))
    assert found == {
        "q0": [
            {"text": "0", "start": 26, "end": 27, "probability": 0.5},
            {"text": "The word", "start": 0, "end": 8, "probability": 0.25},
        ],
        "q1": [],
        "q2": [],
    }
