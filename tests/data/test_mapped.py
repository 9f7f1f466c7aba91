"""Examples that one process has read for all: those of loading, of the content that is there, and whole."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets
import pyarrow as pa
import pytest

from qa.config import DataConfig, FeaturesConfig, RunConfig
from qa.data import load_training_examples, mapped
from qa.data.examples import load_examples
from qa.data.mapped import Wanted, mapped_examples
from qa.data.sieve import ROWS_AT_ONCE
from qa.errors import DataError, ExampleError, SplitError, StorageError
from tests.support.rows import CONTEXT, LUND, TALL, WHO, answers, row, write


@pytest.fixture(autouse=True)
def reads(monkeypatch):
    """Every source that is read, however small."""
    read, rows = [], mapped.read_rows
    monkeypatch.setattr(mapped, "SMALL", 1)
    monkeypatch.setattr(mapped, "read_rows", lambda source, **more: read.append(source) or rows(source, **more))
    return read


def wanted(source, policy="error", **more):
    return Wanted(source=str(source), split="train", config=DataConfig(on_bad_example=policy), **more)


def same(one, other):
    return (
        one.rows.to_list() == other.rows.to_list()
        and one.rows.features == other.rows.features
        and (one.problems, one.notes, one.fingerprint) == (other.problems, other.notes, other.fingerprint)
    )


def many():
    """Over two chunks: rows without ids and answers first, an id and answers that come late, bad rows in both."""
    good = [row(at) for at in range(ROWS_AT_ONCE + 5)]
    bad = row("bad", text="nowhere")
    return [{**good[0], "answers": None}, {**good[1], "id": None}, bad, *good[2:], row("late", start=0)]


def without_ids():
    return [{"question": question, "context": CONTEXT, "answers": answers(LUND)} for question in (WHO, TALL, WHO)]


def without_answers():
    return [{"question": WHO, "context": CONTEXT, "id": str(at)} for at in range(3)]


@pytest.mark.parametrize("rows", [many, without_ids, without_answers, lambda: [row(id="\u00e9\u2028")]])
@pytest.mark.parametrize("policy", ["skip", "repair"])
def test_examples_problems_notes_and_fingerprint_are_those_of_loading(rows, policy, tmp_path, reads):
    path = write(tmp_path / "a.jsonl", rows())
    loaded = load_examples(**vars(wanted(path, policy)))
    for _ in range(2):
        assert same(mapped_examples(wanted(path, policy), tmp_path / "cache"), loaded)
    assert len(reads) == 1
    (entry,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    assert sorted(file.name for file in entry.iterdir()) == ["facts.json", "manifest.json", "rows.arrow"]


def test_what_is_made_of_mapped_rows_has_a_fingerprint_of_its_own(tmp_path):
    path = write(tmp_path / "a.jsonl", many())
    settings = {"data": DataConfig(on_bad_example="skip"), "max_train_examples": 7, "train_weight": 1.5}
    config = RunConfig(train_data=str(path), features=FeaturesConfig(cache_dir=tmp_path / "cache"), **settings)
    found = load_training_examples(config)
    with pytest.MonkeyPatch.context() as plainly:
        plainly.setattr(mapped, "SMALL", 1 << 30)
        assert same(found, load_training_examples(config))
    assert found.fingerprint != mapped_examples(wanted(path, "skip"), tmp_path / "cache").fingerprint


def test_an_entry_is_of_the_content_and_of_what_is_asked_of_it(tmp_path, reads, monkeypatch):
    def fingerprint(path, *policy, **more):
        return mapped_examples(wanted(path, *policy, **more), tmp_path / "cache").fingerprint

    path = write(tmp_path / "a.jsonl", [row(0), row(1)])
    first = fingerprint(path)
    stat = path.stat()
    write(path, [row(1), row(0)])  # as many bytes
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fingerprint(path) != first
    assert fingerprint(write(tmp_path / "other.jsonl", [row(0), row(1)])) == first
    assert len(reads) == 2
    fingerprint(path, "repair")
    fingerprint(path, purpose="texts")
    assert len(reads) == 4
    code = tmp_path / "code"
    code.mkdir()
    (code / "sieve.py").write_text("x = 1")
    monkeypatch.setattr(mapped, "files", lambda _: code)
    fingerprint(path)
    assert len(reads) == 5


def test_a_bad_row_stops_all_and_leaves_no_entry(tmp_path, reads):
    path = write(tmp_path / "a.jsonl", [row(at, text="no") for at in range(1_200)])
    with pytest.raises(ExampleError) as plain:
        load_examples(**vars(wanted(path)))
    for _ in range(2):
        with pytest.raises(ExampleError) as error:
            mapped_examples(wanted(path), tmp_path / "cache")
        assert str(error.value) == str(plain.value)
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []
    assert len(reads) == 2


def longer(file):
    write(file, [row(0), row(1), row(2)])


def replaced(file):
    """As many bytes of the same time."""
    stat, other = file.stat(), write(file.with_name("other.jsonl"), [row(1), row(0)])
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(file)


def joined_by_another(file):
    file.rename(file.with_name("train-00000-of-00002.jsonl"))
    write(file.with_name("train-00001-of-00002.jsonl"), [row(2)])


@pytest.mark.parametrize("change", [longer, replaced, joined_by_another])
@pytest.mark.parametrize("first", [False, True])
def test_a_source_that_changes_while_it_is_read_is_refused(change, first, tmp_path, monkeypatch):
    """Before its first row is read, or after its last."""
    folder = tmp_path / "source"
    folder.mkdir()
    path = write(folder / "train.jsonl", [row(0), row(1)])
    rows = mapped.read_rows

    def changing(source, **more):
        if first:
            change(path)
        yield from rows(source, **more)
        if not first:
            change(path)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(mapped, "read_rows", changing)
        with pytest.raises(DataError, match="has changed while it was read"):
            mapped_examples(wanted(folder), tmp_path / "cache")
    assert same(mapped_examples(wanted(folder), tmp_path / "cache"), load_examples(**vars(wanted(folder))))


def test_a_source_that_goes_while_it_is_read_is_named_and_not_the_cache(tmp_path, monkeypatch):
    path = write(tmp_path / "a.jsonl", [row(0), row(1)])
    rows = mapped.read_rows

    def going(source, **more):
        yield from rows(source, **more)
        path.unlink()
        path.read_bytes()

    monkeypatch.setattr(mapped, "read_rows", going)
    with pytest.raises(DataError, match=r"a\.jsonl: cannot be read: FileNotFoundError"):
        mapped_examples(wanted(path), tmp_path / "cache")


def test_a_disk_that_is_full_is_named_and_not_the_source(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = write(tmp_path / "a.jsonl", [row(0)])
    monkeypatch.setattr(pa.ipc, "new_stream", full)
    with pytest.raises(StorageError, match=r"cannot write the cache .*: No space left on device"):
        mapped_examples(wanted(path), tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def packed(folder):
    return write(folder / "a.jsonl.gz", [row(0), row(1)])


def windows_lines(folder):
    return write(folder / "a.csv", "id,question,context,answer\r\n1,Who?,the cat sat,cat\r\n2,Who?,a cat,cat\r\n")


def link(folder):
    (folder / "link.jsonl").symlink_to(write(folder / "a.jsonl", [row(0), row(1)]))
    return folder / "link.jsonl"


def link_to_a_folder(folder):
    (folder / "real").mkdir()
    write(folder / "real" / "train.jsonl", [row(0), row(1)])
    (folder / "link").symlink_to(folder / "real", target_is_directory=True)
    return folder / "link"


@pytest.mark.parametrize("made", [packed, windows_lines, link, link_to_a_folder])
def test_sources_of_every_kind_are_found_again_from_another_folder(made, tmp_path, monkeypatch, reads):
    path, other = made(tmp_path), tmp_path / "elsewhere"
    other.mkdir()
    loaded = load_examples(**vars(wanted(path, "repair")))
    monkeypatch.chdir(tmp_path)
    here = mapped_examples(wanted(path.relative_to(tmp_path), "repair"), Path("cache"))
    monkeypatch.chdir(other)
    there = mapped_examples(wanted(Path("..") / path.name, "repair"), Path("../cache"))
    assert same(here, loaded)
    assert same(there, loaded)
    assert len(reads) == 1


def test_all_that_come_at_once_read_once(tmp_path, reads):
    path = write(tmp_path / "a.jsonl", many())
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: mapped_examples(wanted(path, "skip"), tmp_path / "cache"), range(4)))
    assert len({examples.fingerprint for examples in found}) == 1
    assert len(reads) == 1


def test_folders_and_saved_sets_are_read_once(tmp_path, reads):
    (tmp_path / "plain").mkdir()
    write(tmp_path / "plain" / "train.jsonl", [row(0), row(1)])
    write(tmp_path / "plain" / "notes.jsonl", [row(2)])
    datasets.Dataset.from_list([row(0), row(1)]).save_to_disk(tmp_path / "saved")
    found = [mapped_examples(wanted(tmp_path / name), tmp_path / "cache") for name in ("plain", "saved") * 2]
    assert len({examples.fingerprint for examples in found}) == 1
    assert len(reads) == 2


def test_sets_of_the_hub_are_read_once(tmp_path, reads, monkeypatch):
    datasets.Dataset.from_list([row(0), row(1)]).save_to_disk(tmp_path / "hub")
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.load_from_disk(str(tmp_path / "hub")))
    for _ in range(2):
        assert len(mapped_examples(wanted("owner/name"), tmp_path / "cache")) == 2
    assert reads == ["owner/name"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("./nothing.jsonl", DataError),
        ("https://example.org/a/train.jsonl", DataError),
        ("empty.jsonl", DataError),
        ("folder", SplitError),
    ],
)
def test_what_cannot_be_read_is_named_as_ever(source, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(error) as plain:
        load_examples(**vars(wanted(source)))
    with pytest.raises(error) as found:
        mapped_examples(wanted(source), tmp_path / "cache")
    assert str(found.value) == str(plain.value)


def test_an_own_split_that_is_not_there_is_named_as_ever(tmp_path):
    path = write(tmp_path / "a.jsonl", [row(0)])
    with pytest.raises(SplitError, match="one file, without splits"):
        mapped_examples(wanted(path, own_split=True), tmp_path / "cache")


def test_small_sources_and_embedded_ones_leave_no_entry(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "SMALL", 1 << 20)
    path = write(tmp_path / "a.jsonl", [row(0)])
    for source in (path, "sample"):
        assert len(mapped_examples(wanted(source), tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_problems_with_ids_that_utf8_has_not_are_kept(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([row(0), row("x", id="\ud800")]), encoding="ascii")
    for _ in range(2):
        (problem,) = mapped_examples(wanted(path, "skip"), tmp_path / "cache").problems
        assert problem.id == "\ud800"
