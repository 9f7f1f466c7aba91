"""`qa calibrate`: what it fits, saves and keeps."""

import json
from dataclasses import replace

from qa.inference.predictor import Predictor
from qa.modeling.settings import SETTINGS_FILE, load_settings
from tests.support.commands import output
from tests.support.predictors import CONTEXT, QUESTION, SETTINGS, saved


def test_calibrate_saves_what_does_better_with_the_model(capsys, tmp_path):
    folder = saved(tmp_path / "model", own=replace(SETTINGS, temperature=0.1))
    before = Predictor.from_pretrained(folder)(question=QUESTION, context=CONTEXT, no_answer=0.0)
    report = json.loads(output(capsys, "calibrate", folder, "sample", "--max-examples", "60", "--json").out)
    settings = load_settings(folder)
    assert settings == replace(
        SETTINGS,
        no_answer_threshold=report["threshold"],
        temperature=report["temperature"],
        confidence_slope=report["slope"],
        confidence_shift=report["shift"],
    )
    assert settings.temperature != 0.1
    assert settings.confidence_slope != 1.0
    assert report["fitted_examples"] + report["measured_examples"] == 60
    assert {"exact", "f1", "calibration_error", "area", "log_loss"} <= report["fitted"].keys()
    after = Predictor.from_pretrained(folder)(question=QUESTION, context=CONTEXT, no_answer=0.0)
    assert after["answer"] == before["answer"]
    assert after["score"] != before["score"]


def test_calibrate_keeps_what_it_cannot_better_and_says_why(capsys, tmp_path):
    folder = saved(tmp_path / "model")
    content = (folder / SETTINGS_FILE).read_bytes()
    shown = output(capsys, "calibrate", folder, "sample", "--max-examples", "12").out
    assert "expected calibration error" in shown
    assert "slope of log odds" in shown
    assert "kept as it was: found 12 examples; wanted 50 or more" in " ".join(shown.split())
    assert "saved in" not in shown
    assert (folder / SETTINGS_FILE).read_bytes() == content


def test_calibrate_does_not_save_unless_it_can_or_may(capsys, folder, tmp_path):
    content = (folder / SETTINGS_FILE).read_bytes()
    output(capsys, "calibrate", folder, "sample", "--max-examples", "10", "--no-save")
    assert (folder / SETTINGS_FILE).read_bytes() == content
    assert "no folder to save into" in output(capsys, "calibrate", "some/hub-id", "sample", status=2).err
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps({"id": "a", "question": QUESTION, "context": CONTEXT}))
    assert "no references" in output(capsys, "calibrate", folder, bare, status=1).err
