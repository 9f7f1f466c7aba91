"""`qa trim`: the folder that it writes is a smaller model that reads the data as before."""

import json

import pytest
import torch

from qa.cli.main import main
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_reader
from tests.support import tiny


@pytest.fixture
def folder(tmp_path):
    return tiny.save_reader(tmp_path / "reader")


def output(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == status
    return capsys.readouterr()


def write(path, rows):
    path.write_text("".join(json.dumps({key: row[key] for key in ("question", "context")}) + "\n" for row in rows))
    return path


def test_the_smaller_model_answers_the_data_as_before(capsys, folder, tmp_path):
    rows = tiny.sample_rows("validation")[:2]
    data, out = write(tmp_path / "a.jsonl", rows), tmp_path / "small"
    told = json.loads(output(capsys, "trim", folder, out, data, "--json").out)
    assert told["now"]["tokens"] < told["before"]["tokens"]
    assert told["now"]["parameters"] < told["before"]["parameters"]
    whole, small = Predictor.from_pretrained(folder), Predictor.from_pretrained(out)
    for row in rows:
        wanted, found = (reader(question=row["question"], context=row["context"]) for reader in (whole, small))
        assert (found["start"], found["end"]) == (wanted["start"], wanted["end"])
        assert found["score"] == pytest.approx(wanted["score"], abs=1e-5)


def test_the_vocabulary_is_that_of_all_sources_and_of_the_split(capsys, folder, tmp_path):
    rows = tiny.sample_rows("validation")
    one, two = write(tmp_path / "1.jsonl", rows[:2]), write(tmp_path / "2.jsonl", rows[60:62])
    sizes = [
        json.loads(output(capsys, "trim", folder, tmp_path / name, *data, "--json").out)["now"]["tokens"]
        for name, data in (("a", [one]), ("b", [one, two]), ("c", ["sample", "--split", "validation"]))
    ]
    assert sizes == sorted(set(sizes))


def test_a_head_that_was_drawn_at_random_is_not_saved(capsys, folder, tmp_path):
    base, out = tmp_path / "base", tmp_path / "small"
    reader = load_reader(str(folder), max_length=64)
    reader.model.base_model.save_pretrained(base)
    reader.tokenizer.save_pretrained(base)
    output(capsys, "trim", base, out, write(tmp_path / "a.jsonl", tiny.sample_rows("validation")[:2]))
    small = load_reader(str(out), max_length=64)
    assert small.has_new_head
    layer = reader.model.base_model.encoder.layer[0].output.dense.weight
    assert torch.equal(small.model.base_model.encoder.layer[0].output.dense.weight, layer)


def test_a_folder_that_is_there_is_not_replaced(capsys, folder, tmp_path):
    (tmp_path / "out").mkdir()
    assert "is there already" in output(capsys, "trim", folder, tmp_path / "out", "sample", status=1).err


def test_what_is_written_is_said(capsys, folder, tmp_path):
    shown = output(capsys, "trim", folder, tmp_path / "out", "sample:zh", "--split", "validation").out
    assert "tokens" in shown
    assert str(tmp_path / "out") in shown
