"""Files and folders appear whole or not at all, and a manifest tells what changed afterwards."""

import errno
import json

import pytest

from qa import files
from qa.errors import StorageError
from qa.files import MANIFEST, check_manifest, whole_folder, write_json, write_manifest, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


# --- files ---


def test_text_is_written_as_it_is(tmp_path):
    text = "line\r\nnext\n\x00 ünï 🙂"
    write_whole(tmp_path / "a.txt", text)
    assert (tmp_path / "a.txt").read_bytes() == text.encode()
    assert names(tmp_path) == ["a.txt"]


def test_json_is_readable_and_exact(tmp_path):
    write_json(tmp_path / "a.json", {"ä": [1, 0.1 + 0.2], "none": None})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"ä": [1, 0.1 + 0.2], "none": None}
    assert "ä" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("step", ["flush_to_disk", "replace"])
def test_full_disk_leaves_the_old_file_and_names_it(step, tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_json(path, "old")
    monkeypatch.setattr(*((files, step) if step == "flush_to_disk" else (type(path), step)), no_space)
    with pytest.raises(StorageError, match=r"metrics\.json.*No space left"):
        write_json(path, "new")
    assert json.loads(path.read_text()) == "old"
    assert names(tmp_path) == ["metrics.json"]


def test_value_that_json_cannot_hold_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", "old")
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert json.loads((tmp_path / "a.json").read_text()) == "old"


def test_missing_folder_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(StorageError, match=r"nowhere/a\.json"):
        write_json(tmp_path / "nowhere" / "a.json", 1)


# --- folders ---


def test_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "folder"
    with whole_folder(path) as part:
        (part / "a").write_text("a")
        (part / "sub").mkdir()
        (part / "sub" / "b").write_text("b")
        assert not path.exists()
    assert names(path) == ["a", "sub"]
    assert names(path.parent) == ["folder"]


def test_folder_replaces_all_that_was_there(tmp_path):
    path = tmp_path / "model"
    for name in ("old", "new"):
        with whole_folder(path) as part:
            (part / name).write_text(name)
    assert names(path) == ["new"]
    assert names(tmp_path) == ["model"]


def fill(path, name):
    with whole_folder(path) as part:
        (part / name).write_text(name)
        if name == "broken":
            raise RuntimeError(name)


def test_error_in_the_middle_leaves_the_old_folder(tmp_path):
    fill(tmp_path / "model", "old")
    with pytest.raises(RuntimeError, match="broken"):
        fill(tmp_path / "model", "broken")
    assert names(tmp_path / "model") == ["old"]
    assert names(tmp_path) == ["model"]


def test_error_without_an_old_folder_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        fill(tmp_path / "model", "broken")
    assert names(tmp_path) == []


def test_full_disk_while_flushing_leaves_the_old_folder(tmp_path, monkeypatch):
    fill(tmp_path / "model", "old")
    monkeypatch.setattr(files, "flush_to_disk", no_space)
    with pytest.raises(OSError, match="No space left"):
        fill(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["old"]


def test_failed_renaming_puts_the_old_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "model"
    fill(path, "old")
    rename = type(path).rename

    def fails_for_the_new_one(source, target):
        return no_space() if source.name.endswith(".part") else rename(source, target)

    monkeypatch.setattr(type(path), "rename", fails_for_the_new_one)
    with pytest.raises(OSError, match="No space left"):
        fill(path, "new")
    assert names(path) == ["old"]
    assert names(tmp_path) == ["model"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    for kind in ("part", "old"):
        (tmp_path / f".model.{kind}").mkdir()
        (tmp_path / f".model.{kind}" / "torn").write_text("half")
    fill(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["new"]
    assert names(tmp_path) == ["model"]


# --- manifests ---


@pytest.fixture
def sealed(tmp_path):
    (tmp_path / "weights").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "state.json").write_text("{}")
    write_manifest(tmp_path)
    check_manifest(tmp_path)
    return tmp_path


def test_truncated_file_is_detected_by_name(sealed):
    content = (sealed / "weights").read_bytes()
    (sealed / "weights").write_bytes(content[:-1])
    with pytest.raises(StorageError, match=r"weights is .*2559.*wanted.*2560"):
        check_manifest(sealed)


@pytest.mark.parametrize("at", [0, 1280, 2559])
def test_flipped_bit_is_detected_by_name(sealed, at):
    content = bytearray((sealed / "weights").read_bytes())
    content[at] ^= 1
    (sealed / "weights").write_bytes(content)
    with pytest.raises(StorageError, match="weights is "):
        check_manifest(sealed)


@pytest.mark.parametrize("missing", ["weights", "state.json", MANIFEST])
def test_missing_file_is_detected_by_name(sealed, missing):
    (sealed / missing).unlink()
    with pytest.raises(StorageError, match=missing):
        check_manifest(sealed)


def test_every_flipped_bit_of_the_manifest_is_an_error_of_ours(sealed):
    content = (sealed / MANIFEST).read_bytes()
    undetected = 0
    for at in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[at] ^= 1 << bit
            (sealed / MANIFEST).write_bytes(flipped)
            try:
                check_manifest(sealed)
            except StorageError:
                continue
            undetected += 1  # white space for white space
    assert undetected < len(content) / 4


@pytest.mark.parametrize("content", ["", "{", "[1]", "7", '"text"', "null", '{"weights": 3}'])
def test_file_that_is_no_manifest_is_an_error_of_ours(sealed, content):
    (sealed / MANIFEST).write_text(content)
    with pytest.raises(StorageError, match=str(sealed)):
        check_manifest(sealed)
