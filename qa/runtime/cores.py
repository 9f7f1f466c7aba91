"""The cores of this process, and the memory that it keeps."""

import ctypes
import functools
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import Any

from qa.errors import ConfigError

_LOG = logging.getLogger(__name__)
_LOADED_IN = os.getpid()
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_OF_LAUNCHERS = ("ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID")  # variables of accelerate launch, torchrun
_HOW_THREADS_WAIT = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # for one another, by OpenMP's libraries
_NOW = Path("/proc/loadavg")  # of Linux: load averages, running threads and all, the newest process
_MAPPED = 1 << 17  # bytes of a block that is mapped for itself, by glibc's default


def usable_cores() -> int:
    """Return the number of cores that this process may use: of those it may run on, what a container's quota allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, round(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the processor time, in cores, that Linux's control groups leave this process; None: no limit.

    The kernel says "2 of 64 cores" by halting all threads for the rest of each period, not by hiding cores.

    Args:
        root: of the file system.

    """
    found = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = top / path.lstrip("/")
        found += [_quota(folder) for folder in (group, *group.parents) if folder.is_relative_to(top)]
    return min((quota for quota in found if quota is not None), default=None)


def _quota(group: Path) -> float | None:
    """Read a group's quota: of version 2 from one file, of version 1 from two."""
    files = ("cpu.max",) if (group / "cpu.max").exists() else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    words = [word for name in files for line in _lines(group / name) for word in line.split()]
    if len(words) != 2 or words[0] in {"max", "-1"}:
        return None
    return int(words[0]) / int(words[1])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def model_threads() -> int:
    """Return the threads of a model that answers: OMP_NUM_THREADS, else this worker's share of the cores.

    WEB_CONCURRENCY is where uvicorn and gunicorn look for the number of workers.
    """
    said, workers = os.environ.get("OMP_NUM_THREADS", ""), os.environ.get("WEB_CONCURRENCY", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    return max(1, usable_cores() // max(1, int(workers) if workers.isdecimal() else 1))


def sleep_where_cores_are_busy() -> None:
    """Let the threads of a matrix product sleep while they wait for one another, where other programs have cores.

    By default they spin, which is quicker where all have a core. Where one has none, those that spin take the time that
    it waits for: ten programs on two cores made training steps twenty times slower. Where nobody else wants one, sleep
    costs a question in four. What the environment says counts. OpenMP reads it when torch is loaded, and programs that
    this one starts read it too.
    """
    if os.environ.keys() & set(_HOW_THREADS_WAIT) or not hasattr(os, "getloadavg"):
        return
    busy = min(round(os.getloadavg()[0]), _others_running())  # the last minute may be of what has ended by now
    threads, cores = model_threads(), os.cpu_count() or 1
    if threads > 1 and busy + threads > cores:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _others_running() -> int:
    """Return how many threads but this one have a core, or wait for one, at this moment; a lot where nobody says so."""
    lines = _lines(_NOW)
    return int(lines[0].split()[3].partition("/")[0]) - 1 if lines else sys.maxsize


def use_training_threads(told: int | None, local_processes: int) -> None:
    """Let torch use the threads that the run was told, else OMP_NUM_THREADS, else this process's share of the cores.

    Launchers set OMP_NUM_THREADS to 1 where they were told nothing, which would leave all cores but one idle: a 1 that
    comes through them does not count.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    launched = any(name in os.environ for name in _OF_LAUNCHERS)
    if told is not None:
        _torch().set_num_threads(told)
    elif not said or (said == "1" and launched):
        _torch().set_num_threads(max(1, usable_cores() // local_processes))


def use_model_threads() -> None:
    """Let torch, where it is installed, use `model_threads`: by itself it takes all cores, whatever a quota says."""
    if importlib.util.find_spec("torch") is not None:
        _torch().set_num_threads(model_threads())


def _torch() -> Any:  # noqa: ANN401  # a module
    import torch  # noqa: PLC0415  # an extra, and seconds: whoever runs ONNX files does without it

    return torch


def settle_after_fork(device: str) -> None:
    """Let a forked process compute on its one thread: those of its parent's pools are not in it, and it would wait.

    Args:
        device: kind of the device that is to compute, such as "cpu".

    Raises:
        ConfigError: its parent used the accelerator, which a forked process cannot.

    """
    if (process := os.getpid()) == _LOADED_IN:
        return
    torch = sys.modules.get("torch")  # where it is not loaded, there is nothing of it to settle
    is_lost = getattr(getattr(torch, device, None), "_is_in_bad_fork", None)  # there is no public name
    if is_lost is not None and is_lost():
        raise ConfigError(
            f"process {process} was forked from one that used {device}, which no forked process can use; wanted a "
            "spawned one, as multiprocessing.get_context('spawn') starts it"
        )
    _use_one_thread(process)


@functools.cache  # once in each process
def _use_one_thread(process: int) -> None:
    if "torch" in sys.modules:
        _torch().set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _LOG.info("process %d was forked and computes on one thread; a spawned one would use all cores", process)


def keep_freed_memory() -> None:
    """Let glibc's allocator keep large freed blocks: mapping and clearing them anew costs a fifth of a training step.

    Other C libraries are left as they are.
    """
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def return_freed_memory() -> None:
    """Return to the system what glibc's allocator keeps, and let it keep nothing more, so that any block fits."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED)
    trim_freed_memory()


def trim_freed_memory() -> None:
    """Return to the system what glibc's allocator keeps of freed blocks between others, in the heaps of all threads."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None
