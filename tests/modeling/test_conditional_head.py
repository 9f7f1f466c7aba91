"""The head of ends given starts: how it begins, how it is saved and loaded, and what refuses it."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForQuestionAnswering

from qa.config import RunConfig, TrainingConfig
from qa.errors import ModelError
from qa.modeling.conditional_head import RANK, add_conditional_head, rank_of
from qa.modeling.lora import merged_weights
from qa.modeling.reader import load_reader, load_reader_for
from qa.modeling.saving import save_reader
from qa.modeling.settings import DEFAULT_SETTINGS, SETTINGS_FILE
from qa.run_folder.export import export_checkpoint
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import save_config
from tests.support import tiny
from tests.support.checkpoints import ROWS, checkpoints_of, resume
from tests.support.conditional import trained_head
from tests.support.trainers import WINDOWS, assert_same_weights, loop_for, weights

SETTINGS = replace(DEFAULT_SETTINGS, max_length=64, doc_stride=8, max_question_length=16, head="conditional")


def run_of(folder, *, max_steps=None, head="conditional"):
    return RunConfig(model=str(folder), head=head, training=TrainingConfig(max_steps=max_steps))


def saved(folder, family="bert"):
    """A trained reader's folder, and the reader."""
    tiny.save_reader(folder / "before", family)
    reader = load_reader_for(run_of(folder / "before"))
    trained_head(reader.model)
    save_reader(folder / "after", reader.model, reader.model.state_dict(), reader.tokenizer, SETTINGS)
    return folder / "after", reader


def logits(reader):
    with torch.no_grad():
        output = reader.model(**reader.windows(4, 9))
    return torch.stack([output.start_logits, output.end_logits])


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_saved_head_is_loaded_as_it_was(family, tmp_path):
    folder, reader = saved(tmp_path, family)
    again = load_reader(str(folder))
    assert not again.has_new_head
    assert rank_of(again.model) == RANK
    assert type(again.model) is type(reader.model)
    shape = reader.windows(4, 9)["input_ids"].shape
    assert logits(again).shape == (2, shape[0], shape[1] * (1 + RANK))
    assert torch.equal(logits(again), logits(reader))
    (folder / SETTINGS_FILE).unlink()  # as where a program saves the model, and not how it is used
    assert torch.equal(logits(load_reader(str(folder))), logits(reader))
    for copied in (pickle.loads(pickle.dumps(again.model)), copy.deepcopy(again.model)):
        assert torch.equal(logits(replace(again, model=copied)), logits(reader))


def test_transformers_alone_refuses_the_folder(tmp_path):
    folder, _ = saved(tmp_path)
    with pytest.raises(RuntimeError, match="mismatch"):
        AutoModelForQuestionAnswering.from_pretrained(folder)


def test_it_begins_with_the_logits_of_the_model_and_no_product(tmp_path):
    tiny.save_reader(tmp_path)
    plain, reader = load_reader(str(tmp_path), max_length=64), load_reader_for(run_of(tmp_path))
    said = logits(reader).unflatten(2, (-1, 1 + RANK))
    torch.testing.assert_close(said[..., 0], logits(plain), atol=1e-6, rtol=1e-6)
    u, v = said[..., 1:]
    assert u.abs().min() > 0
    assert not v.any()


def test_what_it_adds_follows_the_seed(tmp_path):
    tiny.save_reader(tmp_path)
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(load_reader_for(run_of(tmp_path)).model.qa_outputs.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


@pytest.mark.parametrize("head", ["spans", "tokens"])
def test_another_head_is_not_trained_on_top_of_it(head, tmp_path):
    folder, _ = saved(tmp_path)
    with pytest.raises(ModelError, match=f"has the head conditional; wanted the same, found head {head}"):
        load_reader_for(run_of(folder, head=head))
    assert rank_of(load_reader_for(run_of(folder, max_steps=0, head=head)).model) == RANK  # evaluated as it is
    assert rank_of(load_reader_for(run_of(folder)).model) == RANK


def test_the_size_is_the_configurations(tmp_path):
    model = tiny.model()
    model.config.end_rank = 5
    add_conditional_head(model)
    save_reader(tmp_path / "reader", model, model.state_dict(), tiny.tokenizer(), SETTINGS)
    assert rank_of(load_reader(str(tmp_path / "reader")).model) == 5


def test_a_class_without_a_linear_head_is_refused():
    model = tiny.model()
    model.qa_outputs = torch.nn.Sequential(torch.nn.Linear(32, 4), torch.nn.Linear(4, 3))
    with pytest.raises(ModelError, match="has 0 linear layers of two outputs as its head; wanted one, or head spans"):
        add_conditional_head(model)


def test_a_class_that_does_more_with_logits_than_split_them_is_refused(tmp_path, monkeypatch):
    """BigBird's takes a million off those of the question."""
    tiny.save_reader(tmp_path)
    reader = load_reader(str(tmp_path), max_length=64)
    forward = type(reader.model).forward

    def lowered(self, **inputs):
        output = forward(self, **inputs)
        output.start_logits = output.start_logits - 1e6 * (inputs["input_ids"] == 2)
        return output

    monkeypatch.setattr(type(reader.model), "forward", lowered)
    with pytest.raises(ModelError, match="does not take windows of"):
        reader.prepare_head("conditional")


def loop_of(steps, recipe=None):
    loop = loop_for(
        ROWS, model=untrained(), dropout=True, head="conditional", recipe=recipe, max_steps=steps, learning_rate=1e-2
    )
    loop.plan = replace(loop.plan, weights_fingerprint="those of the run")
    return loop


def untrained():
    model = tiny.model()
    add_conditional_head(model)
    return model


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_resumed_run_ends_with_the_same_weights_and_its_checkpoint_becomes_a_reader(tmp_path):
    """u learns too, though its gradient is 0 while v is."""
    began_with = tiny.save_reader(tmp_path / "began with")
    config = RunConfig(model=str(began_with), head="conditional", features=WINDOWS)
    whole = loop_of(4)
    before = weights(whole)["qa_outputs.weight"]
    for step in whole.steps():
        if step.number == 2:
            checkpoints_of(whole, tmp_path, config=config).save()
    torch.manual_seed(99)
    other = loop_of(4)
    resume(other, tmp_path, config=config)
    assert other.progress.step == 2
    list(other.steps())
    assert_same_weights(weights(other), weights(whole), rtol=0, atol=0)
    assert (before != weights(whole)["qa_outputs.weight"]).any(dim=1).all()

    checkpoints_of(whole, tmp_path, config=config).save()
    save_config(config, RunPaths(tmp_path).config)
    export_checkpoint(RunPaths(tmp_path).checkpoint(4), tmp_path / "reader")
    assert_same_weights(dict(load_reader(str(tmp_path / "reader")).model.state_dict()), weights(whole), rtol=0, atol=0)


@pytest.mark.usefixtures("fresh_accelerator")
def test_low_rank_matrices_are_merged_beside_it(tmp_path):
    pytest.importorskip("peft", reason="trains low-rank matrices: pip install 'extractive-qa[lora]'")
    loop = loop_of(2, recipe={"lora_rank": 2})
    list(loop.steps())
    save_reader(tmp_path / "model", loop.model, loop.model.state_dict(), tiny.tokenizer(), SETTINGS)
    found = dict(load_reader(str(tmp_path / "model")).model.state_dict())
    assert_same_weights(found, merged_weights(loop.model.state_dict(), alpha=16.0), rtol=1e-6, atol=1e-6)
