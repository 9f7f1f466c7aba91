"""Versions, hardware, commit."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

_RECORDED = ("accelerate", "datasets", "evaluate", "numpy", "tokenizers", "torch", "transformers", "wandb")


def describe_environment(accelerator: Accelerator) -> dict[str, Any]:
    """Return versions, hardware, processes, the command line and the code's git commit."""
    return {
        "command": sys.argv,
        "git_commit": git_commit(Path(__file__)),
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


def git_commit(file: Path) -> str | None:
    """Return the commit of the checkout that tracks a file; None for an installed one, also inside a checkout."""
    git = ["git", "-C", str(file.parent)]
    for command in (["ls-files", "--error-unmatch", file.name], ["rev-parse", "HEAD"]):
        try:
            done = subprocess.run([*git, *command], capture_output=True, text=True, check=True)  # noqa: S603  # fixed words
        except (OSError, subprocess.CalledProcessError):
            return None
    return done.stdout.strip()
