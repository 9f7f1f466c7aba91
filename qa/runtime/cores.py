"""The cores of this process, and the memory that it keeps."""

import ctypes
import os
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores(local_processes: int) -> None:
    """Share the machine's cores between its processes, unless the launcher was told a number of threads.

    `accelerate launch` sets OMP_NUM_THREADS to 1 where it was told nothing, which leaves all cores but one idle.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        torch.set_num_threads(max(1, usable_cores() // local_processes))


def keep_freed_memory() -> None:
    """Let glibc's allocator keep large freed blocks: mapping and clearing them anew costs a fifth of a training step.

    Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
