"""What must be the same for a run to be continued, what may change, and what a longer run changes."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from qa.config import DataConfig, DecodingConfig, FeaturesConfig, RecipeConfig, TrainingConfig
from qa.errors import CheckpointError
from qa.features.windows import Ragged
from qa.run_folder.identity import FORMAT, Identity, features_fingerprint
from qa.run_folder.paths import RunPaths
from qa.training.progress import Progress
from tests.support import tiny
from tests.support.checkpoints import RUN, checkpoints_of, deliver, identity_of, new_loop, resume, save
from tests.support.trainers import assert_same_weights, weights


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": {"seed": 7}}, "seed is 42 there and 7 here"),
        ({"config": {"features": FeaturesConfig(doc_stride=3)}}, "features.doc-stride is 128 there and 3 here"),
        ({"config": {"training": TrainingConfig(learning_rate=1.0)}}, "training.learning-rate is 0.001 there and 1.0"),
        ({"rows": tiny.small(10)}, "fingerprint of the train data"),
        ({"validation": tiny.small(10)}, "fingerprint of the validation data"),
        ({"loop": {"max_steps": 6, "weights": "others"}}, "weights is 'those of the run' there and 'others'"),
        ({"config": {"training": replace(RUN.training, weight_decay=0.5)}}, "weight-decay is 0.01 there and 0.5 here"),
        ({"config": {"training": replace(RUN.training, adam_epsilon=1e-3)}}, "adam-epsilon is 1e-08 there and 0.001"),
        ({"config": {"training": replace(RUN.training, max_gradient_norm=None)}}, "norm is 1.0 there and None here"),
        ({"loop": {"max_steps": 6, "batch_size": 3}}, "features of a step is 2 there and 3 here"),
        ({"config": {"training": replace(RUN.training, adam_betas=(0.5, 0.9))}}, r"adam-betas is '[0.9, 0.999]' there"),
        ({"config": {"training": replace(RUN.training, warmup_steps=3)}}, "training.warmup-steps is None there and 3"),
        (
            {"config": {"recipe": RecipeConfig(objective="joint")}},
            "recipe.objective is 'independent' there and 'joint'",
        ),
        ({"config": {"recipe": RecipeConfig(dropout=0.3)}}, "recipe.dropout is None there and 0.3 here"),
        (
            {"config": {"training": replace(RUN.training, packed_length=512)}},
            "training.packed-length is None there and 512 here",
        ),
        ({"config": {"head": "tokens"}}, "head is None there and 'tokens' here"),
        ({"config": {"data": DataConfig(answers="all")}}, "data.answers is None there and 'all' here"),
        ({"config": {"recipe": RecipeConfig(averaging="ema")}}, "recipe.averaging is 'none' there and 'ema' here"),
    ],
)
def test_another_run_is_refused_with_what_differs(change, named, saved):
    loop = new_loop(**change.get("loop", {"max_steps": 6}))
    before = weights(loop)
    config = replace(RUN, **change.get("config", {}))
    data = {name: change[name] for name in ("rows", "validation") if name in change}
    with pytest.raises(CheckpointError) as error:
        resume(loop, saved, config=config, **data)
    assert named in str(error.value)
    assert_same_weights(weights(loop), before, rtol=0, atol=0)
    assert loop.progress.step == 0


@pytest.mark.parametrize(
    "change",
    [
        {"training": replace(RUN.training, schedule_power=3.0)},
        {"recipe": RecipeConfig(averaging_decay=0.5, averaging_share=0.5)},
        {"recipe": RecipeConfig(short_length=32)},
    ],
)
def test_settings_without_an_effect_are_no_other_run(change, run_folder):
    loop = new_loop(max_steps=6)
    resume(loop, run_folder, config=replace(RUN, **change))
    assert loop.progress.step == 4


def test_all_that_differs_is_named():
    one = Identity({"weights": "a", "seed": 1, "schedule": 2}, {})
    with pytest.raises(CheckpointError, match=r"weights is 'b' there and 'a' here; seed is None there and 1 here$"):
        one.check({"format": FORMAT, "identity": {"weights": "b", "schedule": 2}})


def test_checkpoints_of_the_first_layout_are_read():
    """Without a format, with prose for keys, and without the key of the features."""
    state = json.loads((Path(__file__).parent / "state_of_format_0.json").read_text())
    keys = {
        "weights": "unknown then",
        "seed": 42,
        "train_fingerprint": "a" * 64,
        "validation_fingerprint": "b" * 64,
        "max_length": 64,
        "doc_stride": 8,
        "max_question_length": 16,
        "features_content": "unknown then",
        "learning_rate": 0.001,
        "schedule": "linear",
        "warmup_ratio": 0.1,
        "steps_per_epoch": 6,
        "total_steps": 12,
        "global_batch_size": 2,
    }
    Identity(keys, {}).check(state)
    progress = Progress()
    progress.restore(state["progress"])
    assert progress.step == state["progress"]["step"]
    with pytest.raises(CheckpointError, match=r"training\.schedule is 'linear' there and 'cosine' here$"):
        Identity(keys | {"schedule": "cosine"}, {}).check(state)


def test_a_tokenizer_that_changed_is_noticed():
    """By what it makes of the data, not by its name."""
    one = Identity({"features_content": "x"}, {})
    with pytest.raises(CheckpointError, match=r"hash of the features .* is 'y' there and 'x' here"):
        one.check({"format": FORMAT, "identity": {"features_content": "y"}})
    with pytest.raises(CheckpointError, match=r"of another run: features\.doc-stride is 2 there and 1 here$"):
        Identity({"features_content": "x", "doc_stride": 1}, {}).check(
            {"format": FORMAT, "identity": {"features_content": "y", "doc_stride": 2}}
        )


def test_the_hash_of_features_covers_each_array():
    features = new_loop(max_steps=1).features
    found = {features_fingerprint(features), features_fingerprint(replace(features, key="elsewhere"))}
    assert len(found) == 1
    for name in ("token_start", "token_end", "first", "size", "example", "context_of"):
        changed = getattr(features, name).copy()
        changed[-1] += 1
        found.add(features_fingerprint(replace(features, **{name: changed})))
    for name in ("context_ids", "question_ids"):
        old = getattr(features, name)
        values = old.values.copy()
        values[0] += 1
        found.add(features_fingerprint(replace(features, **{name: Ragged(values, old.bounds)})))
    assert len(found) == 9


def test_a_changed_dropout_is_named():
    one = Identity({"model_config/hidden_dropout_prob": "0.1", "model_config/new_in_this_version": "1"}, {})
    saved = {"model_config/hidden_dropout_prob": "0.0", "model_config/gone_since": "1"}
    with pytest.raises(CheckpointError, match=r"run: hidden_dropout_prob of the model is '0\.0' there and '0\.1'"):
        one.check({"format": FORMAT, "identity": saved})


def test_precision_is_part_of_the_identity(saved):
    loop = new_loop(max_steps=6)
    identity = identity_of(loop)
    state = json.loads((saved / "checkpoints" / "step-00000004" / "state.json").read_text())
    changed = Identity({**identity.values, "precision": "bf16"}, identity.changeable)
    with pytest.raises(CheckpointError, match="mixed precision is 'no' there and 'bf16' here"):
        changed.check(state)


def test_what_may_change_is_logged_and_recorded(run_folder, caplog):
    config = replace(RUN, model="elsewhere", training=replace(RUN.training, keep_last=7), output_dir=Path("new"))
    with caplog.at_level(logging.INFO, logger="qa"):
        resume(new_loop(max_steps=6), run_folder, config=config)
    assert "changed since the checkpoint: training.keep-last: 2 -> 7" in caplog.text
    (attempt,) = (json.loads(line) for line in (run_folder / "attempts.jsonl").read_text().splitlines())
    assert attempt["step"] == 4
    assert attempt["checkpoint"].endswith("step-00000004")
    assert attempt["changes"]["model"] == "'tiny' -> 'elsewhere'"
    assert set(attempt["changes"]) >= {"model", "training.keep-last", "output-dir"}


def test_another_judge_forgets_the_best_score(tmp_path):
    """Scores of other answers or another metric are not comparable; how they are computed does not matter."""
    loop = new_loop(max_steps=2)
    list(loop.steps())
    loop.progress.note_scores({"f1": 50.0}, None)
    save(loop, tmp_path)
    deliver(tmp_path)
    for decoding, kept in ((DecodingConfig(batch_size=1), 50.0), (DecodingConfig(max_answer_tokens=2), None)):
        other = new_loop(max_steps=2)
        resume(other, tmp_path, config=replace(RUN, decoding=decoding))
        assert other.progress.best_score == kept


@pytest.mark.parametrize(
    ("asked", "alike"), [({}, True), ({"length_cost": 0.5}, False), ({"choice": "overlap"}, False)]
)
def test_a_checkpoint_that_does_not_say_how_answers_are_chosen_took_the_likeliest(asked, alike):
    older = dict(identity_of(new_loop(max_steps=2), config=RUN).changeable)
    del older["decoding/length_cost"], older["decoding/choice"]
    now = identity_of(new_loop(max_steps=2), config=replace(RUN, decoding=DecodingConfig(**asked)))
    assert now.judges_alike({"changeable": older}) == alike


def test_other_content_of_a_further_set_forgets_the_best_score_and_is_named(tmp_path):
    loop = new_loop(max_steps=2)
    list(loop.steps())
    loop.progress.note_scores({"f1": 50.0}, None)
    checkpoints_of(loop, tmp_path, further={"own": tiny.small(3)}).save()
    deliver(tmp_path)
    for rows, kept in ((3, 50.0), (4, None)):
        other, sets = new_loop(max_steps=2), {"own": tiny.small(rows)}
        resume(other, tmp_path, further=sets)
        assert other.progress.best_score == kept
    state = json.loads((RunPaths(tmp_path).checkpoint(2) / "state.json").read_text())
    assert [*identity_of(loop, further=sets).changes(state)] == ["more-validation-data.own"]


def test_another_language_of_a_further_set_begins_anew_with_the_best_score(tmp_path):
    loop, sets, by = new_loop(max_steps=2), {"own": tiny.small(3)}, "more_validation_data"
    list(loop.steps())
    loop.progress.note_scores({"f1": 50.0}, None)
    checkpoints_of(loop, tmp_path, config=replace(RUN, **{by: ("own=a",)}), further=sets).save()
    deliver(tmp_path)
    for said, kept in (("own=b", 50.0), ("own:en=a", 50.0), ("own:zh=a", None)):
        other = new_loop(max_steps=2)
        resume(other, tmp_path, config=replace(RUN, **{by: (said,)}), further=sets)
        assert other.progress.best_score == kept


def test_other_places_and_another_order_of_further_sets_are_told_and_change_nothing(tmp_path):
    loop = new_loop(max_steps=2)
    list(loop.steps())
    loop.progress.note_scores({"f1": 50.0}, None)
    sets, config = (
        {"own": tiny.small(3), "other": tiny.small(4)},
        replace(RUN, more_validation_data=("own=a", "other=b")),
    )
    checkpoints_of(loop, tmp_path, config=config, further=sets).save()
    deliver(tmp_path)
    other, moved = new_loop(max_steps=2), replace(RUN, more_validation_data=("other=elsewhere/b", "own=a"))
    resume(other, tmp_path, config=moved, further=dict(reversed(sets.items())))
    assert other.progress.best_score == 50.0
    state = json.loads((RunPaths(tmp_path).checkpoint(2) / "state.json").read_text())
    assert "more-validation-data" in identity_of(other, moved, further=sets).changes(state)


@pytest.mark.parametrize("extend", [None, "stretch"])
def test_a_longer_run_with_a_constant_rate_is_the_one_planned_so(extend, tmp_path):
    whole, short = new_loop(max_steps=6), new_loop(max_steps=3)
    list(whole.steps()), list(short.steps())
    save(short, tmp_path)
    longer = new_loop(model_seed=1, max_steps=6, extend=extend)
    resume(longer, tmp_path)
    list(longer.steps())
    assert_same_weights(weights(longer), weights(whole), rtol=0, atol=0)


FALLING = {"schedule": "linear", "warmup_ratio": 0.0}


@pytest.mark.parametrize(
    ("extend", "rates"),
    [("stretch", [1.0, 2 / 3, 1 / 3, 3 / 6, 2 / 6, 1 / 6]), ("restart", [1.0, 2 / 3, 1 / 3, 1.0, 2 / 3, 1 / 3])],
)
def test_a_longer_run_whose_rate_changes_says_how(extend, rates, tmp_path):
    short = new_loop(max_steps=3, **FALLING)
    found = [report.learning_rate for report in short.steps()]
    save(short, tmp_path)
    with pytest.raises(CheckpointError, match=r"steps of the run is 3 there and 6 here.*training\.extend.*stretch"):
        resume(new_loop(max_steps=6, **FALLING), tmp_path)
    longer = new_loop(max_steps=6, extend=extend, **FALLING)
    resume(longer, tmp_path)
    steps = longer.steps()
    found.append(next(steps).learning_rate)
    save(longer, tmp_path)
    again = new_loop(max_steps=6, extend=extend, **FALLING)  # stopped and resumed on the way
    resume(again, tmp_path)
    found += [report.learning_rate for report in again.steps()]
    assert found == pytest.approx([1e-3 * rate for rate in rates])


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ({"short_windows": 0.5, "short_length": 32}, "the steps on short windows"),
        ({"averaging": "tail", "averaging_share": 0.5}, "the steps that are averaged"),
    ],
)
def test_a_longer_run_whose_recipe_goes_by_shares_says_how(recipe, named, tmp_path):
    """Though its learning rate is constant: half of the steps are other steps."""
    short = new_loop(max_steps=4, recipe=recipe)
    list(short.steps())
    save(short, tmp_path)
    with pytest.raises(CheckpointError, match=rf"is 4 there and 8 here, which changes {named}; wanted"):
        resume(new_loop(max_steps=8, recipe=recipe), tmp_path)
    longer = new_loop(max_steps=8, extend="stretch", recipe=recipe)
    resume(longer, tmp_path)
    assert len(list(longer.steps())) == 4


def test_a_run_cannot_become_shorter_than_it_is(tmp_path):
    loop = new_loop(max_steps=3)
    list(loop.steps())
    save(loop, tmp_path)
    with pytest.raises(CheckpointError, match="3 steps are done; wanted at least as many in all, found 2"):
        resume(new_loop(max_steps=2), tmp_path)


def test_a_checkpoint_that_learned_other_tags_is_another_run():
    values = identity_of(new_loop(max_steps=6), config=replace(RUN, head="tokens")).values
    before = {name: value for name, value in values.items() if name != "tags"}
    with pytest.raises(CheckpointError, match="what tokens are tagged as is None there and 'first and last tokens"):
        Identity(values, {}).check({"format": FORMAT, "identity": before})
