"""What goes wrong on a cluster, injected into real runs: signals, kills, a full disk, a dead process, little memory.

Processes get the environment that a launcher gives them, without the launcher, so that each one's exit status can be
told. `QA_FAULT_SEED` draws other moments for the kills.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from tests.support import faults, tiny
from tests.support.attempts import ROOT, Attempt, assert_same_end, finish

pytestmark = [pytest.mark.processes, pytest.mark.slow]

KILLS = 20


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """With dropout, whose masks a resumed run must repeat."""
    return tiny.save_reader(tmp_path_factory.mktemp("reader"), "bert", num_hidden_layers=1)


# --- being asked to stop ---

STEPS = ["--training.max-steps", "12", "--training.evaluate-every", "6", "--training.save-every", "0"]
STEPS += ["--training.batch-size", "2", "--decoding.batch-size", "1"]
STEPS += ["--more-validation-data", f"own={ROOT}/qa/sample/train.json", "--training.best-metric", "own/f1"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, reader):
    folder = tmp_path_factory.mktemp("undisturbed")
    for processes in (1, 2):
        finish(folder / str(processes), reader, *STEPS, processes=processes)
        assert json.loads((folder / str(processes) / "environment.json").read_text())["processes"] == processes
        assert "own/f1" in json.loads((folder / str(processes) / "metrics.json").read_text())
    return folder


@pytest.mark.parametrize(
    ("number", "status", "processes", "before", "at"),
    [
        (signal.SIGTERM, 143, 2, faults.slow_steps, r"step 3/12"),
        (signal.SIGHUP, 129, 1, faults.slow_steps, r"step 3/12"),
        (signal.SIGINT, 130, 2, faults.slow_evaluation, r"decoding\ndecoding\ndecoding"),
        (signal.SIGTERM, 143, 1, faults.slow_evaluation, r"decoding\ndecoding\ndecoding"),
    ],
    ids=["SIGTERM-training-2", "SIGHUP-training-1", "SIGINT-evaluation-2", "SIGTERM-evaluation-1"],
)
def test_signalled_run_saves_ends_and_resumes_as_if_nothing_had_been(
    number, status, processes, before, at, tmp_path, reader, undisturbed
):
    """Only the last process gets the signal: the others learn of it."""
    folder = tmp_path / "run"
    run = Attempt(folder, reader, *STEPS, processes=processes, before=before)
    run.wait_for(at)
    run.signal(-1, number)
    assert run.statuses() == [status] * processes, run.output()
    assert f"stopped by {number.name}" in run.output()
    assert "Traceback" not in run.output()
    (saved,) = (folder / "checkpoints").iterdir()
    assert "step-00000003" <= saved.name <= "step-00000006"
    assert json.loads((saved / "state.json").read_text())["progress"]["evaluation_due"] == (
        before == faults.slow_evaluation
    )
    finish(folder, reader, *STEPS, "--resume", processes=processes)
    assert_same_end(folder, undisturbed / str(processes))


def test_second_sigint_ends_at_once(tmp_path, reader):
    run = Attempt(tmp_path / "run", reader, *STEPS, before=faults.endless_step)
    run.wait_for("in a step")
    run.signal(0, signal.SIGINT)
    run.wait_for("noted")
    assert run.is_running(), run.output()
    run.signal(0, signal.SIGINT)
    assert run.statuses() == [-signal.SIGINT]


def test_signal_while_features_are_built_ends_at_once_and_leaves_no_half_cache(tmp_path, reader, undisturbed):
    run = Attempt(tmp_path / "run", reader, *STEPS, before=faults.slow_features)
    run.wait_for("building")
    run.signal(0, signal.SIGTERM)
    assert run.statuses(within=20) == [143]
    finish(tmp_path / "run", reader, *STEPS, "--resume")
    assert_same_end(tmp_path / "run", undisturbed / "1")


def test_time_budget_ends_a_run_with_status_0_and_a_checkpoint(tmp_path, reader, undisturbed):
    folder = tmp_path / "run"
    run = Attempt(folder, reader, *STEPS, "--training.max-minutes", "0.0001", processes=2)
    assert run.statuses() == [0, 0], run.output()
    assert "stopped: training.max-minutes are over" in run.output()
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000001"]
    finish(folder, reader, *STEPS, "--resume", processes=2)
    assert_same_end(folder, undisturbed / "2")


def test_checkpoints_are_saved_by_minutes(tmp_path, reader):
    flags = ["--training.max-steps", "3", "--training.save-every", "0", "--training.keep-last", "9"]
    finish(tmp_path / "run", reader, *flags, "--training.save-minutes", "0.00001", processes=2)
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 3


# --- being killed ---


def test_20_kills_at_random_moments_end_with_the_weights_of_the_undisturbed_run(tmp_path, reader):
    """At any moment: while starting, in a step, while a checkpoint is written, while evaluating, at the end."""
    chance = random.Random(os.environ.get("QA_FAULT_SEED", "7"))
    flags = ["--training.max-steps", "40", "--training.save-every", "1", "--training.evaluate-every", "10"]
    flags += ["--training.batch-size", "2"]
    finish(tmp_path / "whole", reader, *flags, processes=2)
    folder, kills, attempts, reached = tmp_path / "killed", [], 0, []
    while len(kills) < KILLS:
        attempts += 1
        run = Attempt(folder, reader, *flags, "--resume", processes=2)
        if attempts % 4:  # else while it starts
            run.wait_for(r"step \d+/40|at step 40")
        time.sleep(chance.uniform(0.0, 1.0))
        if not run.is_running():  # it has come to its end: from the beginning again
            assert_same_end(folder, tmp_path / "whole")
            shutil.rmtree(folder)
            reached.clear()
            continue
        for rank in chance.sample([0, 1], 2):
            run.signal(rank, signal.SIGKILL)
        run.statuses()
        saved = sorted(path.name for path in (folder / "checkpoints").glob("step-*"))
        reached += saved[-1:]
        kills += saved[-1:] or ["before the first"]
    assert reached == sorted(reached), "a resumed run never falls behind"
    finish(folder, reader, *flags, "--resume", processes=2)
    print(f"{len(kills)} kills in {attempts} attempts; newest checkpoints {kills}")
    assert_same_end(folder, tmp_path / "whole")


def test_death_of_one_process_ends_the_others_with_the_cause(tmp_path, reader):
    run = Attempt(tmp_path / "run", reader, *STEPS, processes=2, before=faults.slow_steps)
    run.wait_for(r"step 2/12")
    run.signal(1, signal.SIGKILL)
    first, second = run.statuses(within=60)
    assert second == -signal.SIGKILL
    assert first not in {0, None}
    assert "onnection" in run.output()


def test_a_plain_error_of_one_process_is_said_and_ends_the_other(tmp_path, reader):
    """By what it tells, or by the connection that breaks, whichever comes first."""
    run = Attempt(tmp_path / "run", reader, *STEPS, processes=2, before=faults.plain_error_on_process_1)
    run.wait_for("a fault of one process")
    assert run.statuses(within=60) == [1, 1], run.output()


def test_a_process_that_waits_for_a_failed_one_ends_with_its_message(tmp_path, reader):
    before = partial(faults.plain_error_on_process_1, others_wait=True)
    run = Attempt(tmp_path / "run", reader, *STEPS, processes=2, before=before)
    assert run.statuses(within=60) == [1, 1], run.output()
    assert "[0/2] ended with process 1: ValueError: a fault of one process" in run.output()


def test_resuming_on_one_process_only_is_refused_at_once(tmp_path, reader):
    run = Attempt(tmp_path / "run", reader, *STEPS, processes=2, per_process=[[], ["--resume"]])
    assert run.statuses(within=60) == [1, 1], run.output()
    assert "resume is given is True on process 1 and False on process 0" in run.output()


# --- the machine ---


def test_full_disk_is_named_and_the_run_resumes_when_there_is_space(tmp_path, reader, undisturbed):
    """A real one: a small tmpfs that another file fills up."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs may not be mounted here: {mounted.stderr.decode().strip()}")
    try:
        folder = disk / "run"
        flags = [*STEPS, "--training.save-every", "1", "--training.keep-last", "100"]
        cache = ["--features.cache-dir", str(tmp_path / "cache")]
        run = Attempt(folder, reader, *flags, *cache, processes=2)
        assert run.statuses() == [1, 1], run.output()
        assert "error: cannot write" in run.output()
        assert "No space left on device" in run.output()
        assert "Traceback" not in run.output()
        assert not list((folder / "checkpoints").glob(".*"))
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        output = finish(folder, reader, *flags, *cache, "--resume", processes=2)
        assert "continuing from" in output
        assert "passed over" not in output
        assert_same_end(folder, undisturbed / "2")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_checkpoint_is_passed_over(damage, tmp_path, reader, undisturbed):
    flags = [*STEPS, "--training.save-every", "5", "--training.keep-last", "9"]
    folder = tmp_path / "run"
    finish(folder, reader, *flags, processes=1)
    shutil.rmtree(folder / "checkpoints" / "step-00000012")
    newest = folder / "checkpoints" / "step-00000010" / "optimizer.safetensors"
    content = bytearray(newest.read_bytes())
    content[-9] ^= 1
    newest.write_bytes(content[:-1] if damage == "truncated" else content)
    output = finish(folder, reader, *flags, "--resume", processes=1)
    assert "passed over the checkpoint step-00000010" in output
    assert "at step 5" in output
    assert_same_end(folder, undisturbed / "1")


