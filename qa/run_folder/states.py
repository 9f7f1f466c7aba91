"""Weights and optimizer state <-> named tensors of whole parameters, whatever a backend cuts or keeps for itself.

Plain models, DDP and FSDP know torch's state dicts. DeepSpeed keeps the optimizer's state in flat pieces, one for each
process, which its API gathers parameter by parameter; so a checkpoint looks the same whichever wrote it.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, cast

import torch
from accelerate.utils import DistributedType, broadcast_object_list
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import StateDictType

from qa.training.loop import TrainingLoop
from qa.training.optimization import set_learning_rate

log = logging.getLogger(__name__)

MODEL, OPTIMIZER, AVERAGE = "model", "optimizer", "average"
"""What tensors of a checkpoint are of: the weights, the optimizer's state, the averaged weights where there are any."""
_FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)
_RECEIVED = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
_MOMENTS = ("exp_avg", "exp_avg_sq")
_STEP = "step"


def gather_weights(loop: TrainingLoop) -> dict[str, Any]:
    """Gather all weights to the main process, in float32. Collective."""
    weights = get_model_state_dict(_plain(loop) if _uses_deepspeed(loop) else loop.model, options=_FULL)
    for name, parameter in _deepspeed_parameters(loop):
        weights[name] = _api().safe_get_full_fp32_param(parameter).cpu()
    return weights


def gather_optimizer(loop: TrainingLoop) -> dict[str, Tensor]:
    """Gather the optimizer's state to the main process, under `PARAMETER/KEY`. Collective."""
    if not _uses_deepspeed(loop):
        return _optimizer_state(loop, _FULL)
    _link_states(loop)
    step = torch.tensor(float(_deepspeed_steps(loop)))
    found: dict[str, Tensor] = {}
    for name, parameter in _deepspeed_parameters(loop):
        found |= {f"{name}/{key}": _api().safe_get_full_optimizer_state(parameter, key).cpu() for key in _MOMENTS}
        found[f"{name}/{_STEP}"] = step
    return found


def is_sharded(loop: TrainingLoop) -> bool:
    """Return whether each process saves its part of the states: under FSDP, as its configuration says."""
    if loop.accelerator.distributed_type != DistributedType.FSDP:
        return False
    return bool(loop.accelerator.state.fsdp_plugin.state_dict_type == StateDictType.SHARDED_STATE_DICT)


def own_shards(loop: TrainingLoop) -> dict[str, Tensor]:
    """Return all tensors of a checkpoint, of those that are cut this process's part: `KIND/NAME`. Collective."""
    tensors = _named(MODEL, get_model_state_dict(loop.model)) | _named(OPTIMIZER, _optimizer_state(loop))
    if loop.average is not None:
        with loop.average.applied():  # copied, since outside the same tensors hold other weights
            averages = {
                name: cast("Tensor", weight).clone() for name, weight in get_model_state_dict(loop.model).items()
            }
        tensors |= _named(AVERAGE, averages)
    return tensors


def load_shards(loop: TrainingLoop, found: AbstractSet[str], read: Callable[[dict[str, Tensor]], None]) -> None:
    """Put in place what each process reads for itself. Collective.

    Args:
        loop: whose parameter groups stay as the settings made them.
        found: names of the tensors that there are, as `own_shards` names them.
        read: fills tensors by name.

    Raises:
        ValueError: they are not those of this model.

    """
    weights = get_model_state_dict(loop.model)
    missing = {name for name in found if name.startswith(f"{MODEL}/")} ^ _named(MODEL, weights).keys()
    if missing:
        raise ValueError(f"only one of the two has {', '.join(sorted(missing))}")
    for kind in [AVERAGE, MODEL] if loop.average is not None else [MODEL]:
        read(_named(kind, weights))
        set_model_state_dict(loop.model, weights)
        if kind == AVERAGE and loop.average is not None:
            loop.average.reset()
    # Asking for the state makes the optimizer create it, also for parameters that never had a gradient.
    state = get_optimizer_state_dict(loop.model, loop.optimizer.optimizer)
    moments = _named(OPTIMIZER, _flat(state["state"]))
    read({name: tensor for name, tensor in moments.items() if name in found})
    set_optimizer_state_dict(loop.model, loop.optimizer.optimizer, state)


def load_states(
    loop: TrainingLoop, weights: dict[str, Any], optimizer: Mapping[str, Tensor], average: dict[str, Any]
) -> None:
    """Put in place what the main process has read; the parameter groups stay as the settings made them. Collective.

    Raises:
        RuntimeError, KeyError, ValueError: they are not those of this model.

    """
    if _uses_deepspeed(loop):
        _load_into_deepspeed(loop, weights, optimizer)
        return
    options = _RECEIVED if loop.accelerator.num_processes > 1 else _FULL
    if loop.average is not None:
        set_model_state_dict(loop.model, average, options=options)
        loop.average.reset()
    set_model_state_dict(loop.model, weights, options=options)
    # Asking for the state first makes the optimizer create it: only then is there something to load into.
    saved = get_optimizer_state_dict(loop.model, loop.optimizer.optimizer, options=_FULL)
    if optimizer:  # of all parameters but those that never had a gradient, which may stay as they were created
        saved["state"] = cast("dict[str, Any]", saved["state"]) | _nested(optimizer)
    set_optimizer_state_dict(loop.model, loop.optimizer.optimizer, saved, options=options)


