"""`qa score`: the official scores of files of predictions."""

import json

import pytest

from qa import metrics
from qa.metrics.multi_span import multi_span_score
from tests.support import tiny
from tests.support.commands import output, read_lines
from tests.support.predictors import CONTEXT, QUESTION
from tests.support.rows import CONTEXT as LIGHTHOUSE
from tests.support.rows import WHO, answers, numbered, write


def test_score_of_what_predict_wrote_is_the_official_score(capsys, predicted):
    scores = json.loads(output(capsys, "score", predicted / "references.jsonl", predicted / "out.jsonl", "--json").out)
    lines = {line["id"]: line for line in read_lines(predicted / "out.jsonl")}
    references = {row["id"]: row["answers"]["text"] for row in read_lines(predicted / "references.jsonl")}
    spans = {key: line["best_span"] for key, line in lines.items()}
    odds = {key: line["null_odds"] for key, line in lines.items()}
    assert scores == metrics.score(spans, references, null_odds=odds) | {"no_answer_threshold": None}
    assert {"exact", "f1", "HasAns_f1", "NoAns_f1", "best_f1", "best_f1_thresh"} <= scores.keys()


def test_score_tries_a_threshold(capsys, predicted):
    files = predicted / "references.jsonl", predicted / "out.jsonl"
    always = json.loads(output(capsys, "score", *files, "--threshold", "-1e9", "--json").out)
    assert always["NoAns_exact"] == 100.0
    assert always["HasAns_exact"] == 0.0


@pytest.fixture
def official(predicted, tmp_path):
    """The same predictions in the official v2.0 format."""
    lines = read_lines(predicted / "out.jsonl")
    texts, odds = tmp_path / "predictions.json", tmp_path / "null_odds.json"
    texts.write_text(json.dumps({line["id"]: line["answer"] for line in lines}))
    odds.write_text(json.dumps({line["id"]: line["null_odds"] for line in lines}))
    return texts, odds


def test_score_takes_the_official_formats_of_v2(capsys, predicted, official):
    texts, odds = official
    own = json.loads(output(capsys, "score", predicted / "references.jsonl", predicted / "out.jsonl", "--json").out)
    plain = json.loads(output(capsys, "score", predicted / "references.jsonl", texts, "--json").out)
    assert plain == {key: value for key, value in own.items() if not key.startswith("best_")}
    with_odds = ("--null-odds", odds, "--json")
    swept = json.loads(output(capsys, "score", predicted / "references.jsonl", texts, *with_odds).out)
    assert swept.keys() == own.keys()
    assert {key: swept[key] for key in plain} == plain


def test_score_of_v1_has_the_keys_of_v1(capsys, tmp_path):
    rows = [row for row in tiny.sample_rows("validation") if row["answers"]["text"]][:3]
    references, texts = tmp_path / "references.jsonl", tmp_path / "predictions.json"
    references.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    texts.write_text(json.dumps({row["id"]: row["answers"]["text"][0] for row in rows[:2]} | {rows[2]["id"]: "?"}))
    found = json.loads(output(capsys, "score", references, texts, "--json").out)
    assert found == {"exact_match": pytest.approx(200 / 3), "f1": pytest.approx(200 / 3)}
    shown = output(capsys, "score", references, texts).out
    assert "exact_match" in shown
    assert "66.67" in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "line 1 is not JSON"),
        ("[1]", "wanted an object with texts id and answer"),
        ('{"id": "a"}', "wanted an object with texts id and answer"),
        ('{"id": "a", "answer": "x"}\n\n{"id": "a", "answer": "y"}', "line 3: id 'a' is there twice"),
        ('{"a": 3}', "example 'a' has 3; wanted a text"),
        ('{"a": null}', "example 'a' has None; wanted a text"),
        ('[{"id": 1', "line 1 is not JSON"),
        (
            '[{"id": 1, "prediction_text": "x"}, {"id": "1", "prediction_text": "y"}]',
            "prediction 2: id '1' is there twice",
        ),
        ('{"a": "x"}', "a prediction but no reference"),
    ],
)
def test_score_says_what_is_wrong_with_a_file(capsys, predicted, tmp_path, content, message):
    path = tmp_path / "predictions"
    path.write_text(content)
    assert message in output(capsys, "score", predicted / "references.jsonl", path, status=1).err


def test_score_takes_predictions_as_evaluate_does(capsys, predicted, official, tmp_path):
    texts, odds = (json.loads(path.read_text()) for path in official)
    listed = [{"id": key, "prediction_text": text, "no_answer_probability": odds[key]} for key, text in texts.items()]
    references = predicted / "references.jsonl"
    wanted = output(capsys, "score", references, official[0], "--null-odds", official[1], "--json").out
    path = tmp_path / "listed.json"
    path.write_text(json.dumps(listed))
    assert output(capsys, "score", references, path, "--json").out == wanted
    for row in listed:
        del row["no_answer_probability"]
    path.write_text(json.dumps(listed))
    wanted = output(capsys, "score", references, official[0], "--json").out
    assert output(capsys, "score", references, path, "--json").out == wanted


def test_score_takes_ids_that_are_integers(capsys, tmp_path):
    rows = [{"id": 7, "question": WHO, "context": LIGHTHOUSE, "answers": answers(("Ragna Lund", 48))}]
    references = write(tmp_path / "references.jsonl", rows)
    lines = write(tmp_path / "found.jsonl", [{"id": 7, "answer": "Ragna Lund"}])
    assert json.loads(output(capsys, "score", references, lines, "--json").out)["exact_match"] == 100.0


