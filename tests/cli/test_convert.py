"""`qa convert`: files of others in, one validated file out."""

import json
import os
import stat
import threading

import pytest

from tests.support.commands import output
from tests.support.rows import CONTEXT, LUND, TALL, WHO, load, numbered, references, write

TABLE = f'question,context,answer\n{WHO},"{CONTEXT}",Ragna Lund\n{TALL},"{CONTEXT}",40 metres\n'


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet", "a.json.gz"])
def test_convert_writes_what_could_be_repaired_and_reports_the_rest(capsys, tmp_path, name):
    source, out = write(tmp_path / "in.csv", TABLE), tmp_path / name
    told = json.loads(output(capsys, "convert", source, out, "--on-bad-example", "repair", "--json").out)
    assert told["examples"] == 1
    assert {(one["kind"], one["action"]) for one in told["problems"]} == {
        ("answer without a place", "repaired"),
        ("answer without a place", "skipped"),
    }
    problems = [json.loads(line) for line in (tmp_path / f"{name}.problems.jsonl").read_text().splitlines()]
    assert [problem["row"] for problem in problems] == [0, 1]
    assert list(references(load(out)).values()) == [[LUND]]


def test_convert_stops_at_a_bad_row_and_leaves_nothing(capsys, tmp_path):
    source = write(tmp_path / "in.csv", TABLE)
    assert "2 bad examples" in output(capsys, "convert", source, tmp_path / "a.json", status=1).err
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
    assert "no format to write" in output(capsys, "convert", source, tmp_path / "a.txt", status=2).err


def test_convert_keeps_texts_without_places_for_scoring(capsys, tmp_path):
    source, out = write(tmp_path / "in.csv", TABLE), tmp_path / "a.json"
    output(capsys, "convert", source, out, "--references", "texts")
    found = references(load(out, purpose="texts"))
    assert list(found.values()) == [[("Ragna Lund", -1)], [("40 metres", -1)]]
    output(capsys, "convert", source, out, "--references", "texts", "--max-examples", "1", "--overwrite")
    assert len(load(out, purpose="texts")) == 1


@pytest.mark.parametrize("name", ["a.json", "a.parquet"])
def test_convert_replaces_a_file_only_when_told_and_writes_what_a_link_leads_to(capsys, tmp_path, name):
    source, target, link = write(tmp_path / "in.jsonl", numbered(2)), tmp_path / "target", tmp_path / name
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to("target")
    assert f"{target} exists" in output(capsys, "convert", source, link, status=2).err
    assert target.read_text() == "old"
    output(capsys, "convert", source, link, "--overwrite")
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert len(load(link)) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.jsonl", "target", name])


def test_convert_writes_into_a_pipe_and_to_standard_output(capsys, tmp_path):
    source, pipe, found = write(tmp_path / "in.csv", TABLE), tmp_path / "pipe.jsonl", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    output(capsys, "convert", source, pipe, "--on-bad-example", "repair")
    reader.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    told = output(capsys, "convert", source, "-", "--on-bad-example", "repair")
    assert found == [told.out]
    assert json.loads(told.out)["answers"]["text"] == ["Ragna Lund"]
    assert "1 examples, 2 problems" in told.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "pipe.jsonl"]
