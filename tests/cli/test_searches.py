"""`qa calibrate --searches`: the weight of shared words is fitted, measured, and saved where it finds more."""

import json
from dataclasses import replace

import pytest

from qa.cli.main import main
from qa.modeling.settings import load_settings
from tests.support import tiny
from tests.support.predictors import SETTINGS, saved

pytest.importorskip("bm25s", reason="needs bm25s; pip install 'extractive-qa[search]'")
NAMES = ("tower", "river", "bridge", "garden", "market", "castle")


@pytest.fixture
def data(tmp_path):
    """Passages whose words say at once which one a question is about; of one title, and one alone."""
    rows = [
        tiny.example(
            f"How long is the {name} number {at}?",
            f"The {name} number {at} is long.",
            "long",
            id=f"{name}{at}",
            title=f"title {at // 2}",
        )
        for at in range(10)
        for name in NAMES
    ]
    rows.append(tiny.example("Where?", "Here it is.", "Here", id="alone", title="b"))
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def run(capsys, *arguments):
    capsys.readouterr()
    assert main(["calibrate", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_the_weight_is_saved_where_it_finds_more(capsys, tmp_path, data):
    folder = saved(tmp_path / "model")
    report = json.loads(run(capsys, folder, data, "--searches", 60, "--json"))["searches"]
    assert report["fitted_questions"] + report["measured_questions"] == 60
    assert report["words"] > 90 > report["reader"]
    assert report["fitted"] > report["before"] == report["reader"]
    assert load_settings(folder).lexical_weight == report["weight"] == report["fitted_weight"] > 0
    again = json.loads(run(capsys, folder, data, "--searches", 60, "--json"))["searches"]
    assert again["before"] == report["fitted"]


def test_nothing_is_searched_unless_asked_or_saved_unless_allowed(capsys, tmp_path, data):
    folder = saved(tmp_path / "model")
    assert "searches" not in json.loads(run(capsys, folder, data, "--no-save", "--json"))
    shown = run(capsys, folder, data, "--searches", 55, "--no-save")
    assert "words (BM25)" in shown
    assert load_settings(folder) == SETTINGS


def test_few_questions_change_nothing(capsys, tmp_path, data):
    folder = saved(tmp_path / "model", own=replace(SETTINGS, lexical_weight=0.25))
    report = json.loads(run(capsys, folder, data, "--searches", 20, "--json"))["searches"]
    assert report["weight"] == load_settings(folder).lexical_weight == 0.25


def test_examples_without_passages_to_choose_from_are_refused(capsys, tmp_path):
    folder, bare = saved(tmp_path / "model"), tmp_path / "bare.jsonl"
    rows = (tiny.example("Where?", f"Here is {at}.", "Here", id=str(at), title=f"title {at}") for at in range(8))
    bare.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert main(["calibrate", str(folder), str(bare), "--searches", "3"]) == 1
    assert "wanted some, to search among them" in capsys.readouterr().err
