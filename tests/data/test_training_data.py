"""What a run is trained on and judged on: the source's own validation split, a share, another source, or nothing."""

from collections import Counter

import pytest

from qa.config import DataConfig, RunConfig, TrainingConfig
from qa.data import load_further_validation_examples, load_training_examples, load_validation_examples
from qa.data.training_data import shared_content
from qa.errors import ConfigError, DataError
from tests.support.rows import CONTEXT, WHO, answers, load, row, write


def config(source, validation="auto", **more):
    return RunConfig(train_data=str(source), validation_data=validation, **more)


def rows(count, *, prefix=""):
    """Two questions a context."""
    return [row(f"{prefix}{at}", context=f"{prefix}{at // 2} the cat", text="cat", start=None) for at in range(count)]


def placed(rows):
    return [one | {"answers": answers(("cat", one["context"].index("cat")))} for one in rows]


def folder_of(tmp_path, **parts):
    for name, part in parts.items():
        write(tmp_path / f"{name}.jsonl", placed(part))
    return tmp_path


def test_validation_is_the_training_sources_own_split_and_that_is_said(tmp_path):
    folder = folder_of(tmp_path, train=rows(6), dev=rows(4, prefix="v"), other=rows(2, prefix="o"))
    found = load_validation_examples(config(folder))
    assert found.rows["id"][:] == ["qv0", "qv1", "qv2", "qv3"]
    assert found.notes == (f"the split 'validation' of {folder}",)
    assert load_training_examples(config(folder)).rows["id"][:] == [f"q{at}" for at in range(6)]
    other = load_validation_examples(config(folder, data=DataConfig(validation_split="other")))
    assert other.rows["id"][:] == ["qo0", "qo1"]


def test_the_embedded_set_is_judged_on_its_own_split():
    assert RunConfig().validation_data == "auto"
    assert len(load_validation_examples(RunConfig(max_validation_examples=5))) == 5


def test_a_document_with_a_part_for_each_split_is_judged_on_its_own(tmp_path):
    path = write(tmp_path / "all.json", {"train": placed(rows(4)), "dev": placed(rows(2, prefix="v"))})
    assert load_validation_examples(config(path)).rows["id"][:] == ["qv0", "qv1"]
    assert len(load_training_examples(config(path))) == 4


def test_where_there_is_no_validation_split_the_run_asks(tmp_path):
    file = write(tmp_path / "a.jsonl", placed(rows(4)))
    (tmp_path / "folder").mkdir()
    only_train = folder_of(tmp_path / "folder", train=rows(4))
    for source in (file, only_train):
        with pytest.raises(ConfigError, match=r"no split 'validation'.*wanted --validation-data .*0\.1, or with none"):
            load_validation_examples(config(source))


@pytest.mark.parametrize("nothing", [None, "none", "None"])
def test_none_means_no_evaluation(nothing):
    assert load_validation_examples(config("nowhere.jsonl", nothing)) is None


@pytest.mark.parametrize("share", ["0.25", "0.5"])
def test_a_share_of_the_contexts_is_held_out_and_not_trained_on(tmp_path, share):
    path = write(tmp_path / "a.jsonl", placed(rows(40)))
    chosen = config(path, share, seed=3)
    train, validation = load_training_examples(chosen), load_validation_examples(chosen)
    assert len(validation) == pytest.approx(40 * float(share), abs=1)
    assert Counter(train.rows["id"][:] + validation.rows["id"][:]) == Counter(f"q{at}" for at in range(40))
    assert not set(train.rows["context"]) & set(validation.rows["context"])
    assert validation.notes == (f"{len(validation)} of the 40 examples of {path}, held out by context",)
    other = load_validation_examples(config(path, share, seed=4))
    assert other.rows["id"][:] != validation.rows["id"][:]