# --- processes that differ ---


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--seed", "7"], "seed is 7 on process 1 and 42 on process 0"),
        (["--training.batch-size", "3"], "training/batch_size is 3 on process 1"),
    ],
)
def test_processes_that_were_given_other_settings_are_refused(flags, named, tmp_path, reader):
    run = Attempt(tmp_path / "run", reader, *STEPS, processes=2, per_process=[[], flags])
    assert run.statuses() == [1, 1], run.output()
    assert run.output().count(named) == 1  # once on a machine


def test_processes_that_read_other_data_are_refused(tmp_path, reader):
    """The same path with other content, as on two machines."""
    rows = tiny.sample_rows("train")[:30]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = Attempt(
        tmp_path / "run",
        reader,
        *STEPS,
        "--train-data",
        str(tmp_path / "data.jsonl"),
        "--validation-data",
        "sample",
        processes=2,
        before=faults.other_examples_elsewhere,
    )
    assert run.statuses() == [1, 1], run.output()
    assert "fingerprint of the train data is" in run.output()


# --- memory ---

BATCHES = ["--training.max-steps", "4", "--training.batch-size", "8", "--training.save-every", "0"]


@pytest.mark.parametrize("processes", [1, 2])
def test_out_of_memory_is_named_or_halves_the_batches(processes, tmp_path):
    """Only one of the processes has too little memory; the features of every step stay the same."""
    calm = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    reader = tiny.save_reader(tmp_path / "reader", "bert", num_hidden_layers=1, **calm)
    before = partial(faults.limited_memory, 3)
    if processes == 1:
        run = Attempt(tmp_path / "named", reader, *BATCHES, before=before)
        assert run.statuses() == [1], run.output()
        assert "out of memory in a batch of 8 features × " in run.output()
    flags = [*BATCHES, "--training.auto-batch-size"]
    output = finish(tmp_path / "auto", reader, *flags, processes=processes, before=before)
    assert "going on with halved batches" in output
    finish(tmp_path / "whole", reader, *BATCHES, processes=processes)
    ends = [tmp_path / name / "checkpoints" / "step-00000004" for name in ("auto", "whole")]
    assert json.loads((ends[0] / "state.json").read_text())["progress"]["batch_limit"] == 2
    auto, whole = (load_file(path / "model.safetensors") for path in ends)
    for name in auto:
        if not name.endswith(("key.bias", "qa_outputs.bias")):  # these have no gradient but rounding noise
            torch.testing.assert_close(auto[name], whole[name], atol=1e-4, rtol=0, msg=name)


