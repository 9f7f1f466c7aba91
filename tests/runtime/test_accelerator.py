"""Processes, devices, precision: what was asked for, or an error that says what is missing."""

import importlib.util
from contextlib import nullcontext
from datetime import timedelta

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin, LoggerType

from qa.errors import LaunchError
from qa.runtime import accelerator as starting
from qa.runtime.accelerator import (
    choose_float32,
    make_accelerator,
    require_new_store,
    require_replayable,
    require_whole_layers,
    seed_generators,
    used_for_one_run,
)

pytestmark = pytest.mark.usefixtures("fresh_accelerator")
TIMEOUT = timedelta(minutes=7)


# --- TF32 ---


@pytest.fixture
def float32_left_as_it_was():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("float32_left_as_it_was")
@pytest.mark.parametrize(
    ("capability", "asked", "found", "said"),
    [
        ((9, 0), None, "high", "shortened to TF32"),
        ((8, 0), True, "high", "shortened to TF32"),
        ((9, 0), False, "highest", "in full"),
        ((7, 0), None, "highest", "in full"),
    ],
)
def test_a_gpu_that_has_tf32_uses_it_unless_told_and_says_so(capability, asked, found, said, monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    with caplog.at_level("INFO", logger="qa"):
        choose_float32(torch.device("cuda"), tf32=asked)
    assert torch.get_float32_matmul_precision() == found
    assert said in caplog.text


@pytest.mark.parametrize(("device", "capability"), [("cuda", (7, 5)), ("cpu", None)])
def test_tf32_that_a_device_does_not_have_is_refused(device, capability, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    with pytest.raises(LaunchError, match=rf"training.tf32: {device} does not have it"):
        choose_float32(torch.device(device), tf32=True)


@pytest.mark.parametrize(
    ("device", "kind", "refused"),
    [
        ("cuda", DistributedType.NO, False),
        ("cpu", DistributedType.NO, True),
        ("cuda", DistributedType.MULTI_GPU, True),
        ("cuda", DistributedType.FSDP, True),
    ],
)
def test_steps_are_replayed_by_one_process_with_a_cuda_device(device, kind, refused):
    message = rf"reduce-overhead on {device} with distributed type {kind.value}; wanted one process on CUDA"
    with pytest.raises(LaunchError, match=message) if refused else nullcontext():
        require_replayable(torch.device(device), kind)


@pytest.mark.parametrize("asked", [None, False])
def test_a_cpu_is_left_as_it_is(asked, caplog):
    before = torch.get_float32_matmul_precision()
    with caplog.at_level("INFO", logger="qa"):
        choose_float32(torch.device("cpu"), tf32=asked)
    assert torch.get_float32_matmul_precision() == before
    assert not caplog.text


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


def test_a_precision_that_python_asks_for_is_no_launchers_word(monkeypatch, tmp_path):
    """So that OMP_NUM_THREADS=1 is the user's, and counts."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("qa.runtime.cores.usable_cores", lambda: 4)
    torch.set_num_threads(1)
    with used_for_one_run("bf16"):
        assert make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT).mixed_precision == "bf16"
    assert torch.get_num_threads() == 1


def test_the_next_run_of_processes_that_stay_connected_has_its_own_precision(monkeypatch, tmp_path):
    """As those of a notebook do, whose group accelerate does not end."""
    found = []
    for precision in ("no", "bf16", None):
        with monkeypatch.context() as connected, used_for_one_run(precision):
            found.append(make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT).mixed_precision)
            connected.setattr(torch.distributed, "is_initialized", lambda: True)
    assert found == ["no", "bf16", "no"]


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
    with pytest.raises(LaunchError, match=r"not installed: tensorboard; wanted by tracking\.report-to.*\[trackers\]"):
        make_accelerator(trackers=("wandb", "tensorboard"), folder=tmp_path, timeout=TIMEOUT)


@pytest.mark.parametrize("installed", [True, False])
def test_codecarbon_which_accelerate_does_not_know_is_looked_for(installed, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: installed or None if name == "codecarbon" else find(name)
    )
    refused = pytest.raises(LaunchError, match=r"not installed: codecarbon; .*\[energy\]")
    with nullcontext() if installed else refused:
        make_accelerator(trackers=("codecarbon",), folder=tmp_path, timeout=TIMEOUT)


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


# --- seed ---


def test_seed_decides_what_torch_draws():
    drawn = []
    for seed in (1, 1, 2):
        seed_generators(seed)
        drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


# --- FSDP ---

LAYERS = {"fsdp_version": 2, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP", "activation_checkpointing": False}


def test_fsdp_may_shard_whole_layers():
    require_whole_layers(FullyShardedDataParallelPlugin(**LAYERS))


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"fsdp_version": 1}, "fsdp_version: 2"),
        ({"fsdp_version": 1, "cpu_offload": True}, "fsdp_version: 2, fsdp_offload_params: false"),
        ({"cpu_offload": True}, "fsdp_offload_params: false"),
        ({"auto_wrap_policy": "SIZE_BASED_WRAP", "min_num_params": 9}, "fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP"),
        ({"auto_wrap_policy": "NO_WRAP"}, "fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP"),
        ({"cpu_ram_efficient_loading": True}, "fsdp_cpu_ram_efficient_loading: false"),
        ({"activation_checkpointing": True}, "fsdp_activation_checkpointing: false (see training.gradient-check"),
    ],
)
def test_any_other_fsdp_is_refused_by_name(told, wanted, monkeypatch):
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "false")  # which the class writes to
    with pytest.raises(LaunchError) as error:
        require_whole_layers(FullyShardedDataParallelPlugin(**LAYERS | told))
    assert f"wanted {wanted}" in str(error.value)


def test_what_accelerate_itself_refuses_is_a_line(tmp_path, monkeypatch):
    told = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_STATE_DICT_TYPE": "LOCAL_STATE_DICT"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LaunchError, match=r"accelerate does not take the launch configuration: .*LOCAL_STATE_DICT"):
        make_accelerator(trackers=(), folder=tmp_path, timeout=TIMEOUT)