@pytest.mark.parametrize("share", ["0", "1", "1.5", "-0.1", "nan"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="validation-data"):
        config("x.jsonl", share)


def test_another_source_is_scored_without_places(tmp_path):
    path = write(tmp_path / "v.jsonl", [row(1, context=CONTEXT, text="Mrs Lund", start=-1)])
    found = load_validation_examples(config("sample", str(path)))
    assert found.rows["answers"][0] == {"text": ["Mrs Lund"], "answer_start": [-1]}
    with pytest.raises(DataError, match="1 bad examples"):
        load_training_examples(config(path, "none"))


def test_validation_data_that_cannot_be_scored_is_said_aloud(tmp_path):
    bare = {"id": "1", "question": WHO, "context": CONTEXT}
    path = write(tmp_path / "v.jsonl", [bare | {"my_label": "Ragna Lund"}])
    first, second = load_validation_examples(config("sample", str(path))).notes
    assert "my_label" in first
    assert second == "no references: answers are written and nothing is scored"


def test_training_data_whose_labels_are_not_found_names_the_columns(tmp_path):
    path = write(tmp_path / "t.jsonl", [{"id": "1", "question": WHO, "context": CONTEXT, "gold_span": "Ragna Lund"}])
    with pytest.raises(DataError, match=r"has no references.*wanted answers to train on.*gold_span"):
        load_training_examples(config(path, "none"))


def test_shared_questions_and_contexts_are_counted(tmp_path):
    def known(name, *pairs):
        listed = [
            {"id": str(at), "question": question, "context": context, "answers": answers()}
            for at, (question, context) in enumerate(pairs)
        ]
        return load(write(tmp_path / f"{name}.jsonl", listed))

    train = known("t", (WHO, CONTEXT), (WHO, "a"), ("When?", "b"))
    validation = known("v", (WHO, CONTEXT), ("Where?", "a"), ("When?", "b"), ("When?", "c"))
    assert shared_content(train, validation) == (2, 3)
    assert shared_content(train, known("w", ("Where?", "z"))) == (0, 0)


# --- weights and further data ---


def test_a_weight_repeats_examples_and_takes_a_share_of_them(tmp_path):
    folder = folder_of(tmp_path, train=rows(4), dev=rows(2, prefix="v"))

    def ids(weight):
        return load_training_examples(config(folder, train_weight=weight)).rows["id"][:]

    assert ids(1.0) == ["q0", "q1", "q2", "q3"]
    assert ids(0.5) == ["q0", "q2"]
    assert Counter(key.partition("#")[0] for key in ids(2.25)) == {"q0": 3, "q1": 2, "q2": 2, "q3": 2}
    assert len(set(ids(2.25))) == 9
    with pytest.raises(DataError, match="leaves none of 4 examples"):
        ids(0.1)


def test_further_data_is_mixed_in_by_its_weight_and_validation_stays(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other.jsonl"
    own.mkdir()
    folder_of(own, train=rows(4), dev=rows(2, prefix="v"))
    write(other, placed(rows(10, prefix="o")))
    mixed = config(own, train_weight=2.0, more_train_data=(f"{other}*0.3", str(other)))
    found = load_training_examples(mixed)
    counts = Counter(key.partition("#")[0][:2] for key in found.rows["id"][:])
    assert counts == {"q0": 2, "q1": 2, "q2": 2, "q3": 2, "qo": 13}
    assert len(set(found.rows["id"][:])) == len(found)
    assert load_validation_examples(mixed).rows["id"][:] == ["qv0", "qv1"]
    assert found.fingerprint != load_training_examples(config(own)).fingerprint


def test_ids_that_are_made_different_do_not_meet_others(tmp_path):
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    write(one, placed([row("a", context="the cat", text="cat", start=None)]))
    twice = [row(key, context="a cat", text="cat", start=None) for key in ("a#2", "a")]
    write(other, placed(twice))
    found = load_training_examples(config(one, None, more_train_data=(str(other), str(other))))
    ids = found.rows["id"][:]
    assert len(set(ids)) == len(ids) == 5


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "much", ""])
def test_a_weight_that_is_none_is_named(weight):
    with pytest.raises(ConfigError, match="a weight above 0 after"):
        config("own", more_train_data=(f"squad*{weight}",))


def test_a_source_without_a_weight_counts_once():
    assert config("own", more_train_data=("squad", "a/b*2.5")).further_train_data() == [("squad", 1.0), ("a/b", 2.5)]


def test_further_sets_are_loaded_by_their_names(tmp_path):
    for name in ("own", "other"):
        write(tmp_path / f"{name}.jsonl", rows(4, prefix=name))
    named = (f"one={tmp_path}/own.jsonl", f"two:zh={tmp_path}/other.jsonl")
    found = load_further_validation_examples(config("sample", more_validation_data=named, max_validation_examples=2))
    assert {name: examples.rows["id"][:] for name, examples in found.items()} == {
        "one": ["qown0", "qown2"],
        "two": ["qother0", "qother2"],
    }
    assert load_further_validation_examples(config("sample")) == {}


def test_a_further_set_without_references_is_refused_by_its_name(tmp_path):
    write(tmp_path / "own.jsonl", [{"id": "a", "question": "Who?", "context": "the cat"}])
    with pytest.raises(DataError, match="the validation set own has no references"):
        load_further_validation_examples(config("sample", more_validation_data=(f"own={tmp_path}/own.jsonl",)))


@pytest.mark.parametrize("content", ["", "[]", '{"data": []}'])
def test_a_further_set_without_examples_is_refused_by_its_file(content, tmp_path):
    (tmp_path / "empty.json").write_text(content)
    with pytest.raises(DataError, match=r"empty\.json"):
        load_further_validation_examples(config("sample", more_validation_data=(f"own={tmp_path}/empty.json",)))


def test_one_source_may_be_several_further_sets_and_their_order_is_kept(tmp_path):
    write(tmp_path / "a=b.jsonl", rows(3))
    source = f"{tmp_path}/a=b.jsonl"
    named = (f"z={source}", f"größe_2={source}", f"a-1={source}")
    found = load_further_validation_examples(config(source, more_validation_data=named))
    assert [*found] == ["z", "größe_2", "a-1"]
    assert {examples.fingerprint for examples in found.values()} == {found["z"].fingerprint}


@pytest.mark.parametrize(
    "sets",
    [
        *[("a:=squad",), (":zh=squad",), ("a=squad", "a:zh=squad")],
        *[("squad",), ("=squad",), ("a=",), ("a/b=squad",), ("a b=squad",), ("a.b=squad",), ("a\n=squad",)],
        *[("a=squad", "a=other"), ("a=squad", "b=squad", "a=squad")],
    ],
)
def test_further_sets_have_names_of_their_own(sets):
    with pytest.raises(ConfigError, match="wanted name=source or name:language=source, each name once"):
        config("sample", more_validation_data=sets)


def test_the_score_that_models_are_compared_by_may_be_a_further_sets():
    by = {"more_validation_data": ("own=dev.json",)}
    assert config("sample", training=TrainingConfig(best_metric="own/f1"), **by).training.best_metric == "own/f1"
    with pytest.raises(ConfigError, match="best-metric"):
        config("sample", training=TrainingConfig(best_metric="other/f1"), **by)
    with pytest.raises(ConfigError, match="best-metric"):
        TrainingConfig(best_metric="own/total")
    with pytest.raises(ConfigError, match="validation-data"):
        config("sample", None, **by)
