"""The cores of a process, and what of them a model uses."""

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from qa.runtime.cores import (
    cpu_quota,
    keep_freed_memory,
    model_threads,
    sleep_where_cores_are_busy,
    trim_freed_memory,
    usable_cores,
    use_model_threads,
    use_training_threads,
)
from tests.support.heaps import FREED, fill_holes, make_holes, on_glibc, returned


@pytest.mark.parametrize(
    ("variables", "told", "processes", "threads"),
    [
        ({}, None, 1, 4),
        ({}, None, 2, 2),
        ({"OMP_NUM_THREADS": "1"}, None, 1, 2),  # torch has read it when it was imported: here it had 2
        ({"OMP_NUM_THREADS": "3"}, None, 1, 2),
        ({"OMP_NUM_THREADS": "1", "ACCELERATE_MIXED_PRECISION": "no"}, None, 1, 4),
        ({"OMP_NUM_THREADS": "1", "ACCELERATE_MIXED_PRECISION": "no"}, None, 3, 1),
        ({"OMP_NUM_THREADS": "1", "TORCHELASTIC_RUN_ID": "none"}, None, 8, 1),
        ({"OMP_NUM_THREADS": "3", "ACCELERATE_MIXED_PRECISION": "no"}, None, 1, 2),
        ({"OMP_NUM_THREADS": "1", "ACCELERATE_MIXED_PRECISION": "no"}, 3, 2, 3),
    ],
)
def test_a_number_of_threads_that_was_said_counts_and_a_launchers_does_not(
    variables, told, processes, threads, monkeypatch
):
    """Launchers set OMP_NUM_THREADS to 1 where they were told nothing."""
    torch.set_num_threads(2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    use_training_threads(told, processes)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("load", "others", "variables", "policy"),
    [
        (0.4, 1, {}, None),
        (0.6, 1, {}, "PASSIVE"),  # 4 threads on 4 cores, and one other program
        (0.6, 0, {}, None),  # which has ended
        (9.0, 9, {}, "PASSIVE"),
        (9.0, None, {}, "PASSIVE"),
        (1.4, 2, {"OMP_NUM_THREADS": "3"}, None),
        (1.6, 2, {"OMP_NUM_THREADS": "3"}, "PASSIVE"),
        (1.6, 1, {"OMP_NUM_THREADS": "3"}, None),
        (9.0, 9, {"OMP_NUM_THREADS": "1"}, None),  # it has no other to wait for
        (9.0, 9, {"OMP_WAIT_POLICY": "active"}, "active"),
        (9.0, 9, {"GOMP_SPINCOUNT": "1000"}, None),
    ],
)
def test_threads_sleep_while_they_wait_where_others_have_cores(load, others, variables, policy, monkeypatch, tmp_path):
    if others is not None:
        (tmp_path / "loadavg").write_text(f"{load:.2f} 0.00 0.00 {1 + others}/80 123\n")
    monkeypatch.setattr("qa.runtime.cores._NOW", tmp_path / "loadavg")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "WEB_CONCURRENCY"):
        monkeypatch.setenv(name, "")  # so that what is set below is undone
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sleep_where_cores_are_busy()
    assert os.environ.get("OMP_WAIT_POLICY") == policy


def test_a_system_without_load_averages_is_left_alone(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delattr(os, "getloadavg", raising=False)
    sleep_where_cores_are_busy()
    assert "OMP_WAIT_POLICY" not in os.environ


def test_cores_are_counted_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    use_training_threads(None, 1)
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("quota", "cores"), [(None, 4), (2.0, 2), (1.6, 2), (0.2, 1), (16.0, 4)])
def test_a_containers_quota_bounds_the_cores(quota, cores, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr("qa.runtime.cores.cpu_quota", lambda: quota)
    assert usable_cores() == cores


JOB = "sys/fs/cgroup/cpu/job"


def control_groups(root, line, files):
    """A file system whose process is in that group, with these files."""
    for name, content in [("proc/self/cgroup", line), *files]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("line", "files", "quota"),
    [
        ("0::/a/b\n", [("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n")], 1.5),
        ("0::/a/b\n", [("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")], None),
        (
            "0::/a/b\n",
            [("sys/fs/cgroup/a/b/cpu.max", "400000 100000\n"), ("sys/fs/cgroup/a/cpu.max", "200000 100000\n")],
            2.0,
        ),
        (
            "4:memory:/m\n3:cpu,cpuacct:/job\n",
            [
                ("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000"),
                ("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000"),
            ],
            0.5,
        ),
        (
            "3:cpu:/job\n",
            [(f"{JOB}/cpu.cfs_quota_us", "-1"), (f"{JOB}/cpu.cfs_period_us", "100000")],
            None,
        ),
        ("4:memory:/m\n", [("sys/fs/cgroup/m/cpu.max", "1 1")], None),
        ("0::/\n", [], None),
    ],
    ids=["version 2", "no limit", "the group above", "version 1", "no limit in version 1", "of memory", "no files"],
)
def test_the_quota_is_the_least_of_a_groups_and_those_above(line, files, quota, tmp_path):
    assert cpu_quota(control_groups(tmp_path, line, files)) == quota


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("told", "workers", "threads"),
    [("3", "2", 3), ("", "", 8), ("", "4", 2), ("", "16", 1), ("0", "", 8), ("many", "some", 8)],
)
def test_a_models_threads_are_those_told_or_a_workers_share(told, workers, threads, monkeypatch):
    monkeypatch.setattr("qa.runtime.cores.usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    assert model_threads() == threads
    use_model_threads()
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("platform", "is_glibc", "calls"), [("linux", True, 2), ("linux", False, 0), ("win32", True, 0)]
)
def test_only_glibc_is_told_to_keep_memory(platform, is_glibc, calls, monkeypatch):
    told = []

    class Library(ctypes.CDLL):
        def __getattr__(self, name):
            raise AttributeError(name)

        def __init__(self, _):
            self.mallopt = lambda *given: told.append(given)
            self.malloc_trim = lambda _: None
            if is_glibc:
                self.gnu_get_libc_version = b"2.36"

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", Library)
    keep_freed_memory()
    assert len(told) == calls
    trim_freed_memory()  # leaves others alone too


@on_glibc
def test_memory_that_was_freed_between_other_blocks_is_returned():
    with ThreadPoolExecutor(1) as pool:
        kept = pool.submit(make_holes).result()  # in the heap of another thread
        assert returned() > 0.8 * FREED
        fill_holes(kept)
