"""`make demo`: two runs, before and after training, and what is shown of them."""

import json

import pytest

from qa.cli import demo
from tests.support import tiny


@pytest.fixture
def launched(tmp_path, monkeypatch):
    """The flags of every launch; each leaves results as a run does."""
    flags = []

    def launch(*given):
        flags.append(given)
        folder = tmp_path / given[given.index("--output-dir") + 1]
        folder.mkdir(parents=True)
        scores = dict.fromkeys(("exact", "f1", "HasAns_f1", "NoAns_f1", "best_f1"), 10.0 * len(flags))
        (folder / "metrics.json").write_text(json.dumps(scores))
        found = {row["id"]: (row["answers"]["text"] or [""])[0] if at else "wrong" for at, row in enumerate(ROWS)}
        (folder / "predictions.json").write_text(json.dumps(found))
        other = {"text": "other", "probability": 0.5}
        n_best = {key: [other, {"text": text, "probability": 0.25}] for key, text in found.items()}
        (folder / "nbest_predictions.json").write_text(json.dumps(n_best))

    monkeypatch.setattr(demo, "ROOT", tmp_path)
    monkeypatch.setattr(demo, "launch", launch)
    return flags


ROWS = tiny.sample_rows("validation")


def test_scores_before_and_after_and_three_questions_are_shown(launched, tmp_path, capsys):
    (tmp_path / demo.AFTER / "wandb" / "offline-run-of-before").mkdir(parents=True)
    assert demo.main() == 0
    before, after = launched
    assert before[:2] == ("--training.max-steps", "0")
    assert "--training.max-steps" not in after
    out = " ".join(capsys.readouterr().out.split())
    assert "exact │ 10.0 │ 20.0 │ +10.0" in out
    assert "wrong │ 25%" in out
    assert "(no answer)" in out
    assert "wandb sync" not in out, "what an earlier demonstration left is gone"


def test_a_run_is_launched_with_the_network_off(monkeypatch):
    calls = []
    monkeypatch.setattr(demo.subprocess, "run", lambda words, **given: calls.append((words, given)))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    demo.launch("--seed", "3")
    ((words, given),) = calls
    assert words[1:] == ["launch", "--config_file", "accelerate_configs/cpu.yaml", "train_qa.py", "demo", "--seed", "3"]
    assert given["env"]["HF_HUB_OFFLINE"] == "1"
    assert given["check"]
