"""Questions of a paragraph merged into ones that ask for several things."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qa.experiments.campaign import Campaign
from qa.experiments.commands import command_of
from qa.metrics.multi_span import multi_span_score
from tests.benchmarks.several_answers import (
    LEARNERS,
    LIMITED,
    MOST_ANSWERS,
    MOST_MERGED,
    SCORE,
    best_limited,
    learning,
    main,
    merged,
    once,
    scoring,
    spread,
    write_data,
)
from tests.support import tiny

TEXT = "Anna wrote the book in 1990, and Bert printed it in Oslo."


def test_questions_whose_answers_are_apart_are_joined_and_others_stay():
    rows = [
        tiny.example("Who wrote it?", TEXT, "Anna", id="a"),
        tiny.example("Who did?", TEXT, "Anna wrote", id="b"),
        tiny.example("Who read it?", TEXT, id="c"),
        tiny.example("Where?", TEXT, "Oslo", id="d"),
        tiny.example("When?", TEXT, "1990", id="e"),
        tiny.example("Who?", "Nobody.", "Nobody", id="f"),
    ]
    found = {row["id"]: row for row in merged(rows)}
    assert {key: row["answers"]["text"] for key, row in found.items()} == {
        "b": ["Anna wrote"],
        "c": [],
        "a-joined": ["Anna", "Oslo"],
        "e": ["1990"],
        "f": ["Nobody"],
    }
    assert found["a-joined"]["question"] == "Who wrote it? Where?"


def test_every_question_is_in_one_that_is_left_with_its_answer_at_its_place():
    rows = [row for row in tiny.sample_rows("train")[:60] if len(row["answers"]["text"]) < 2]
    found = list(merged(rows))
    assert sum(max(len(row["answers"]["text"]), 1) for row in found) == len(rows)
    assert max(len(row["answers"]["text"]) for row in found) == MOST_MERGED
    for row in found:
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start : start + len(text)] == text


def test_paragraphs_are_taken_whole_from_everywhere():
    rows = [{"id": f"{at}-{nth}", "context": str(at)} for at in range(10) for nth in range(3)]
    found = spread(rows, 10)
    assert [row["id"] for row in found] == [f"{at}-{nth}" for at in (0, 3, 6, 9) for nth in range(3)]
    assert spread(rows, 100) == rows


def test_questions_that_an_earlier_set_has_are_left_out():
    one, other = [{"id": "a"}, {"id": "b"}], [{"id": "b"}, {"id": "c"}]
    assert list(once([one, other])) == [one, [{"id": "c"}]]


@pytest.mark.parametrize("preset", ["minilm-squad", "few-labels"])
def test_its_runs_are_taken_whatever_the_preset_decodes_by(preset, tmp_path):
    """The presets' length cost is refused by a head that finds all answers."""
    command = command_of(["${interpreter}", "${program}", preset], "train_qa.py")
    campaign = Campaign(folder=tmp_path, command=command, say=print)
    data = {split: tmp_path / f"{split}.jsonl" for split in ("train", "validation", "apart")}
    learned = learning(SimpleNamespace(seeds=[1, 2]), campaign, data)
    assert len(learned) == 2 * len(LEARNERS)
    scored = scoring(campaign, learned, data)
    assert set(scored) == {("reader", 1), ("reader", 2)}
    campaign.check([*learned.values(), *scored.values()])
    for key, trial in scored.items():
        assert trial.flags["model"] == str(campaign.folder_of(learned[key]) / "model")
        assert (trial.flags["data.answers"], trial.flags["training.max-steps"]) == ("all", 0)


def squad(folder):
    folder.mkdir()
    rows = [tiny.example("Who?", TEXT, "Anna", id="a"), tiny.example("Where?", TEXT, "Oslo", id="b")]
    for split in ("train", "validation"):
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), folder / f"{split}.parquet")
    return folder


def test_merged_questions_are_learned_beside_those_that_they_were_made_of(tmp_path):
    options = SimpleNamespace(out=tmp_path / "out", data=[squad(tmp_path / "squad")], questions=10, scored=10)
    found = {
        name: [json.loads(line) for line in path.read_text().splitlines()] for name, path in write_data(options).items()
    }
    assert [row["answers"]["text"] for row in found["apart"][:2]] == [["Anna"], ["Oslo"]]
    assert found["train"][:2] == found["apart"][:2]
    assert found["train"][2]["answers"]["text"] == ["Anna", "Oslo"]
    assert found["train"][3:] == found["apart"][2:]
    assert len({row["id"] for row in found["train"]}) == len(found["train"])
    assert TEXT not in {row["context"] for row in found["validation"]}


def test_the_best_threshold_and_limit_are_found_together():
    """Against all thresholds and limits tried one by one with the public metric."""
    drawn = np.random.default_rng(3)
    words = ["anna", "bert", "oslo", "anna bert", "the bert", "1990"]
    answers, references = [], []
    for _ in range(40):
        odds = sorted(drawn.choice([0.2, 0.4, 0.6, 0.8, 0.9], size=drawn.integers(0, 5)), reverse=True)
        answers.append([{"score": float(one), "answer": str(drawn.choice(words))} for one in odds])
        references.append([str(word) for word in drawn.choice(words, size=drawn.integers(0, 4), replace=False)])
    wanted = max(
        multi_span_score(
            {str(at): [one["answer"] for one in own if one["score"] >= least][:most] for at, own in enumerate(answers)},
            {str(at): own for at, own in enumerate(references)},
        )["overlap_f1"]
        for least in (0.2, 0.4, 0.6, 0.8, 0.9)
        for most in range(1, MOST_ANSWERS + 1)
    )
    found, most = best_limited(answers, references)
    assert found == pytest.approx(wanted, abs=1e-9)
    assert 1 <= most <= MOST_ANSWERS


def test_a_limit_is_found_that_a_threshold_cannot_replace():
    """The second answers are surer than another question's first one, and all are wrong."""
    answers = [
        [{"score": 0.9, "answer": "anna"}, {"score": 0.8, "answer": "xyz"}],
        [{"score": 0.5, "answer": "oslo"}],
    ]
    assert best_limited(answers, [["Anna"], ["Oslo"]]) == (100.0, 1)


@pytest.mark.slow
def test_all_learners_are_scored_for_all_answers(tmp_path, monkeypatch, capsys):
    tiny.save_reader(tmp_path / "model")
    command = f"${{interpreter}} ${{program}} --model {tmp_path / 'model'} --training.max-steps 2"
    command += " --features.least-round-trip 0"  # the tiny model does not know all characters
    files = ["--data", str(squad(tmp_path / "squad")), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["several_answers", *files, "--seeds", "1", "--command", command])
    assert main() in (0, 1)
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert set(table) == {SCORE, LIMITED}
    for means in table.values():
        assert set(means) == set(LEARNERS)
        assert all(0 <= mean <= 100 for mean in means.values())
    main()
    assert "3 of 3 runs are finished" in capsys.readouterr().out  # the same command does nothing twice