WIDE = {"intermediate_size": 2**15, "num_hidden_layers": 1}
"""A model whose every batch of 16 features takes 200 MB a tensor, and whose weights take 17."""
MANY_WEIGHTS = {"type_vocab_size": 500_000, "num_hidden_layers": 1}
LARGE = ["--training.max-steps", "2", "--training.batch-size", "16", "--training.save-every", "0"]
LARGE += ["--decoding.batch-size", "32", "--max-validation-examples", "60"]
SMALL_STEPS = [*LARGE, "--training.batch-size", "2"]
"""Before an evaluation that is to run out of memory: the heap of large steps stays mapped, and could serve it."""
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is set by what /proc tells")


@ON_LINUX
@pytest.mark.parametrize(
    ("mebibytes", "method", "model", "flags", "said"),
    [
        (150, "step", WIDE, LARGE, r"out of memory in a batch of 1\d features × "),
        (
            20,
            "apply",
            MANY_WEIGHTS,
            LARGE,
            "out of memory in the optimizer's step: AdamW keeps two values for every parameter, ",
        ),
        (200, "averaged", WIDE, SMALL_STEPS, "out of memory in an evaluation with batches of up to 20 features"),
    ],
)
def test_a_limit_of_the_system_is_named(mebibytes, method, model, flags, said, tmp_path):
    """The allocator itself fails, in the pass, the optimizer's first step, or the evaluation."""
    reader = tiny.save_reader(tmp_path / "reader", "bert", **model)
    run = Attempt(tmp_path / "named", reader, *flags, before=partial(faults.scarce_memory, mebibytes, method))
    assert run.statuses() == [1], run.output()
    assert re.search(said, run.output()), run.output()
    assert "Traceback" not in run.output()
    if method == "averaged":  # the steps are saved before an evaluation, which is to be made up for
        state = json.loads((tmp_path / "named" / "checkpoints" / "step-00000002" / "state.json").read_text())
        assert state["progress"]["evaluation_due"]


@ON_LINUX
@pytest.mark.parametrize(
    ("mebibytes", "method", "flags"), [(450, "step", LARGE), (200, "averaged", SMALL_STEPS)], ids=["step", "averaged"]
)
def test_batches_are_halved_until_the_system_s_limit_holds_them(mebibytes, method, flags, tmp_path):
    reader = tiny.save_reader(tmp_path / "reader", "bert", **WIDE)
    before = partial(faults.scarce_memory, mebibytes, method)
    folder = tmp_path / "auto"
    output = finish(folder, reader, *flags, "--training.auto-batch-size", before=before)
    assert "going on with halved batches" in output
    end = json.loads((folder / "checkpoints" / "step-00000002" / "state.json").read_text())
    limit = end["progress"]["batch_limit"]
    assert limit is None if method == "averaged" else 1 <= limit <= 8
    assert len(json.loads((folder / "predictions.json").read_text())) == 60