def _optimizer_state(loop: TrainingLoop, options: StateDictOptions | None = None) -> dict[str, Tensor]:
    state: dict[str, Any] = get_optimizer_state_dict(loop.model, loop.optimizer.optimizer, options=options)
    return _flat(state.get("state", {}))  # where all is gathered, the other processes have nothing


def _named(kind: str, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    return {f"{kind}/{name}": tensor for name, tensor in tensors.items()}


def _flat(nested: Any) -> dict[str, Tensor]:  # noqa: ANN401  # as the library types it
    return {f"{outer}/{inner}": tensor for outer, values in nested.items() for inner, tensor in values.items()}


def _nested(flat: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    nested: dict[str, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        outer, inner = name.rsplit("/", 1)
        nested.setdefault(outer, {})[inner] = tensor
    return nested


# --- DeepSpeed ----------------------------------------------------------------------------------------------------


def _uses_deepspeed(loop: TrainingLoop) -> bool:
    return bool(loop.accelerator.distributed_type == DistributedType.DEEPSPEED)


def _api() -> Any:  # noqa: ANN401  # a package without types that may not be installed
    import deepspeed.utils  # noqa: PLC0415

    return deepspeed.utils


def _plain(loop: TrainingLoop) -> nn.Module:
    return cast("nn.Module", loop.accelerator.unwrap_model(loop.model))


def _deepspeed_parameters(loop: TrainingLoop) -> Iterator[tuple[str, nn.Parameter]]:
    if _uses_deepspeed(loop):
        yield from ((name, one) for name, one in _plain(loop).named_parameters() if one.requires_grad)


def _link_states(loop: TrainingLoop) -> None:
    """Let each parameter know its part of the optimizer's state.

    DeepSpeed does so once, when the first parameter group has made its step and the others have no state yet.
    """
    sharded = cast("Any", loop.model).optimizer
    for parameters, flat in zip(sharded.bit16_groups, sharded.single_partition_of_fp32_groups, strict=True):
        _api().lazy_init_hp_params_optimizer_state(parameters, flat, sharded.optimizer.state)


def _inner_states(loop: TrainingLoop) -> list[dict[str, Any]]:
    """Return the state of each flat piece of this process, as the optimizer inside of DeepSpeed's has it."""
    engine = cast("Any", loop.model)
    return list(engine.optimizer.optimizer.state.values())


def _deepspeed_steps(loop: TrainingLoop) -> float:
    return max((float(state[_STEP]) for state in _inner_states(loop)), default=0.0)


def _load_into_deepspeed(loop: TrainingLoop, weights: dict[str, Any], optimizer: Mapping[str, Tensor]) -> None:
    """Set every parameter and its moments from what the main process has; the others receive one at a time."""
    _create_optimizer_state(loop)
    _link_states(loop)
    (steps,) = broadcast_object_list([next((float(optimizer[name]) for name in optimizer if _is_step(name)), 0.0)])
    for name, parameter in _deepspeed_parameters(loop):
        weight = _from_main(loop, weights.get(name), parameter)
        _api().safe_set_full_fp32_param(parameter, weight)
        parameter.data.copy_(weight)  # what the forward pass reads; the call above sets the copy that is trained
        for key in _MOMENTS:
            value = _from_main(loop, optimizer.get(f"{name}/{key}"), parameter)
            _api().safe_set_full_optimizer_state(parameter, value, key)
    for state in _inner_states(loop):
        state[_STEP] = torch.full_like(state[_STEP], steps) if torch.is_tensor(state[_STEP]) else int(steps)


def _create_optimizer_state(loop: TrainingLoop) -> None:
    """Let the optimizer create its state, which it does in its first step, without a change of the weights.

    There is no other way: a step at learning rate zero on a gradient of zero. Collective.
    """
    set_learning_rate(loop.optimizer, 0.0)
    (step,) = loop.loader.load(loop.loader.epoch_steps(0)[:1])
    output = loop.model(**step.batches[0].inputs)
    loop.accelerator.sync_gradients = True
    loop.accelerator.backward(0.0 * (output.start_logits.sum() + output.end_logits.sum()))
    loop.optimizer.step()
    loop.optimizer.zero_grad(set_to_none=True)


def _is_step(name: str) -> bool:
    return name.endswith(f"/{_STEP}")


def _from_main(loop: TrainingLoop, value: Tensor | None, parameter: nn.Parameter) -> Tensor:
    """Broadcast a float32 tensor of the shape of a parameter; only the main process has it."""
    (missing,) = broadcast_object_list([value is None or value.shape != parameter.shape])
    if missing:
        raise ValueError(f"no tensor of shape {tuple(parameter.shape)}")
    device = loop.accelerator.device
    here = value.to(device, torch.float32) if value is not None else torch.empty(parameter.shape, device=device)
    if loop.accelerator.num_processes > 1:
        torch.distributed.broadcast(here.contiguous(), src=0)
    return here
