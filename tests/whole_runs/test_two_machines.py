"""Two machines, as two network namespaces with an address each: over TCP, and without a disk that they share."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support import tiny
from tests.support.attempts import BOUND, ROOT, WINDOWS, finish

pytestmark = [pytest.mark.processes, pytest.mark.slow]

SPACES = ("qa_machine_0", "qa_machine_1")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
FLAGS = ["--training.max-steps", "3", "--training.batch-size", "4", "--training.save-every", "0"]
FLAGS += ["--max-train-examples", "30", "--max-validation-examples", "9", "--tracking.report-to", "none"]
RESULTS = ("metrics.json", "predictions.json", "nbest_predictions.json", "null_odds.json")


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


@pytest.fixture
def machines():
    """Two namespaces joined by a cable: the names of its ends, which are also its interfaces."""
    try:
        made = ip("netns", "add", SPACES[0], check=False)
    except FileNotFoundError:
        pytest.skip("there is no command ip (iproute2)")
    if made.returncode:
        pytest.skip(f"network namespaces may not be made here: {made.stderr.strip()}")
    try:
        ip("netns", "add", SPACES[1])
        ip("link", "add", "qa_0", "netns", SPACES[0], "type", "veth", "peer", "name", "qa_1", "netns", SPACES[1])
        for at, (space, address) in enumerate(zip(SPACES, ADDRESSES, strict=True)):
            ip("-n", space, "addr", "add", f"{address}/24", "dev", f"qa_{at}")
            for link in (f"qa_{at}", "lo"):
                ip("-n", space, "link", "set", link, "up")
        yield SPACES
    finally:
        for space in SPACES:
            ip("netns", "delete", space, check=False)


def launch(space, rank, folder, reader):
    """One machine's launcher, with folders of its own."""
    launcher = [str(Path(sys.executable).parent / "accelerate"), "launch", "--config_file"]
    launcher += ["accelerate_configs/multi_node.yaml", "--num_processes", "2", "--num_machines", "2"]
    launcher += ["--machine_rank", str(rank), "--main_process_ip", ADDRESSES[0], "--mixed_precision", "no"]
    command = ["train_qa.py", "--model", str(reader), "--output-dir", str(folder / "run"), *WINDOWS, *FLAGS]
    command += ["--features.cache-dir", str(folder / "cache")]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": f"qa_{rank}"}
    return subprocess.Popen(
        ["ip", "netns", "exec", space, *launcher, *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_machines_train_as_two_processes_of_one(machines, tmp_path):
    reader = tiny.save_reader(tmp_path / "reader", "bert", num_hidden_layers=1)
    folders = [tmp_path / "first", tmp_path / "second"]
    started = [launch(space, at, folders[at], reader) for at, space in enumerate(machines)]
    try:
        outputs = [process.communicate(timeout=2 * BOUND)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], "\n".join(outputs)
    assert [bool(list((folder / "cache").glob("*/layout.json"))) for folder in folders] == [True, True]
    assert not list((folders[1] / "run").glob("*")), "only the main process writes the run folder"
    seen = json.loads((folders[0] / "run" / "environment.json").read_text())
    assert seen["processes"] == 2
    threads = partial(torch.set_num_threads, seen["threads"])  # which rounding depends on
    finish(tmp_path / "one" / "run", reader, *FLAGS, processes=2, before=threads)
    files = [folder / "run" / "model" / "model.safetensors" for folder in (folders[0], tmp_path / "one")]
    two, one = (load_file(file) for file in files)
    assert all(torch.equal(two[name], one[name]) for name in one)
    for name in RESULTS:
        assert (folders[0] / "run" / name).read_bytes() == (tmp_path / "one" / "run" / name).read_bytes(), name


def start_alone(space, rank, folder, reader):
    """A machine's only process, without a launcher: torchrun's would wait for the other machine at its end."""
    command = [sys.executable, "train_qa.py", "--model", str(reader), "--output-dir", str(folder / "run"), *WINDOWS]
    command += [*FLAGS, "--training.max-steps", "100000", "--timeout-minutes", "0.1", "--training.log-every", "1"]
    command += ["--features.cache-dir", str(folder / "cache")]
    names = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    names |= {"MASTER_ADDR": ADDRESSES[0], "MASTER_PORT": "29511", "GLOO_SOCKET_IFNAME": f"qa_{rank}"}
    return subprocess.Popen(
        ["ip", "netns", "exec", space, *command],
        cwd=ROOT,
        env=os.environ | names,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_network_that_goes_ends_both_machines_with_a_message(machines, tmp_path):
    """No connection is closed: packets just do not come. An exchange may take six seconds."""
    reader = tiny.save_reader(tmp_path / "reader", "bert", num_hidden_layers=1)
    started = [start_alone(space, at, tmp_path / str(at), reader) for at, space in enumerate(machines)]
    try:
        assert any("step 2/" in line for line in iter(started[0].stdout.readline, ""))
        ip("-n", machines[0], "link", "set", "qa_0", "down")
        outputs = [process.communicate(timeout=BOUND)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [1, 1], "\n".join(outputs)
    assert all("another process has ended or cannot be reached" in output for output in outputs), "\n".join(outputs)
