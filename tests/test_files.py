"""Files and folders appear whole or not at all, and a manifest tells what changed afterwards."""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from qa import files
from qa.errors import StorageError
from qa.files import (
    MANIFEST,
    check_manifest,
    exchange,
    interrupted_folders,
    link_or_copy,
    recover,
    whole_folder,
    write_json,
    write_manifest,
    write_whole,
)
from tests.support.kills import every_kill


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


@pytest.fixture(params=["exchange", "steps"])
def way(request, monkeypatch):
    """Both ways to replace a folder: in one system call, and in renames, as where there is no such call."""
    if request.param == "steps":
        monkeypatch.setattr(files, "exchange", lambda *_: False)
    return request.param


@pytest.mark.parametrize("target", ["there", "made"])
@pytest.mark.usefixtures("way")
def test_a_link_stays_and_what_it_leads_to_is_replaced(target, tmp_path):
    """As of a model on a larger disk; also one that leads nowhere yet."""
    (tmp_path / "there").mkdir()
    (tmp_path / "model").symlink_to(target)
    for name in ("old", "new"):
        fill(tmp_path / "model", name)
    assert (tmp_path / "model").is_symlink()
    assert names(tmp_path / target) == ["new"]
    assert names(tmp_path) == sorted({"model", "there", target})


@pytest.mark.usefixtures("way")
def test_a_file_in_the_place_of_a_folder_is_replaced(tmp_path):
    (tmp_path / "model").write_text("what is this?")
    for name in ("old", "new"):
        fill(tmp_path / "model", name)
    assert names(tmp_path / "model") == ["new"]
    assert names(tmp_path) == ["model"]


def test_failed_renaming_puts_the_old_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "model"
    fill(path, "old")
    rename = type(path).rename

    def fails_for_the_new_one(source, target):
        return no_space() if source.name.endswith(".new") else rename(source, target)

    monkeypatch.setattr(files, "exchange", lambda *_: False)
    monkeypatch.setattr(type(path), "rename", fails_for_the_new_one)
    with pytest.raises(OSError, match="No space left"):
        fill(path, "new")
    assert names(path) == ["old"]
    assert names(tmp_path) == ["model"]


def test_failed_exchange_leaves_the_old_folder(tmp_path, monkeypatch):
    fill(tmp_path / "model", "old")
    monkeypatch.setattr(files, "exchange", no_space)
    with pytest.raises(OSError, match="No space left"):
        fill(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["old"]
    assert names(tmp_path) == ["model"]


def test_two_folders_are_exchanged_in_one_call(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchange(tmp_path / "a", tmp_path / "b")
    assert (names(tmp_path / "a"), names(tmp_path / "b")) == (["b"], ["a"])
    with pytest.raises(FileNotFoundError, match="missing"):
        exchange(tmp_path / "a", tmp_path / "missing")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EXDEV])
def test_a_file_system_without_an_exchange_is_told_from_an_error(number, tmp_path, monkeypatch):
    class Library:
        def renameat2(self, *_):
            ctypes.set_errno(number)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library())
    assert not exchange(tmp_path / "a", tmp_path / "b")
    fill(tmp_path / "model", "old")
    fill(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["new"]
    assert names(tmp_path) == ["model"]


def test_windows_has_no_exchange(tmp_path, monkeypatch):
    """Nor a library that `None` names: `ctypes.CDLL(None)` is a TypeError there."""
    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: 1 / 0)
    fill(tmp_path / "model", "old")
    fill(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["new"]


@pytest.mark.usefixtures("way")
def test_a_folder_is_whole_after_a_kill_at_any_system_call(tmp_path):
    """Old or new, never none, and what is left behind is cleared away."""
    path = tmp_path / "model"

    def prepare():
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        fill(path, "old")

    found = []
    for _ in every_kill(lambda: fill(path, "new"), prepare=prepare):
        for interrupted in interrupted_folders(tmp_path, "m*"):
            recover(interrupted)
        found += names(path)
        assert names(tmp_path) == ["model"]
        assert (path / found[-1]).read_text() == found[-1]
    assert found == sorted(found, reverse=True), "once new, new"
    assert set(found) == {"old", "new"}
    assert names(path) == ["new"]  # the last time to its end


def test_a_file_is_whole_after_a_kill_at_any_system_call(tmp_path):
    path = tmp_path / "a.json"
    kills = every_kill(lambda: write_json(path, "new"), prepare=lambda: write_json(path, "old"))
    found = [json.loads(path.read_text()) for _ in kills]
    assert set(found) == {"old", "new"}
    assert names(tmp_path) == ["a.json"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    for kind in ("part", "old"):
        (tmp_path / f".model.{kind}").mkdir()
        (tmp_path / f".model.{kind}" / "torn").write_text("half")
    fill(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["new"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize(
    ("present", "found"),
    [
        (["model", ".model.part"], "model"),
        (["model", ".model.new"], ".model.new"),
        ([".model.new", ".model.old"], ".model.new"),
        (["model", ".model.old"], "model"),
        ([".model.old"], ".model.old"),
        ([".model.new"], ".model.new"),
        ([".model.part"], None),
    ],
)
def test_every_state_between_two_renames_is_recovered(present, found, tmp_path):
    for name in present:
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(name)
    recover(tmp_path / "model")
    assert names(tmp_path) == (["model"] if found else [])
    assert found is None or (tmp_path / "model" / "content").read_text() == found


# --- modes, and systems with other rules ---


@pytest.fixture(params=[0o022, 0o027, 0o002, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_files_of_a_folder_are_as_readable_as_the_umask_says(umask, tmp_path):
    """safetensors writes 0600 whatever the umask."""
    with whole_folder(tmp_path / "model") as part:
        save_file({"a": np.zeros(3)}, part / "model.safetensors")
        (part / "sub").mkdir()
        save_file({"a": np.zeros(3)}, part / "sub" / "more.safetensors")
    for file in ("model.safetensors", "sub/more.safetensors"):
        assert stat.S_IMODE((tmp_path / "model" / file).stat().st_mode) == 0o666 & ~umask, file


@pytest.fixture
def like_windows(monkeypatch):
    """Folders cannot be opened, and only what may be written can be flushed."""
    opened, flushed = os.open, os.fsync

    def refusing(path, flags, *rest, **given):
        if not isinstance(path, int) and Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *rest, **given)

    def strict(descriptor):
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flushed(descriptor)

    monkeypatch.setattr(os, "open", refusing)
    monkeypatch.setattr(os, "fsync", strict)
    monkeypatch.setattr(shutil, "_use_fd_functions", False)  # as there


@pytest.mark.usefixtures("like_windows")
def test_files_and_folders_are_written_where_folders_cannot_be_flushed(tmp_path):
    write_json(tmp_path / "a.json", 1)
    fill(tmp_path / "model", "old")
    fill(tmp_path / "model", "new")
    assert names(tmp_path) == ["a.json", "model"]


def test_a_folder_that_cannot_be_flushed_for_another_reason_is_an_error(tmp_path, monkeypatch):
    def broken(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        files.flush_to_disk(tmp_path)


def test_a_second_name_is_a_link_or_a_copy(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("text")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").samefile(tmp_path / "a")
    monkeypatch.setattr(type(tmp_path), "hardlink_to", no_space)
    link_or_copy(tmp_path / "a", tmp_path / "c")
    assert not (tmp_path / "c").samefile(tmp_path / "a")
    assert (tmp_path / "c").read_text() == "text"


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
