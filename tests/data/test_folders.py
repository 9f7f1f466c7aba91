"""A folder -> the files of a split."""

import json

import pytest

from tests.support.formats import ROWS, TEXTS, failure, read
from tests.support.rows import CONTEXT, WHO, load, references, write
from tests.support.squad_rows import flat


@pytest.mark.parametrize("name", ["dev-v1.1.json", "validation.jsonl", "valid_set.gz", "val"])
def test_a_folder_with_a_file_named_after_the_split(tmp_path, name):
    write(tmp_path / name, TEXTS["nested"])
    write(tmp_path / "train.json", "[]")
    write(tmp_path / "values.json", "[]")
    assert len(read(tmp_path, split="validation")) == len(ROWS)


def test_shards_are_read_in_order_and_must_be_complete(tmp_path):
    for index, row in enumerate(ROWS):
        write(tmp_path / f"train-{index:05d}-of-00003.jsonl", json.dumps(row))
    assert read(tmp_path) == ROWS
    (tmp_path / "train-00001-of-00003.jsonl").unlink()
    assert "split 'train' is ambiguous or incomplete" in failure(tmp_path)


def test_a_folder_without_or_with_two_files_for_the_split(tmp_path):
    assert "no file for split 'train'; found no files; wanted a name like train.jsonl" in failure(tmp_path)
    write(tmp_path / "trains.json", "[]")
    assert "no file for split 'train'; found trains.json" in failure(tmp_path)
    write(tmp_path / "train.json", "[]")
    write(tmp_path / "train-v2.json", "[]")
    assert "found train-v2.json, train.json; wanted one file, or all" in failure(tmp_path)


def test_what_cannot_be_data_is_no_candidate_for_a_split(tmp_path):
    write(tmp_path / "train.jsonl", [flat("1", WHO, [])])
    for name in ("train.jsonl.bak", "train_README.md", "train.jsonl~", "train.log", "train.lock", ".train.json.swp"):
        write(tmp_path / name, "an older copy")
    write(tmp_path / "train_notes.txt", "Two questions about a lighthouse.")
    assert len(load(tmp_path)) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("Lights_v1.0_train.jsonl", "Lights_v1.0_dev.jsonl"),
        ("KorQuAD_v1.0_train.json", "KorQuAD_v1.0_dev.json"),
        ("GermanQuAD_train.json", "GermanQuAD_validation.json"),
        ("SQuAD_it-train.json.gz", "SQuAD_it-dev.json.gz"),
        ("cmrc2018_train.json", "cmrc2018_dev.json"),
        ("DRCD_training.json", "DRCD_dev.json"),
        ("squadTrain.json", "squadDev.json"),
        ("squad-train-v1.1.json", "squad-dev-v1.1.json"),
        ("TRAIN.CSV", "VALID.CSV"),
        ("train", "dev"),
        ("data/train-00000-of-00001.jsonl", "data/validation-00000-of-00001.jsonl"),
        ("plain_text/train.jsonl", "plain_text/dev.jsonl"),
        ("train/part-0.jsonl", "validation/part-0.jsonl"),
    ],
)
def test_a_name_that_holds_the_split_as_a_word_is_found(tmp_path, names):
    for name, example_id in zip(names, ("1", "2"), strict=True):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = f'id,question,context,is_impossible\n{example_id},{WHO},"{CONTEXT}",True\n'
        write(path, content if path.suffix == ".CSV" else json.dumps(flat(example_id, WHO, [])) + "\n")
    assert list(references(load(tmp_path, split="train"))) == ["1"]
    assert list(references(load(tmp_path, split="validation"))) == ["2"]