def test_score_needs_what_it_needs(capsys, predicted, official, tmp_path):
    references = predicted / "references.jsonl"
    assert "null odds" in output(capsys, "score", references, official[0], "--threshold", "0", status=1).err
    assert "cannot read" in output(capsys, "score", references, tmp_path / "none", status=1).err
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps({"id": "a", "question": QUESTION, "context": CONTEXT}))
    assert "no references" in output(capsys, "score", bare, official[0], status=1).err


def scored(capsys, tmp_path, found, *flags, listed=None, status=0):
    references = write(tmp_path / "references.jsonl", listed or numbered(2))
    return output(capsys, "score", references, write(tmp_path / "found.json", found), *flags, status=status)


def test_score_does_what_the_official_scripts_do_with_other_ids_where_asked(capsys, tmp_path):
    found = {"0-1": "Ragna Lund", "nobody": "x"}
    shown = scored(capsys, tmp_path, found, "--missing", "zero", "--json")
    assert json.loads(shown.out)["exact"] == 25.0
    assert "3 examples have no prediction and count 0; 1 predictions are of no example" in shown.err


def test_score_needs_no_places_and_takes_as_many_as_asked(capsys, tmp_path):
    listed = [row | {"answers": answers(("Ragna Lund", -1))} for row in numbered(4)]
    found = {row["id"]: "Ragna Lund" if at < 4 else "x" for at, row in enumerate(listed)}
    assert json.loads(scored(capsys, tmp_path, found, "--json", listed=listed).out)["exact_match"] == 50.0
    some = scored(capsys, tmp_path, found, "--json", "--max-examples", "2", listed=listed).out
    assert json.loads(some)["exact_match"] == 50.0
    one = scored(capsys, tmp_path, found, "--json", "--max-examples", "1", listed=listed).out
    assert json.loads(one)["exact_match"] == 100.0


def test_score_says_which_threshold_it_used_and_offers_the_official_one(capsys, tmp_path):
    found = {row["id"]: "Ragna Lund" for row in numbered(2)}
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
    bad = {"id": "bad", "question": WHO, "context": LIGHTHOUSE, "answers": 7.5, "is_impossible": "maybe"}
    listed = [*numbered(2), bad]
    found = {row["id"]: "Ragna Lund" if row["id"].endswith("1") else "" for row in numbered(2)}
    assert "1 bad examples" in scored(capsys, tmp_path, found, listed=listed, status=1).err
    shown = scored(capsys, tmp_path, found, "--on-bad-example", "skip", "--json", listed=listed)
    assert json.loads(shown.out)["exact"] == 100.0
    assert "1 references: is_impossible of wrong type (skipped)" in shown.err


# --- lists of answers ---


@pytest.fixture
def several(tmp_path):
    """Three examples with two, one and no right texts, and lists of answers to them in every form that is read."""
    rows = [
        tiny.example(QUESTION, CONTEXT, "Orellana", "1541", id="0"),
        tiny.example(QUESTION, CONTEXT, "Francisco de Orellana", id="1"),
        tiny.example(QUESTION, CONTEXT, id="2"),
    ]
    lists: dict[str, list[str]] = {"0": ["Orellana", "water"], "1": ["Orellana"], "2": []}
    lines = [{"id": key, "answer": "", "answers": [{"answer": one} for one in texts]} for key, texts in lists.items()]
    files = {name: tmp_path / f"{name}.json" for name in ("texts", "records")}
    files["texts"].write_text(json.dumps(lists))
    files["records"].write_text(json.dumps({key: [{"text": one} for one in texts] for key, texts in lists.items()}))
    files["lines"] = write(tmp_path / "lines.jsonl", lines)
    references = {row["id"]: row["answers"]["text"] for row in rows}
    return write(tmp_path / "rows.jsonl", rows), files, multi_span_score(lists, references)


@pytest.mark.parametrize("form", ["texts", "records", "lines"])
def test_lists_of_answers_are_scored_against_all_references(capsys, several, form):
    references, files, wanted = several
    found = json.loads(output(capsys, "score", references, files[form], "--answers", "all", "--json").out)
    assert found == pytest.approx(wanted)
    assert 0 < found["exact_f1"] < found["overlap_f1"] < 100
    assert "overlap_f1" in output(capsys, "score", references, files[form], "--answers", "all").out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--threshold", "0"), "found --threshold and --answers all"),
        (("--null-odds", "odds.json"), "found --null-odds and --answers all"),
        (("--missing", "zero"), "found --missing zero and --answers all"),
    ],
)
def test_flags_of_single_answers_are_refused_for_lists(capsys, several, flags, message):
    references, files, _ = several
    assert message in output(capsys, "score", references, files["texts"], "--answers", "all", *flags, status=2).err


def test_single_answers_are_no_lists(capsys, several, tmp_path):
    references, _, _ = several
    for name, content in (("a", {"0": "Orellana"}), ("b", {"0": [{"start": 0}]})):
        (tmp_path / name).write_text(json.dumps(content))
        found = output(capsys, "score", references, tmp_path / name, "--answers", "all", status=1).err
        assert "example '0' has" in found
        assert "wanted a list of answers, as `qa predict --answers all` writes it" in found
