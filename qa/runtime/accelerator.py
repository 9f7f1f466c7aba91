"""The accelerator: start, seed, log by rank, end."""

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin, InitProcessGroupKwargs
from torch.distributed.fsdp import CPUOffloadPolicy
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

from qa.config import ACCUMULATION, RunConfig
from qa.errors import LaunchError, in_a_line
from qa.runtime.cores import keep_freed_memory, use_training_threads
from qa.runtime.ending import keep_alive
from qa.runtime.logs import configure_logging
from qa.runtime.peers import find_peers

log = logging.getLogger(__name__)
_TF32_SINCE = (8, 0)  # compute capability
_FSDP_VERSION = 2
_PRECISION = "ACCELERATE_MIXED_PRECISION"
_ENERGY = "codecarbon"
"""The tracker that accelerate does not know."""
_EXTRAS = {"wandb": "train", "tensorboard": "trackers", "trackio": "trackers", "mlflow": "mlflow", _ENERGY: "energy"}
"""What installs each tracker."""
_asked: list[str] = []
"""The precision that the run of this process was asked for in Python; none: the launcher's."""


def start_accelerator(config: RunConfig) -> Accelerator:
    """Start what a run needs of the machine: processes, device, precision, logging, and the generator of the head.

    Raises:
        LaunchError: see `make_accelerator`, `choose_float32` and `require_replayable`.

    """
    accumulated = os.environ.get(ACCUMULATION)
    accelerator = make_accelerator(
        trackers=config.tracking.trackers,
        folder=config.output_dir,
        timeout=timedelta(minutes=config.timeout_minutes),
        threads=config.threads,
    )
    configure_logging(accelerator)
    choose_float32(accelerator.device, tf32=config.training.tf32)
    if config.training.compile_mode != "default":
        require_replayable(accelerator.device, accelerator.distributed_type)
    if accumulated is not None:
        log.info("%s=%s is taken as training.accumulation-steps", ACCUMULATION, accumulated)
    seed_generators(config.seed)
    return accelerator


