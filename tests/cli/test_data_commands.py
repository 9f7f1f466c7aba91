"""`qa convert`, `qa split` and what `qa score` forgives: files of others in, validated sets and scores out."""

import json
import os
import stat
import threading

import pytest

from qa.cli.main import main
from tests.support.rows import CONTEXT, LUND, TALL, WHO, answers, load, references, write

TABLE = f'question,context,answer\n{WHO},"{CONTEXT}",Ragna Lund\n{TALL},"{CONTEXT}",40 metres\n'


def output(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == status
    return capsys.readouterr()


def rows(contexts, each=2):
    return [
        {"id": f"{at}-{nth}", "title": f"t{at // 3}", "question": f"{WHO} {nth}", "context": f"{at} {CONTEXT}"}
        | {"answers": answers(("Ragna Lund", len(f"{at} ") + 48)) if nth else answers()}
        for at in range(contexts)
        for nth in range(each)
    ]


# --- convert ---


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
    source, target, link = write(tmp_path / "in.jsonl", rows(2)), tmp_path / "target", tmp_path / name
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


# --- split ---


def test_split_puts_no_context_on_both_sides(capsys, tmp_path):
    source = write(tmp_path / "in.jsonl", rows(20))
    told = json.loads(output(capsys, "split", source, tmp_path / "out", "--test", "0.2", "--json").out)
    assert told["files"] == {"train.jsonl": 28, "validation.jsonl": 4, "test.jsonl": 8}
    parts = [load(tmp_path / "out", split=split) for split in ("train", "validation", "test")]
    contexts = [set(part.rows["context"]) for part in parts]
    assert sum(map(len, contexts)) == len(set.union(*contexts)) == 20
    for part in parts:
        assert sum(not one["text"] for one in part.rows["answers"]) == len(part) // 2
    assert output(capsys, "split", source, tmp_path / "out", status=1).err.endswith("wanted a new folder\n")


@pytest.mark.parametrize(("by", "together"), [("context", "context"), ("title", "title")])
def test_folds_hold_every_example_once_for_validation(capsys, tmp_path, by, together):
    source = write(tmp_path / "in.jsonl", rows(12))
    output(capsys, "split", source, tmp_path / "out", "--folds", "3", "--by", by, "--format", "parquet")
    seen = []
    for fold in (1, 2, 3):
        folder = tmp_path / "out" / f"fold-{fold}"
        train, validation = load(folder, split="train"), load(folder, split="validation")
        assert not set(train.rows[together]) & set(validation.rows[together])
        assert len(train) + len(validation) == 24
        seen += validation.rows["id"][:]
    assert sorted(seen) == sorted(row["id"] for row in rows(12))


def test_split_is_the_same_for_the_same_seed(capsys, tmp_path):
    source = write(tmp_path / "in.jsonl", rows(20))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        output(capsys, "split", source, tmp_path / name, "--seed", seed)
    first, same, other = ((tmp_path / name / "validation.jsonl").read_bytes() for name in "abc")
    assert first == same != other


@pytest.mark.parametrize("flags", [("--validation", "1"), ("--validation", "0"), ("--folds", "1"), ("--test", "0.95")])
def test_shares_and_folds_that_are_none_are_a_wrong_command_line(capsys, tmp_path, flags):
    source = write(tmp_path / "in.jsonl", rows(4))
    assert "wanted" in output(capsys, "split", source, tmp_path / "out", *flags, status=2).err
    assert not (tmp_path / "out").exists()


# --- score ---


def scored(capsys, tmp_path, found, *flags, listed=None, status=0):
    references = write(tmp_path / "references.jsonl", listed or rows(2))
    return output(capsys, "score", references, write(tmp_path / "found.json", found), *flags, status=status)


def test_score_does_what_the_official_scripts_do_with_other_ids_where_asked(capsys, tmp_path):
    found = {"0-1": "Ragna Lund", "nobody": "x"}
    shown = scored(capsys, tmp_path, found, "--missing", "zero", "--json")
    assert json.loads(shown.out)["exact"] == 25.0
    assert "3 examples have no prediction and count 0; 1 predictions are of no example" in shown.err


def test_score_needs_no_places_and_takes_as_many_as_asked(capsys, tmp_path):
    listed = [row | {"answers": answers(("Ragna Lund", -1))} for row in rows(4)]
    found = {row["id"]: "Ragna Lund" if at < 4 else "x" for at, row in enumerate(listed)}
    assert json.loads(scored(capsys, tmp_path, found, "--json", listed=listed).out)["exact_match"] == 50.0
    some = scored(capsys, tmp_path, found, "--json", "--max-examples", "2", listed=listed).out
    assert json.loads(some)["exact_match"] == 50.0
    one = scored(capsys, tmp_path, found, "--json", "--max-examples", "1", listed=listed).out
    assert json.loads(one)["exact_match"] == 100.0


def test_score_says_which_threshold_it_used_and_offers_the_official_one(capsys, tmp_path):
    found = {row["id"]: "Ragna Lund" for row in rows(2)}
    odds = write(tmp_path / "odds.json", dict.fromkeys(found, 2.0))
    assert "threshold: none (only empty predictions" in scored(capsys, tmp_path, found).out
    offered = scored(capsys, tmp_path, found, "--null-odds", odds).out
    assert "the official command's is 1.0: --threshold official" in offered
    official = scored(capsys, tmp_path, found, "--null-odds", odds, "--threshold", "official")
    assert "threshold: 1.0" in official.out
    own = json.loads(scored(capsys, tmp_path, found, "--null-odds", odds, "--json").out)
    at_1 = json.loads(scored(capsys, tmp_path, found, "--null-odds", odds, "--threshold", "official", "--json").out)
    assert (own["no_answer_threshold"], at_1["no_answer_threshold"]) == (None, 1.0)
    assert (own["NoAns_exact"], at_1["NoAns_exact"]) == (0.0, 100.0)


def test_score_skips_bad_references_where_asked(capsys, tmp_path):
    bad = {"id": "bad", "question": WHO, "context": CONTEXT, "answers": 7.5, "is_impossible": "maybe"}
    listed = [*rows(2), bad]
    found = {row["id"]: "Ragna Lund" if row["id"].endswith("1") else "" for row in rows(2)}
    assert "1 bad examples" in scored(capsys, tmp_path, found, listed=listed, status=1).err
    shown = scored(capsys, tmp_path, found, "--on-bad-example", "skip", "--json", listed=listed)
    assert json.loads(shown.out)["exact"] == 100.0
    assert "1 references: is_impossible of wrong type (skipped)" in shown.err
