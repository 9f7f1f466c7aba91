"""Low-rank matrices by peft itself: what is trained, what is saved, and that it is the same model."""

import sys
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForQuestionAnswering

from qa.config import RunConfig, TrainingConfig
from qa.errors import CheckpointError, ConfigError, MissingPackageError
from qa.modeling.lora import ADAPTER, add_lora, has_lora, merged_weights, require_peft
from qa.modeling.saving import save_reader
from qa.recipe import RecipeConfig
from qa.run_folder.export import export_checkpoint
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import save_config
from tests.support import tiny
from tests.support.checkpoints import ROWS, SETTINGS, checkpoints_of, resume, save
from tests.support.trainers import WINDOWS, assert_same_weights, batch_of, loop_for, weights

pytestmark = pytest.mark.usefixtures("fresh_accelerator")
LORA = {"lora_rank": 3, "lora_alpha": 7.0}
ENCODERS = {"bert": "bert", "distilbert": "distilbert", "modernbert": "model", "deberta-v2": "deberta"}


@pytest.fixture
def peft():
    return pytest.importorskip("peft", reason="trains low-rank matrices: pip install 'extractive-qa[lora]'")


def trained(family="bert", steps=4, **recipe):
    """A loop after some steps, and the weights before."""
    model = tiny.model(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loop = loop_for(ROWS, model=model, family=family, recipe=LORA | recipe, max_steps=steps, learning_rate=1e-2)
    loop.plan = replace(loop.plan, weights_fingerprint="those of the run")
    list(loop.steps())
    return loop, before


def logits(model, batch):
    model.train(mode=False)
    with torch.no_grad():
        output = model(**batch.inputs)
    return torch.stack([output.start_logits, output.end_logits])


@pytest.mark.usefixtures("peft")
@pytest.mark.parametrize("family", ENCODERS)
def test_only_the_matrices_and_the_head_are_trained(family):
    loop, before = trained(family)
    head = [name for name in before if not name.startswith(f"{ENCODERS[family]}.")]
    assert head
    for name, value in loop.model.state_dict().items():
        if ".lora_" in name:
            assert value.abs().sum() > 0
        elif name in head:
            assert not torch.equal(value, before[name]) or name.endswith("bias")
        else:
            assert torch.equal(value, before[name.replace(".base_layer.", ".")]), name
    trainable = [name for name, parameter in loop.model.named_parameters() if parameter.requires_grad]
    assert {name for name in trainable if ".lora_" not in name} <= set(head)


@pytest.mark.usefixtures("peft")
@pytest.mark.parametrize("family", ENCODERS)
def test_added_to_the_weights_they_make_the_same_model(family):
    loop, before = trained(family)
    merged = merged_weights(loop.model.state_dict(), alpha=LORA["lora_alpha"])
    assert list(merged) == list(before)
    plain = tiny.model(family)
    plain.load_state_dict(merged)
    batch = batch_of(loop, range(4))
    torch.testing.assert_close(logits(plain, batch), logits(loop.model, batch), atol=1e-4, rtol=1e-4)
    untrained = tiny.model(family)
    assert not torch.allclose(logits(untrained, batch), logits(plain, batch), atol=1e-3)


@pytest.mark.usefixtures("peft")
def test_before_the_first_step_the_model_is_as_it_was_and_the_seed_draws_the_matrices():
    drawn = []
    for seed, wasted in ((1, 0), (1, 5), (2, 0)):
        model = tiny.model()
        torch.manual_seed(seed)
        torch.rand(wasted)
        add_lora(model, RecipeConfig(**LORA))
        drawn.append({name: value for name, value in model.state_dict().items() if ".lora_A." in name})
        batch = batch_of(loop_for(ROWS, max_steps=1), range(3))
        torch.testing.assert_close(logits(model, batch), logits(tiny.model(), batch), atol=1e-6, rtol=0)
    assert all(torch.equal(value, drawn[1][name]) for name, value in drawn[0].items())
    assert not any(torch.equal(value, drawn[2][name]) for name, value in drawn[0].items())


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft's own reading
def test_what_is_saved_loads_as_a_model_and_as_an_adapter(peft, tmp_path):
    loop, before = trained()
    batch = batch_of(loop, range(4))
    wanted = logits(loop.model, batch)
    save_reader(tmp_path / "model", loop.model, loop.model.state_dict(), tiny.tokenizer(), SETTINGS)
    merged = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(logits(merged, batch), wanted, atol=1e-4, rtol=1e-4)
    base = tiny.model()
    base.load_state_dict(before)
    adapted = peft.PeftModel.from_pretrained(base, tmp_path / "model" / ADAPTER)
    torch.testing.assert_close(logits(adapted, batch), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("peft")
def test_a_resumed_run_ends_with_the_same_weights_and_another_rank_is_another_run(tmp_path):
    config = RunConfig(model="tiny", training=TrainingConfig(learning_rate=1e-3), recipe=RecipeConfig(**LORA))

    def loop_of(steps=6):
        loop = loop_for(ROWS, dropout=True, recipe=LORA, max_steps=steps)
        loop.plan = replace(loop.plan, weights_fingerprint="those of the run")
        return loop

    whole = loop_of()
    for step in whole.steps():
        if step.number == 3:
            checkpoints_of(whole, tmp_path, config=config).save()
    torch.manual_seed(99)
    other = loop_of()
    resume(other, tmp_path, config=config)
    assert other.progress.step == 3
    list(other.steps())
    assert_same_weights(weights(other), weights(whole), rtol=0, atol=0)
    for name, value in (("lora_rank", 2), ("lora_alpha", 1.0), ("lora_targets", ("query",)), ("lora_dropout", 0.1)):
        changed = replace(config, recipe=replace(config.recipe, **{name: value}))
        with pytest.raises(CheckpointError, match=f"recipe.{name.replace('_', '-')}"):
            resume(loop_of(), tmp_path, config=changed)


@pytest.mark.usefixtures("peft")
def test_a_model_of_a_checkpoint_has_them_added(tmp_path):
    base = tiny.save_reader(tmp_path / "base")
    loop, _ = trained()
    save(loop, tmp_path / "run")
    config = RunConfig(model=str(base), features=WINDOWS, recipe=RecipeConfig(**LORA))
    save_config(config, RunPaths(tmp_path / "run").config)
    export_checkpoint(RunPaths(tmp_path / "run").checkpoint(4), tmp_path / "model")
    exported = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "model").state_dict()
    assert not has_lora(exported)
    wanted = merged_weights(loop.model.state_dict(), alpha=7.0)
    assert_same_weights(dict(exported), wanted, rtol=0, atol=0)


@pytest.mark.usefixtures("peft")
@pytest.mark.parametrize(("wanted", "found"), [(("query",), {"query"}), ((), {"query", "key", "value", "dense"})])
def test_layers_are_chosen_by_the_last_part_of_their_names(wanted, found):
    model = tiny.model()
    add_lora(model, RecipeConfig(lora_rank=1, lora_targets=wanted))
    names = {name.split(".lora_A")[0].rpartition(".")[2] for name in model.state_dict() if ".lora_A" in name}
    assert names == found


@pytest.mark.usefixtures("peft")
def test_names_that_no_layer_has_are_refused_with_those_that_they_have():
    with pytest.raises(ConfigError, match=r"has q_proj that this model's encoder lacks; wanted some of .*query, value"):
        add_lora(tiny.model(), RecipeConfig(lora_rank=1, lora_targets=("q_proj", "query")))


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    require_peft(RecipeConfig())
    with pytest.raises(MissingPackageError, match=r"pip install 'extractive-qa\[lora\]'"):
        require_peft(RecipeConfig(lora_rank=1))
