"""What accelerate is told of a model before it prepares it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedType

from qa.config import TrainingConfig
from qa.errors import ConfigError
from qa.training import setup
from qa.training.setup import prepare, prepare_for_evaluation
from tests.support import tiny
from tests.support.trainers import reader_of

pytestmark = pytest.mark.usefixtures("fresh_accelerator")
CONFIG = TrainingConfig(batch_size=5, max_gradient_norm=0.5)


class Asked(Accelerator):
    """An accelerator of some kind, which starts nothing."""

    distributed_type = num_processes = device = None

    def __init__(self, kind=DistributedType.NO, *, processes=1, device="cpu", **state):
        self.distributed_type, self.num_processes = kind, processes
        self.device, self.state, self.ddp_handler = torch.device(device), SimpleNamespace(**state), None

    def prepare(self, model, optimizer):
        return model, AcceleratedOptimizer(optimizer)


def prepared(accelerator, family="bert"):
    """Let a reader's model be prepared with its optimizer."""
    Accelerator(cpu=True)  # whose state optimizers share
    reader = reader_of(tiny.model(family), family)
    optimizer = torch.optim.SGD(reader.model.parameters(), lr=0.1)
    model, found = prepare(accelerator, reader, optimizer, CONFIG)
    assert model is reader.model
    assert found.optimizer is optimizer


def test_one_process_needs_nothing(monkeypatch):
    monkeypatch.setattr(setup, "mask_without_asking", lambda: pytest.fail("masks are the library's on a CPU"))
    accelerator = Asked()
    prepared(accelerator)
    assert accelerator.ddp_handler is None


def test_a_gpu_is_not_asked_for_masks(monkeypatch):
    calls = []
    monkeypatch.setattr(setup, "mask_without_asking", lambda: calls.append("masks"))
    prepared(Asked(device="cuda"))
    assert calls == ["masks"]


def test_attention_that_calls_parts_of_layers_is_refused_where_layers_are_shards():
    reader = reader_of(tiny.model("deberta-v2"), "deberta-v2")
    optimizer = torch.optim.SGD(reader.model.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match="'disentangled-flash' under FSDP; wanted one process, DDP or DeepSpeed"):
        prepare(Asked(DistributedType.FSDP), reader, optimizer, replace(CONFIG, attention="disentangled-flash"))


@pytest.fixture
def alone_in_a_group():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("alone_in_a_group")
def test_buffers_that_never_change_are_not_sent_before_every_pass():
    class Wrapping(Asked):
        def prepare(self, model, optimizer):
            return torch.nn.parallel.DistributedDataParallel(model), AcceleratedOptimizer(optimizer)

    Accelerator(cpu=True)
    reader = reader_of(tiny.model("bert"))
    optimizer = torch.optim.SGD(reader.model.parameters(), lr=0.1)
    model, _ = prepare(Wrapping(DistributedType.MULTI_CPU, processes=2), reader, optimizer, CONFIG)
    assert not model.broadcast_buffers


@pytest.mark.parametrize(("family", "unused"), [("bert", False), ("xlnet", True)])
def test_several_processes_look_for_unused_parameters_only_where_there_are_any(family, unused):
    accelerator = Asked(DistributedType.MULTI_CPU, processes=2)
    prepared(accelerator, family)
    assert accelerator.ddp_handler.find_unused_parameters is unused
    assert accelerator.ddp_handler.gradient_as_bucket_view


@pytest.mark.parametrize(("told", "wanted"), [(None, ["BertLayer"]), (["Other"], ["Other"])])
def test_fsdp_shards_layers_unless_it_was_told_others(told, wanted):
    plugin = SimpleNamespace(transformer_cls_names_to_wrap=told)
    prepared(Asked(DistributedType.FSDP, processes=2, fsdp_plugin=plugin))
    assert plugin.transformer_cls_names_to_wrap == wanted


def test_deepspeed_clips_and_counts_as_the_run_does():
    plugin = SimpleNamespace(deepspeed_config={"zero_optimization": {"stage": 2}})
    prepared(Asked(DistributedType.DEEPSPEED, processes=2, deepspeed_plugin=plugin))
    assert plugin.deepspeed_config == {
        "zero_optimization": {"stage": 2},
        "train_micro_batch_size_per_gpu": 5,
        "gradient_clipping": 0.5,
    }


# --- evaluation alone ---


class NeverPrepared(Asked):
    """An accelerator that is to prepare nothing."""

    def prepare(self, *_):
        pytest.fail("nothing is to be prepared")


@pytest.mark.parametrize(
    ("kind", "processes"), [(DistributedType.NO, 1), (DistributedType.MULTI_CPU, 2), (DistributedType.DEEPSPEED, 1)]
)
def test_a_model_that_is_only_evaluated_has_no_optimizer_and_no_wrapper(kind, processes):
    reader = reader_of(tiny.model())
    assert prepare_for_evaluation(NeverPrepared(kind, processes=processes), reader, CONFIG) is reader.model


def test_fsdp_prepares_it_with_an_optimizer_which_it_wants():
    Accelerator(cpu=True)
    reader = reader_of(tiny.model())
    plugin = SimpleNamespace(transformer_cls_names_to_wrap=None)
    accelerator = Asked(DistributedType.FSDP, processes=2, fsdp_plugin=plugin)
    assert prepare_for_evaluation(accelerator, reader, CONFIG) is reader.model
    assert plugin.transformer_cls_names_to_wrap == ["BertLayer"]
