"""Processes, devices and precision: the accelerator, seeds, logging a rank, and the record of the environment."""

import ctypes
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list, gather_object
from transformers.utils.logging import disable_progress_bar

from qa.errors import LaunchError, QAError

Value = TypeVar("Value")

_COLLECTIVE_TIMEOUT = timedelta(hours=2)  # the longest that one process may work alone, such as building features
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_ALIVE: list[torch.distributed.ProcessGroup] = []
"""Process groups, which must outlive all that use them; see `end_process`."""
_RECORDED = ("accelerate", "datasets", "evaluate", "numpy", "tokenizers", "torch", "transformers", "wandb")


def start_accelerator(*, trackers: tuple[str, ...], folder: Path) -> Accelerator:
    """Make the accelerator for the processes, devices and precision that the launcher set up.

    Several processes on a machine without a device must be told so in code: from a configuration file alone each would
    believe that it is the only one.

    Raises:
        LaunchError: the processes do not see each other, the precision cannot be had on this device, or a tracker is
            not installed.

    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    on_cpu = not torch.accelerator.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    if on_cpu and precision == "fp16":
        raise LaunchError("mixed precision fp16 needs a GPU: on a CPU it would train in fp32; wanted bf16 or no")
    accelerator = Accelerator(
        cpu=on_cpu and world > 1,
        log_with=list(trackers) or None,
        project_dir=folder,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_COLLECTIVE_TIMEOUT)],
    )
    if (group := torch.distributed.group.WORLD) is not None:
        _ALIVE.append(group)
    if accelerator.device.type == "cpu":
        use_all_cores(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        keep_freed_memory()
    if accelerator.num_processes != world:
        raise LaunchError(f"the launcher started {world} processes; this one sees {accelerator.num_processes}")
    missing = set(trackers) - {str(tracker) for tracker in accelerator.log_with}
    if missing:  # accelerate leaves them out without a word
        raise LaunchError(f"not installed: {', '.join(sorted(missing))}; wanted by tracking.report-to")
    return accelerator


def end_process(status: int) -> NoReturn:
    """End the process with an exit status; one of several processes without calling destructors.

    Gloo's joins a thread while it holds Python's global lock, which that thread may wait for to free a tensor of the
    last collective: runs of two processes on the CPU now and then hung so at their end.
    """
    if _ALIVE:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def use_all_cores(local_processes: int) -> None:
    """Share the machine's cores between its processes, unless the launcher was told a number of threads.

    `accelerate launch` sets OMP_NUM_THREADS to 1 where it was told nothing, which leaves all cores but one idle.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(1, cores // local_processes))


def keep_freed_memory() -> None:
    """Let glibc's allocator keep large freed blocks: mapping and clearing them anew costs a fifth of a training step.

    Other C libraries are left as they are.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def configure_logging(accelerator: Accelerator) -> None:
    """Log this package's information lines on the main process and warnings on all."""
    rank = f"[{accelerator.process_index}/{accelerator.num_processes}] " if accelerator.num_processes > 1 else ""
    logging.basicConfig(format=f"%(asctime)s {rank}%(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("transformers").setLevel(logging.ERROR)  # its report on a new head is no news here
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    logging.getLogger("qa").setLevel(logging.INFO if accelerator.is_main_process else logging.WARNING)


def seed_generators(seed: int) -> None:
    """Seed torch on all devices; nothing here draws from another generator (orders are functions of the seed)."""
    torch.manual_seed(seed)


def on_main(accelerator: Accelerator, function: Callable[[], Value]) -> Value | None:
    """Run `function` on the main process and give its result there, None elsewhere; its error is raised on all.

    Collective: without it, an error on one process would leave the others waiting.
    """
    result: Value | None = None
    error: QAError | None = None
    if accelerator.is_main_process:
        try:
            result = function()
        except QAError as caught:
            error = caught
    (error,) = broadcast_object_list([error])
    if error is not None:
        raise error
    return result


def for_all(accelerator: Accelerator, function: Callable[[], Value]) -> Value:
    """Run `function` on the main process and give its result, or its error, to all. Collective."""
    (result,) = broadcast_object_list([on_main(accelerator, function)])
    return result  # type: ignore[no-any-return]


def require_same(accelerator: Accelerator, values: Mapping[str, object]) -> None:
    """Compare what all processes must agree on, for they would train on different things without a word. Collective.

    Raises:
        LaunchError: on all processes, naming what differs and where.

    """
    (wanted,) = broadcast_object_list([dict(values)])
    names = sorted({*wanted, *values})
    here, other = f"on process {accelerator.process_index}", "on process 0"
    differing = [
        f"{name} is {values.get(name)!r} {here} and {wanted.get(name)!r} {other}"
        for name in names
        if values.get(name) != wanted.get(name)
    ]
    found = gather_object(differing) if accelerator.num_processes > 1 else differing
    if found:
        raise LaunchError(f"the processes were not started alike: {'; '.join(found)}")


def describe_environment(accelerator: Accelerator) -> dict[str, Any]:
    """Return versions, hardware, processes, the command line and the code's git commit."""
    return {
        "command": sys.argv,
        "git_commit": _git_commit(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _RECORDED}},
        "platform": platform.platform(),
        "cpu": {"name": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "threads": torch.get_num_threads(),
        "device": str(accelerator.device.type),
        "device_name": torch.cuda.get_device_name() if accelerator.device.type == "cuda" else None,
        "processes": accelerator.num_processes,
        "distributed_type": accelerator.distributed_type.value,
        "mixed_precision": accelerator.mixed_precision,
    }


def _git_commit() -> str | None:
    """Return the commit of the checkout this code is in; None for an installed package, also inside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    for command in (["ls-files", "--error-unmatch", Path(__file__).name], ["rev-parse", "HEAD"]):
        try:
            done = subprocess.run([*git, *command], capture_output=True, text=True, check=True)  # noqa: S603  # fixed words
        except (OSError, subprocess.CalledProcessError):
            return None
    return done.stdout.strip()
