"""Teachers: asked once, of the same characters, part of what a run is."""

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from qa.config import RecipeConfig, RunConfig
from qa.data.examples import Examples
from qa.errors import CheckpointError, ConfigError, ModelError
from qa.features.cache import cached_features, cached_labels
from qa.features.collation import collate
from qa.modeling.reader import load_reader
from qa.modeling.settings import DEFAULT_SETTINGS, save_settings
from qa.training.teachers import with_teachers
from tests.support import tiny
from tests.support.checkpoints import RUN, checkpoints_of, identity_of
from tests.support.trainers import WINDOWS, assert_same_weights, loop_for, weights

pytestmark = pytest.mark.usefixtures("fresh_accelerator")
ROWS = tiny.small(6)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A teacher with the same tokenizer, another one, one with another tokenizer, one of few positions."""
    folder = tmp_path_factory.mktemp("teachers")
    return {
        "one": str(tiny.save_reader(folder / "one", seed=4)),
        "other": str(tiny.save_reader(folder / "other", seed=5)),
        "bytes": str(tiny.save_reader(folder / "bytes", "roberta", seed=6)),
        "few": str(tiny.save_reader(folder / "few", "roberta", max_position_embeddings=34)),
    }


@pytest.fixture
def learned(tmp_path, folders):
    """A function: names of teachers -> features, labels with what they say, reader."""
    settings = replace(WINDOWS, cache_dir=tmp_path / "cache", least_round_trip=0.0)

    def made(*names, temperature=2.0):
        recipe = RecipeConfig(teacher=tuple(folders[name] for name in names), temperature=temperature)
        reader = load_reader(folders["one"], max_length=WINDOWS.max_length)
        examples = Examples(rows=ROWS)
        features = cached_features(examples, reader.encoder, settings)
        labels = cached_labels(examples, features, settings)
        config = RunConfig(features=settings, recipe=recipe)
        return features, with_teachers(Accelerator(cpu=True), labels, features, examples, reader, config), reader

    return made


def batch_of(features, labels, reader):
    every = np.arange(len(features))
    return collate(features, every, input_names=reader.input_names, pad_multiple=8, labels=labels)


def plain(folder, batch, temperature):
    """A softmax for each row over context and null position."""
    model, found = load_reader(folder).model, []
    with torch.no_grad():
        output = model(**batch.inputs)
    for logits in (output.start_logits, output.end_logits):
        shares = torch.zeros_like(logits)
        for row in range(len(batch)):
            counted = batch.in_context[row].clone()
            counted[batch.null_position[row]] = True
            shares[row, counted] = (logits[row, counted] / temperature).softmax(0)
        found.append(shares)
    return found


def test_a_teacher_says_what_its_softmax_over_context_and_null_position_says(learned, folders):
    features, labels, reader = learned("other", temperature=3.0)
    batch = batch_of(features, labels, reader)
    start, end = plain(folders["other"], batch, 3.0)
    torch.testing.assert_close(batch.teacher_start, start, atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.teacher_end, end, atol=1e-5, rtol=0)


def test_several_teachers_say_the_mean_also_with_another_tokenizer(learned):
    three = [batch_of(*learned(name)) for name in ("one", "other", "bytes")]
    together = batch_of(*learned("one", "other", "bytes"))
    mean = torch.stack([batch.teacher_start for batch in three]).mean(dim=0)
    torch.testing.assert_close(together.teacher_start, mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(together.teacher_end.sum(dim=1), torch.ones(len(together)), atol=1e-5, rtol=0)
    assert not torch.equal(three[0].teacher_start, three[2].teacher_start)


def test_a_teacher_is_asked_once_at_any_temperature(learned, caplog):
    with caplog.at_level(logging.INFO, logger="qa"):
        before = batch_of(*learned("one", "bytes"))
        assert caplog.text.count("windows, once") == 2
        again = batch_of(*learned("one", "bytes"))
        warmer = batch_of(*learned("one", "bytes", temperature=9.0))
        assert caplog.text.count("windows, once") == 2
        learned("other")
        assert caplog.text.count("windows, once") == 3
    assert torch.equal(before.teacher_start, again.teacher_start)
    assert not torch.equal(before.teacher_start, warmer.teacher_start)


def test_a_teacher_without_room_is_named(learned, folders):
    with pytest.raises(ModelError, match=rf"{folders['few']}.*does not take windows of \d+ tokens"):
        learned("few")


def test_a_teacher_without_a_head_is_refused(learned, folders, tmp_path):
    base = load_reader(folders["one"])
    base.model.base_model.save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    folders["base"] = str(tmp_path / "base")
    with pytest.raises(ModelError, match="has no span head"):
        learned("base")


def test_a_teacher_that_says_something_else_of_tokens_is_refused(learned, folders, tmp_path):
    shutil.copytree(folders["one"], tmp_path / "tags")
    settings = replace(DEFAULT_SETTINGS, head="tokens")
    save_settings(settings, tmp_path / "tags")
    folders["tags"] = str(tmp_path / "tags")
    with pytest.raises(ModelError, match="tags' has a head of tokens; wanted one of spans"):
        learned("tags")


def test_a_teacher_of_no_numbers_is_refused(learned, folders, tmp_path):
    broken = tiny.model(seed=8)
    broken.qa_outputs.bias.data.fill_(torch.inf)
    broken.save_pretrained(tmp_path / "broken")
    tiny.tokenizer().save_pretrained(tmp_path / "broken")
    folders["broken"] = str(tmp_path / "broken")
    with pytest.raises(ModelError, match=r"broken.*logits that are not finite numbers"):
        learned("broken")


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0.0}, {"temperature": float("inf")}, {"teacher_weight": 1.5}, {"teacher_weight": -0.1}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong)).replace("_", "-")):
        RecipeConfig(**wrong)


def taught_loop(labels, steps=6, **recipe):
    loop = loop_for(ROWS, recipe={"teacher": ("one",), **recipe}, max_steps=steps)
    loop.loader = replace(loop.loader, labels=labels)
    loop.plan = replace(loop.plan, weights_fingerprint="those of the run")
    return loop


def test_a_step_learns_from_its_teachers(learned):
    """The loss that is reported, and the weights, depend on them."""
    features, labels, _ = learned("other")
    alone, taught, more = (taught_loop(labels, teacher_weight=weight, steps=2) for weight in (0.0, 0.5, 1.0))
    assert (alone.features.first == features.first).all()
    losses = [[step.loss for step in loop.steps()] for loop in (alone, taught, more)]
    assert losses[1][0] == pytest.approx((losses[0][0] + losses[2][0]) / 2, rel=1e-5)
    assert any(not torch.equal(value, weights(taught)[name]) for name, value in weights(alone).items())


def test_a_resumed_run_is_taught_the_same_and_another_teacher_is_another_run(learned, tmp_path):
    config = replace(RUN, recipe=RecipeConfig(teacher=("one",)))
    whole = taught_loop(learned("one", "bytes")[1])
    for step in whole.steps():
        if step.number == 3:
            checkpoints_of(whole, tmp_path / "run", config=config).save()
    elsewhere = replace(config, recipe=RecipeConfig(teacher=("the same in another folder",)))
    other = taught_loop(learned("one", "bytes")[1])
    checkpoints_of(other, tmp_path / "run", config=elsewhere).resume("auto")
    assert other.progress.step == 3
    list(other.steps())
    assert_same_weights(weights(other), weights(whole), rtol=0, atol=0)

    for labels, recipe, named in (
        (learned("one")[1], config.recipe, "hash of the teachers"),
        (learned("one", "bytes")[1], RecipeConfig(teacher=("one",), temperature=1.0), "recipe.temperature"),
        (learned("one", "bytes")[1], RecipeConfig(teacher=("one",), teacher_weight=0.1), "recipe.teacher-weight"),
        (replace(labels_without(learned), soft=None), RecipeConfig(), "hash of the teachers"),
    ):
        with pytest.raises(CheckpointError, match=named):
            checkpoints_of(taught_loop(labels), tmp_path / "run", config=replace(config, recipe=recipe)).resume("auto")


def labels_without(learned):
    return learned("one")[1]


def test_without_teachers_their_settings_are_no_part_of_a_run(learned):
    loop = taught_loop(replace(labels_without(learned), soft=None))
    values = identity_of(loop, config=replace(RUN, recipe=RecipeConfig(temperature=7.0, teacher_weight=0.1))).values
    assert not [name for name in values if "teacher" in name or "temperature" in name]