def make_accelerator(
    *, trackers: tuple[str, ...], folder: Path, timeout: timedelta, threads: int | None = None
) -> Accelerator:
    """Make the accelerator for the processes, devices and precision that the launcher set up.

    Several processes on a machine without a device must be told so in code: from a configuration file alone each would
    believe that it is the only one. Gradient accumulation is the loop's: accelerate is told nothing of it, since it
    would divide every gradient by the number of passes once more.

    Args:
        trackers: names of services.
        folder: for what trackers write.
        timeout: of one exchange between processes; what takes longer is waited for otherwise, see `peers`.
        threads: of this process on a CPU; None: see `use_training_threads`.

    Raises:
        LaunchError: the processes do not see each other, the precision cannot be had on this device, a tracker is not
            installed, or see `require_new_store` and `require_whole_layers`.

    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    precision = next(iter(_asked), os.environ.get(_PRECISION, "no"))
    on_cpu = not torch.accelerator.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    if on_cpu and precision == "fp16":
        raise LaunchError("mixed precision fp16 needs a GPU: on a CPU it would train in fp32; wanted bf16 or no")
    os.environ.pop(ACCUMULATION, None)
    if world > 1:
        require_new_store()
    try:
        accelerator = Accelerator(
            cpu=on_cpu and world > 1,
            mixed_precision=next(iter(_asked), None),
            log_with=[name for name in trackers if name != _ENERGY] or None,
            project_dir=folder,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=timeout)],
        )
    except ValueError as error:
        raise LaunchError(f"accelerate does not take the launch configuration: {in_a_line(error)}") from error
    if accelerator.distributed_type == DistributedType.FSDP:
        require_whole_layers(accelerator.state.fsdp_plugin)
    if (group := torch.distributed.group.WORLD) is not None:
        keep_alive(group)
        find_peers()
    if accelerator.device.type == "cpu":
        use_training_threads(threads, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        keep_freed_memory()
    if accelerator.num_processes != world:
        raise LaunchError(f"the launcher started {world} processes; this one sees {accelerator.num_processes}")
    _require_trackers(trackers, {str(tracker) for tracker in accelerator.log_with})
    return accelerator


def _require_trackers(trackers: Iterable[str], found: set[str]) -> None:
    """Check that all trackers are installed: accelerate leaves out, without a word, those that are not."""
    energy = {_ENERGY} if importlib.util.find_spec(_ENERGY) is not None else set()
    missing = sorted(set(trackers) - found - energy)
    if missing:
        extras = ",".join(sorted({_EXTRAS[name] for name in missing}))
        raise LaunchError(
            f"not installed: {', '.join(missing)}; wanted by tracking.report-to; install with: "
            f"pip install 'extractive-qa[{extras}]'"
        )


def choose_float32(device: torch.device, *, tf32: bool | None) -> None:
    """Let a GPU shorten the factors of float32 products to TF32 (10 bits after the point), or not; say which.

    Args:
        device: what the run computes on; others than CUDA devices are left as they are.
        tf32: whether to; None: where the device has it.

    Raises:
        LaunchError: it is asked for, and the device does not have it.

    """
    has_it = device.type == "cuda" and torch.cuda.get_device_capability(device) >= _TF32_SINCE
    if tf32 and not has_it:
        raise LaunchError(f"training.tf32: {device} does not have it; wanted a GPU that does (Ampere or newer)")
    if device.type != "cuda":
        return
    shortened = has_it if tf32 is None else tf32
    torch.set_float32_matmul_precision("high" if shortened else "highest")
    log.info("float32 products: %s", "shortened to TF32 (training.tf32)" if shortened else "in full")


def require_replayable(device: torch.device, kind: DistributedType) -> None:
    """Check that steps can be replayed as CUDA graphs: by one process, on a CUDA device.

    Under DDP the library's graphs are known to fail (pytorch#113809, #140395); FSDP moves parameters.

    Raises:
        LaunchError: they cannot.

    """
    if device.type != "cuda" or kind != DistributedType.NO:
        found = f"{device.type} with distributed type {kind.value}"
        raise LaunchError(
            f"training.compile-mode is reduce-overhead on {found}; wanted one process on CUDA, or default"
        )


def require_whole_layers(plugin: FullyShardedDataParallelPlugin) -> None:
    """Check that FSDP is to shard whole layers, and to keep its parts where it computes.

    Raises:
        LaunchError: naming what of it is otherwise, by the keys of a launch configuration.

    """
    offloads = isinstance(plugin.cpu_offload, CPUOffloadPolicy) or getattr(plugin.cpu_offload, "offload_params", False)
    wrong = {
        "fsdp_version: 2": plugin.fsdp_version != _FSDP_VERSION,
        "fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP": plugin.auto_wrap_policy is not transformer_auto_wrap_policy,
        "fsdp_offload_params: false": offloads,
        "fsdp_cpu_ram_efficient_loading: false (weights are mapped, once a machine)": plugin.cpu_ram_efficient_loading,
        "fsdp_activation_checkpointing: false (see training.gradient-checkpointing)": plugin.activation_checkpointing,
    }
    wanted = [setting for setting, is_wrong in wrong.items() if is_wrong]
    if wanted:
        raise LaunchError(f"FSDP is set up in a way that is not supported; wanted {', '.join(wanted)}")


def require_new_store() -> None:
    """Check that processes which torchrun has started again find one another, and not the addresses of the dead.

    Its agent keeps one store for all attempts, though torch takes it for a new one: Gloo then fails to connect, and
    NCCL waits.

    Raises:
        LaunchError: the store is that of an earlier attempt.

    """
    again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    if again and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise LaunchError(
            "torchrun started the processes again, and they would look for the ones that have ended; wanted "
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 where torchrun is started"
        )


def seed_generators(seed: int) -> None:
    """Seed torch on all devices; nothing here draws from another generator (orders are functions of the seed)."""
    torch.manual_seed(seed)


@contextlib.contextmanager
def used_for_one_run(mixed_precision: str | None) -> Iterator[None]:
    """Inside, a run may start an accelerator with this precision (None: the launcher's); the next run another one.

    accelerate keeps its state in the process, which in a notebook does one run after the other. What a launcher said
    stays as it was: it is no launcher's word that a precision was asked for here.
    """
    accumulated = os.environ.get(ACCUMULATION)  # which a run takes away
    _asked[:] = [mixed_precision] if mixed_precision is not None else []
    try:
        yield
    finally:
        _asked.clear()
        if accumulated is not None:
            os.environ[ACCUMULATION] = accumulated
        alone = not torch.distributed.is_initialized()
        AcceleratorState._reset_state(reset_partial_state=alone)  # noqa: SLF001  # the library has no other way
        GradientState._reset_state()  # noqa: SLF001  # as above
