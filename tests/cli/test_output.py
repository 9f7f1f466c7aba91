"""Where `qa predict` writes: links, pipes, standard output, files that exist; what an interrupted command leaves."""

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from qa.cli.output import open_bytes, open_output
from qa.errors import StorageError, UsageError

SOURCE = {"model": "a", "data": "b"}


def write(path, *lines, error=None, **options):
    """Write lines after those that are there; `error` comes after them."""
    options = {"overwrite": False, "resume": False, "source": SOURCE} | options
    with open_output(path, **options) as output:
        output.lines.writelines(f"{line}\n" for line in lines)
        if error is not None:
            raise error
        return output


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- what is written to ---


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "out.jsonl"
    with open_output(path, overwrite=False, resume=False, source=SOURCE) as output:
        output.lines.write("ü\n")
        assert not path.exists()
    assert path.read_bytes() == "ü\n".encode()
    assert names(tmp_path) == ["out.jsonl"]


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "target").write_text("old\n")
    (tmp_path / "link").symlink_to("there/target")
    write(tmp_path / "link", "new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "target").read_text() == "new\n"
    (tmp_path / "dangling").symlink_to("there/made")
    write(tmp_path / "dangling", "made")
    assert (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "there" / "made").read_text() == "made\n"


def test_links_in_a_circle_are_an_error_in_a_line(tmp_path):
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(StorageError, match=r"cannot write .*one: "):
        write(tmp_path / "one", "a")
    with pytest.raises(StorageError, match=r"cannot write .*one: "), open_bytes(tmp_path / "one", overwrite=True):
        pass


def test_a_pipe_gets_the_lines_and_stays(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write(pipe, "a", "b")
    reader.join()
    assert found == ["a\nb\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_that_only_a_descriptor_names_gets_the_lines():
    """What a shell makes of `>(command)`."""
    ends = os.pipe()
    for write_it in (lambda path: write(path, "a"), lambda path: write_bytes(path, b"a\n")):
        write_it(Path(f"/dev/fd/{ends[1]}"))
        assert os.read(ends[0], 100) == b"a\n"
    for end in ends:
        os.close(end)


def write_bytes(path, content):
    with open_bytes(path, overwrite=False) as output:
        output.file.write(content)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("name", ["-", "/dev/full"])
def test_a_full_disk_is_an_error_in_a_line(name, monkeypatch):
    with open("/dev/full", "w") as full:  # noqa: PTH123  # standard output, of which only the descriptor is looked at
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(StorageError, match=f"cannot write {name}: No space left on device"):
            write(Path(name), "a")
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_a_device_is_written(tmp_path):
    device = tmp_path.joinpath("/dev/null")
    write(device, "a")
    assert stat.S_ISCHR(device.stat().st_mode)


def in_a_process(function, descriptor):
    """Run with standard output on a descriptor."""
    child = os.fork()
    if child == 0:
        os.dup2(descriptor, 1)
        sys.stdout = os.fdopen(1, "w")
        try:
            function()
            sys.stdout.flush()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("name", ["-", "link"])
@pytest.mark.parametrize("to_file", [True, False])
def test_standard_output_by_any_name(name, to_file, tmp_path, monkeypatch):
    """As `-` and as `/proc/self/fd/1`, which is what `/dev/stdout` is; into a pipe and into a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("/proc/self/fd/1")
    path = type(tmp_path)(name)
    if to_file:
        with (tmp_path / "out").open("w") as out:
            in_a_process(lambda: (print("before"), sys.stdout.flush(), write(path, "a"), print("after")), out.fileno())
        found = (tmp_path / "out").read_text()
    else:
        ends = os.pipe()
        in_a_process(lambda: (print("before"), sys.stdout.flush(), write(path, "a"), print("after")), ends[1])
        found = os.read(ends[0], 100).decode()
        for end in ends:
            os.close(end)
    assert found == "before\na\nafter\n"
    assert (tmp_path / "link").is_symlink()
    assert set(names(tmp_path)) <= {"link", "out"}


def test_a_file_keeps_its_mode_and_a_new_one_has_the_umask_s(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "new", "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o600)
    write(tmp_path / "new", "b", overwrite=True)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"cannot write .*none/out"):
        write(tmp_path / "none" / "out", "a")
    with pytest.raises(StorageError, match="cannot write"):
        write(tmp_path, "a")  # a folder


# --- what is there already ---


def test_a_file_is_not_overwritten_unless_asked(tmp_path):
    write(tmp_path / "out", "old")
    with pytest.raises(UsageError, match="out exists; wanted another name, or --overwrite"):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out").read_text() == "old\n"
    write(tmp_path / "out", "new", overwrite=True)
    assert (tmp_path / "out").read_text() == "new\n"
    with pytest.raises(UsageError, match="wanted one of them"):
        write(tmp_path / "out", "x", overwrite=True, resume=True)


# --- interrupted ---


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("broken"), OSError(28, "No space left on device")])
def test_what_was_done_is_kept_and_gone_on_with(error, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises((KeyboardInterrupt, ValueError, StorageError)) as caught:
        write(out, "a", "b", error=error)
    assert "out.part, --resume goes on from there" in capsys.readouterr().err + str(caught.value)
    assert (tmp_path / "out.part").read_text() == "a\nb\n"
    with pytest.raises(UsageError, match=r"found .*out\.part of an interrupted command; wanted --resume or"):
        write(out, "a")
    assert write(out, "c", resume=True).done == 2
    assert out.read_text() == "a\nb\nc\n"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("left", "multiple", "kept"),
    [("a\nb\nc", 1, 2), ("a\nb\nc\n", 2, 2), ("a\nb\nc\nd", 2, 2), ("a", 1, 0), ("a\nb\n", 4, 0), ("", 1, 0)],
)
def test_a_torn_line_and_an_incomplete_group_are_done_again(left, multiple, kept, tmp_path):
    """As a kill leaves them."""
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", error=KeyboardInterrupt())
    (tmp_path / "out.part").write_text(left)
    rest = ["a", "b", "c", "d"][kept:]
    assert write(tmp_path / "out", *rest, resume=True, multiple=multiple).done == kept
    assert (tmp_path / "out").read_text() == "a\nb\nc\nd\n"


def test_lines_of_another_model_or_data_are_not_gone_on_with(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", "a", error=KeyboardInterrupt())
    with pytest.raises(UsageError, match=r"out\.part is made of something else: model is 'a' there and 'other' here"):
        write(tmp_path / "out", resume=True, source=SOURCE | {"model": "other"})
    (tmp_path / "out.part.json").write_text("{")
    with pytest.raises(UsageError, match="cannot read"):
        write(tmp_path / "out", resume=True)
    write(tmp_path / "out", "new", overwrite=True)
    assert names(tmp_path) == ["out"]


def test_going_on_with_nothing_begins(tmp_path):
    assert write(tmp_path / "out", "a", resume=True).done == 0
