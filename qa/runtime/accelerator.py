"""The accelerator: start, seed, log by rank, end."""

import logging
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from transformers.utils.logging import disable_progress_bar

from qa.config import RunConfig
from qa.errors import LaunchError
from qa.runtime.cores import keep_freed_memory, use_all_cores

_COLLECTIVE_TIMEOUT = timedelta(hours=2)  # the longest that one process may work alone, such as building features
_ALIVE: list[torch.distributed.ProcessGroup] = []
"""Process groups, which must outlive all that use them; see `end_process`."""


def start_accelerator(config: RunConfig) -> Accelerator:
    """Start what a run needs of the machine: processes, device, precision, logging, and the generator of the head.

    Raises:
        LaunchError: see `make_accelerator`.

    """
    accelerator = make_accelerator(trackers=config.tracking.trackers, folder=config.output_dir)
    configure_logging(accelerator)
    seed_generators(config.seed)
    return accelerator


def make_accelerator(*, trackers: tuple[str, ...], folder: Path) -> Accelerator:
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
