"""`qa cache` lists and prunes."""

import json

import pytest

from qa.cli.main import main
from qa.data.store import stored

KEYS = ("0" * 32, "1" * 32)


@pytest.fixture
def cache(tmp_path):
    for key in KEYS:
        stored(tmp_path, key, lambda folder: (folder / "rows.arrow").write_bytes(b"x" * (1 << 20)))
    return tmp_path


def printed(capsys, *arguments):
    assert main(["cache", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_entries_are_listed(cache, capsys):
    shown = printed(capsys, "--cache-dir", cache)
    assert all(key in shown for key in KEYS)
    assert "2 entries, 2.0 MiB" in shown
    found = json.loads(printed(capsys, "--cache-dir", cache, "--json"))
    assert {entry["entry"] for entry in found["entries"]} == set(KEYS)
    assert found["bytes"] >= 2 << 20
    assert "0 entries" in printed(capsys, "--cache-dir", cache / "elsewhere")


def test_old_entries_are_deleted_when_asked(cache, capsys):
    assert "deleted 2" not in printed(capsys, "--cache-dir", cache, "--prune-days", "1")
    assert "deleted 2 entries, 2.0 MiB" in printed(capsys, "--cache-dir", cache, "--prune-days", "0")
    assert not any((cache / key).exists() for key in KEYS)


def test_a_negative_age_is_a_wrong_command_line(cache, capsys):
    assert main(["cache", "--cache-dir", str(cache), "--prune-days=-1"]) == 2
    assert "--prune-days is -1; wanted 0 or more" in capsys.readouterr().err
