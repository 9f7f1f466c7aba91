"""Processes, devices, precision: what was asked for, or an error that says what is missing."""

import json
import logging
import os
from contextlib import nullcontext
from datetime import timedelta

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import LoggerType

from qa.errors import ConfigError, LaunchError
from qa.runtime import accelerator as starting
from qa.runtime import collectives
from qa.runtime.accelerator import configure_logging, make_accelerator, require_new_store, seed_generators
from qa.runtime.collectives import from_main, on_main
from qa.runtime.cores import use_training_threads
from qa.runtime.environment import describe_environment, git_commit

pytestmark = pytest.mark.usefixtures("fresh_accelerator")
TIMEOUT = timedelta(minutes=7)
LAUNCHER = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_CPU", "OMP_NUM_THREADS")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """As without a launcher; threads are put back."""
    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


# --- launching ---


def test_one_process_without_a_launcher(tmp_path):
    accelerator = make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT)
    assert accelerator.num_processes == 1
    assert accelerator.is_main_process
    assert accelerator.mixed_precision == "no"


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a device")
def test_fp16_on_a_cpu_is_refused_and_bf16_named(monkeypatch, tmp_path):
    """accelerate takes it and trains in fp32 without a word."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(LaunchError, match=r"fp16 needs a GPU.*wanted bf16"):
        make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT)


def test_fp16_is_refused_where_the_cpu_was_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    with pytest.raises(LaunchError, match="bf16"):
        make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT)


def test_bf16_on_a_cpu_is_bf16(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    accelerator = make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT)
    assert accelerator.mixed_precision == "bf16"
    model = accelerator.prepare(torch.nn.Linear(2, 2))
    assert next(model.parameters()).dtype == torch.float32
    with accelerator.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_processes_that_do_not_see_each_other_are_refused(monkeypatch, tmp_path):
    """accelerate launch can start two processes of which each believes that it is alone."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(starting, "Accelerator", lambda **_: Accelerator(cpu=False))
    with pytest.raises(LaunchError, match="started 2 processes; this one sees 1"):
        make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT)


def test_several_processes_without_a_device_are_told_so_in_code(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)

    def remembered(**options):
        asked.append(options)
        return Accelerator()

    monkeypatch.setattr(starting, "Accelerator", remembered)
    make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LaunchError):
        make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT)
    assert [options["cpu"] for options in asked] == [False, True]
    assert all(options["kwargs_handlers"][0].timeout == TIMEOUT for options in asked)


def test_tracker_that_is_not_installed_is_named(monkeypatch, tmp_path):
    """accelerate leaves it out without a word."""
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", lambda: [LoggerType.WANDB])
    with pytest.raises(LaunchError, match=r"not installed: tensorboard; wanted by tracking\.report-to"):
        make_accelerator(trackers=("wandb", "tensorboard"), folder=tmp_path, timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("attempt", "shared", "refused"), [("0", "True", False), ("1", "False", False), ("1", "True", True)]
)
def test_a_store_of_processes_that_have_ended_is_refused(attempt, shared, refused, monkeypatch):
    """torchrun's, on its second attempt."""
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", attempt)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", shared)
    expected = pytest.raises(LaunchError, match="TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1") if refused else nullcontext()
    with expected:
        require_new_store()


# --- cores ---


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


def test_cores_are_counted_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    use_training_threads(None, 1)
    assert torch.get_num_threads() == 3


# --- errors and values ---


def fails():
    raise ConfigError("no such thing")


def test_error_of_the_main_process_is_raised():
    with pytest.raises(ConfigError, match="no such thing"):
        on_main(Accelerator(cpu=True), fails)
    with pytest.raises(ConfigError, match="no such thing"):
        from_main(Accelerator(cpu=True), fails)


def test_result_of_the_main_process_is_returned():
    assert on_main(Accelerator(cpu=True), lambda: 3) == 3
    assert from_main(Accelerator(cpu=True), lambda: {"a": 1}) == {"a": 1}


def test_other_processes_run_nothing(monkeypatch):
    accelerator = Accelerator(cpu=True)
    monkeypatch.setattr(type(accelerator), "is_main_process", False)
    assert on_main(accelerator, fails) is None


def test_error_that_the_main_process_tells_is_raised_elsewhere(monkeypatch):
    accelerator = Accelerator(cpu=True)
    monkeypatch.setattr(type(accelerator), "is_main_process", False)
    monkeypatch.setattr(collectives, "broadcast_object_list", lambda _: [ConfigError("over there")])
    with pytest.raises(ConfigError, match="over there"):
        on_main(accelerator, lambda: 3)


def test_seed_decides_what_torch_draws():
    drawn = []
    for seed in (1, 1, 2):
        seed_generators(seed)
        drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


# --- records ---


def test_environment_says_versions_hardware_and_commit():
    environment = describe_environment(Accelerator(cpu=True))
    assert json.loads(json.dumps(environment)) == environment
    assert set(environment["versions"]) >= {"python", "torch", "transformers", "accelerate", "datasets", "wandb"}
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["processes"] == 1
    assert environment["device"] == "cpu"
    assert environment["mixed_precision"] == "no"
    assert environment["command"]
    assert environment["git_commit"] is None or len(environment["git_commit"]) == 40


def test_installed_package_has_no_commit(tmp_path):
    """Not that of a checkout which its environment happens to lie in."""
    import subprocess

    site = tmp_path / "project" / ".venv" / "qa"
    site.mkdir(parents=True)
    (site / "runtime.py").write_text("")
    git = ["git", "-C", str(tmp_path / "project"), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    assert git_commit(site / "runtime.py") is None
    subprocess.run([*git, "add", "-f", ".venv/qa/runtime.py"], check=True)
    assert len(git_commit(site / "runtime.py")) == 40


def test_main_process_logs_information_and_others_warnings(monkeypatch):
    package = logging.getLogger("qa")
    before = package.level
    accelerator = Accelerator(cpu=True)
    try:
        configure_logging(accelerator)
        assert package.level == logging.INFO
        monkeypatch.setattr(type(accelerator), "is_main_process", False)
        configure_logging(accelerator)
        assert package.level == logging.WARNING
    finally:
        package.setLevel(before)
