"""What accelerate prepares, and the special cases of FSDP, DeepSpeed, DDP."""

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedDataParallelKwargs, DistributedType
from torch import nn

from qa.config import TrainingConfig
from qa.errors import ConfigError
from qa.modeling.attention import mask_without_asking
from qa.modeling.disentangled import DISENTANGLED, use_disentangled
from qa.modeling.reader import Reader
from qa.modeling.structure import has_unused_parameters, layer_names
from qa.training.optimization import build_optimizer

_CONTEXT = 26  # tokens of the window that parameters are tried with


def prepare(
    accelerator: Accelerator, reader: Reader, optimizer: torch.optim.Optimizer, config: TrainingConfig
) -> tuple[nn.Module, AcceleratedOptimizer]:
    """Let accelerate prepare a model and its optimizer, which FSDP and DeepSpeed take only together. Collective.

    Raises:
        ConfigError: under FSDP, attention for which layers are not called as a whole.

    """
    model = reader.model
    if accelerator.distributed_type == DistributedType.FSDP:
        _require_whole_layers(config)
        plugin = accelerator.state.fsdp_plugin  # the library's own list has embeddings, which accelerate shards again
        plugin.transformer_cls_names_to_wrap = plugin.transformer_cls_names_to_wrap or layer_names(model)
    elif accelerator.distributed_type == DistributedType.DEEPSPEED:
        settings = accelerator.state.deepspeed_plugin.deepspeed_config
        settings["train_micro_batch_size_per_gpu"] = config.batch_size  # it would ask a data loader, and gets none
        settings["gradient_clipping"] = config.max_gradient_norm or 0.0
    elif accelerator.num_processes > 1:
        accelerator.ddp_handler = DistributedDataParallelKwargs(
            find_unused_parameters=has_unused_parameters(model, reader.windows(_CONTEXT)),
            gradient_as_bucket_view=True,  # gradients are exchanged where they are, not copied
        )
    _prepare_masks(accelerator)
    prepared: tuple[nn.Module, AcceleratedOptimizer] = accelerator.prepare(model, optimizer)
    if isinstance(prepared[0], nn.parallel.DistributedDataParallel):
        prepared[0].broadcast_buffers = False  # they never change: encoders have no running statistics
    return prepared


def prepare_for_evaluation(accelerator: Accelerator, reader: Reader, config: TrainingConfig) -> nn.Module:
    """Put a model that is only evaluated where it answers. Collective.

    It needs no optimizer, and on several devices no wrapper: each answers features of its own. FSDP, which cuts models
    that one device may not hold, prepares none without an optimizer; that has no state before its first step.

    Raises:
        ConfigError: see `prepare`.
        ModelError: see `use_disentangled`.

    """
    if accelerator.distributed_type == DistributedType.FSDP:
        model, _ = prepare(accelerator, reader, build_optimizer(reader.model, config, accelerator.device), config)
        return model
    _prepare_masks(accelerator)
    use_disentangled(reader.model, config, accelerator.device)
    placed: nn.Module = reader.model.to(accelerator.device)
    return placed


def _require_whole_layers(config: TrainingConfig) -> None:
    """Check that layers, which FSDP gathers when they are called, are called."""
    if config.attention == DISENTANGLED:
        raise ConfigError(f"training.attention is {DISENTANGLED!r} under FSDP; wanted one process, DDP or DeepSpeed")


def _prepare_masks(accelerator: Accelerator) -> None:
    if accelerator.device.type == "cuda":
        mask_without_asking()
