"""Runs on texts that a tokenizer reports with holes: what is learned by heart is answered right."""

import json

import pytest

import train_qa
from qa.errors import LabelError
from qa.presets import parse_config
from tests.support import tiny, tokenizers
from tests.support.rows import write

pytestmark = pytest.mark.usefixtures("fresh_accelerator")

CONTEXT = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. It is 34 metres tall."
ROWS = [
    tiny.example("Who built the lighthouse?", CONTEXT, "Ragna Lund", id="who"),
    tiny.example("Where is the lighthouse?", CONTEXT, "Skarholm", id="where"),
    tiny.example("When was it built?", CONTEXT, "1871", id="when"),
]


def run(tmp_path, family, rows, *flags):
    reader, out = tmp_path / "reader", tmp_path / "run"
    known = tokenizers.tokenizer(family)
    known.save_pretrained(reader)
    calm = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    tiny.model("roberta", vocab_size=len(known), **calm).save_pretrained(reader)
    data = str(write(tmp_path / "rows.jsonl", rows))
    named = ["--model", str(reader), "--train-data", data, "--validation-data", data, "--output-dir", str(out)]
    windows = ["--features.max-length", "96", "--features.doc-stride", "16", "--features.max-question-length", "16"]
    quiet = ["--tracking.report-to", "none", "--training.evaluate-every", "0", "--training.save-every", "0"]
    quiet += ["--features.cache-dir", str(tmp_path / "cache")]
    train_qa.run(parse_config([*named, *windows, *quiet, *flags]))
    return out


@pytest.mark.parametrize("family", ["robbert", "clip"])
def test_a_tokenizer_with_holes_learns_whole_words(tmp_path, family):
    """robbert: the first letter of every word is in no token."""
    out = run(tmp_path, family, ROWS, "--training.max-steps", "80", "--training.learning-rate", "5e-3")
    found = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    assert found == {"who": "Ragna Lund", "where": "Skarholm", "when": "1871"}
    assert json.loads((out / "metrics.json").read_text())["exact_match"] == 100.0


@pytest.mark.parametrize("least", ["95", "0"])
def test_training_ends_where_labels_do_not_give_back_their_references(tmp_path, least):
    """By a tokenizer that takes two words for one, unless the bar is lowered."""
    rows = [tiny.example("Who?", "Ada123 built it.", ("Ada", 0), id="a")]
    flags = ["--training.max-steps", "1", "--features.least-round-trip", least]
    if least == "0":
        assert (run(tmp_path, "word-level", rows, *flags) / "predictions.json").is_file()
        return
    with pytest.raises(LabelError, match="label 'Ada123' for the reference 'Ada'"):
        run(tmp_path, "word-level", rows, *flags)
