"""Every place that rows come from."""

import json

import datasets
import pytest

from qa.config import DataConfig
from qa.data.sources import read_rows, source_files
from qa.errors import SplitError
from qa.files import looks_like_path
from tests.support.formats import ROWS, TEXTS, failure, read
from tests.support.rows import write


def test_a_saved_dataset_and_a_saved_dictionary(tmp_path):
    dataset = datasets.Dataset.from_list([*ROWS, {**ROWS[0], "id": "other"}])
    dataset.select([2, 1]).save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": dataset.select(range(3)), "test": dataset.select([3])}).save_to_disk(tmp_path / "d")
    assert read(tmp_path / "one") == [ROWS[2], ROWS[1]]
    assert read(tmp_path / "d") == ROWS
    assert "no split 'validation'; found train, test" in failure(tmp_path / "d", split="validation")
    write(tmp_path / "one" / "state.json", "{}")
    assert "one: not a whole folder of save_to_disk" in failure(tmp_path / "one")


def test_a_split_is_known_by_its_other_names_everywhere(tmp_path, monkeypatch):
    saved = datasets.DatasetDict({name: datasets.Dataset.from_list(ROWS) for name in ("train", "dev")})
    saved.save_to_disk(tmp_path / "d")
    assert read(tmp_path / "d", split="validation") == ROWS
    assert read("sample", split="dev") == read("sample", split="validation")
    saved["val"] = saved["dev"]
    saved.save_to_disk(tmp_path / "two")
    assert read(tmp_path / "two", split="val") == ROWS
    assert "no split 'validation'; found train, dev, val" in failure(tmp_path / "two", split="validation")

    def load_dataset(*_, split=None, **__):
        if split is None:
            return datasets.load_from_disk(str(tmp_path / "d"))
        raise ValueError(f"Unknown split {split!r}. Should be one of ['train', 'dev'].")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert read("a/b", split="validation") == ROWS
    with pytest.raises(SplitError, match="split 'test'"):
        read("a/b", split="test")


# The embedded set, the hub, and what is not there


def test_the_embedded_set_names_its_splits():
    assert failure("sample", split="test").startswith("sample: no split 'test'; found ")


def test_other_languages_are_named_after_a_colon():
    questions = {
        source: [row["question"] for row in read(source, split="validation")]
        for source in ("sample", "sample:ar", "sample:zh")
    }
    assert all("?" in question for question in questions["sample"])
    assert all("؟" in question for question in questions["sample:ar"])
    assert all("？" in question for question in questions["sample:zh"])
    assert failure("sample:zh", split="train") == "sample:zh: no split 'train'; found validation"


@pytest.mark.parametrize("source", ["sample:xx", "sample:", "sample:zh/validation", "sample:.."])
def test_a_language_without_a_set_is_answered_with_those_there_are(source):
    assert failure(source) == f"{source}: no such embedded set; found sample, sample:ar, sample:lists, sample:zh"


@pytest.mark.parametrize(
    ("source", "hub_id"), [("squad", "rajpurkar/squad"), ("squad_v2", "rajpurkar/squad_v2"), ("a/b", "a/b")]
)
def test_a_hub_id_is_loaded_with_name_split_and_revision(monkeypatch, source, hub_id):
    calls = []

    def load_dataset(path, **options):
        calls.append((path, options))
        return datasets.Dataset.from_list([{**row, "extra": 1} for row in ROWS])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert read(source, split="test[:3]", config=DataConfig(name="en", revision="v1")) == ROWS
    assert calls == [(hub_id, {"name": "en", "split": "test[:3]", "revision": "v1"})]


def test_a_hub_set_without_the_columns_names_them(monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset.from_dict({"text": ["a"]}))
    assert failure("a/b").startswith("a/b: no column question; found ['text']; wanted id, context")


def test_a_split_that_is_not_there_is_an_error_of_its_own(tmp_path, monkeypatch):
    def unknown(*_, **__):
        raise ValueError("Unknown split \"dev\". Should be one of ['train'].")

    monkeypatch.setattr(datasets, "load_dataset", unknown)
    write(tmp_path / "train.json", TEXTS["list"])
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "saved")
    write(tmp_path / "parts.json", json.dumps({"train": ROWS}))
    for source in ("a/b", tmp_path, tmp_path / "saved", tmp_path / "parts.json"):
        with pytest.raises(SplitError):
            read(source, split="dev")
    with pytest.raises(SplitError, match="one file, without splits"):
        list(read_rows(str(tmp_path / "train.json"), split="validation", config=DataConfig(), own_split=True))


def test_a_hub_failure_says_what_was_tried():
    message = failure("squad", config=DataConfig(name="plain_text", revision="main"))
    assert "cannot load 'rajpurkar/squad' from the hub (name 'plain_text', split 'train', revision 'main')" in message
    assert "no such path exists" in message


def test_a_path_that_exists_wins_over_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "squad", TEXTS["list"])
    assert read("squad") == ROWS


@pytest.mark.parametrize(
    "source", ["train.json", "./data", "/no/where", "a/b/c", "owner/set.parquet", "~/x.gz", "~nobody-here/x.gz"]
)
def test_a_missing_path_is_not_looked_up_on_the_hub(monkeypatch, source):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("looked up on the hub"))
    assert failure(source).startswith(f"{source}: no such file or folder")


def test_rows_in_the_place_of_a_path_are_an_error_in_a_line():
    assert "File name too long; wanted a path" in failure(json.dumps(ROWS) * 40)


@pytest.mark.parametrize(
    ("source", "is_path"),
    [
        ("squad", False),
        ("rajpurkar/squad_v2", False),
        ("./data", True),
        ("~/data", True),
        ("a/b/c", True),
        ("data/train.json", True),
        ("C:\\data\\squad", True),
        ("C:/squad", True),
        ("data\\squad", True),
        ("sample:zh", False),
    ],
)
def test_paths_of_any_system_are_told_from_hub_ids(source, is_path):
    assert looks_like_path(source) is is_path


def test_a_folder_with_nothing_but_a_file_called_data_is_that_file(tmp_path):
    write(tmp_path / "data.json", json.dumps({"train": ROWS[:1], "dev": ROWS[1:]}))
    (tmp_path / "README.md").write_text("# Lighthouses")
    assert read(tmp_path) == ROWS[:1]
    assert read(tmp_path, split="validation") == ROWS[1:]
    write(tmp_path / "data.json", TEXTS["list"])
    assert read(tmp_path) == ROWS
    with pytest.raises(SplitError, match="one file, without splits"):
        list(read_rows(str(tmp_path), split="validation", config=DataConfig(), own_split=True))
    assert source_files(str(tmp_path), split="train", config=DataConfig()) == [tmp_path / "data.json"]
    write(tmp_path / "more.json", "[]")
    assert "no file for split 'train'; found README.md, data.json, more.json" in failure(tmp_path)
