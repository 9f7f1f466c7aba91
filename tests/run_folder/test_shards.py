"""Each process writes its part, beside what the run does; folders are whole or absent; any number of them reads."""

import errno
import threading

import pytest
import torch
from accelerate import Accelerator
from safetensors import safe_open
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from qa.errors import CheckpointError, StorageError
from qa.run_folder import shards as module
from qa.run_folder.shards import Shards, names_in, require_shared, saved_tensors
from tests.support.attempts import FORKS
from tests.support.checkpoints import names

WHOLE = {
    "model/weight": torch.arange(21.0).reshape(7, 3),
    "model/bias": torch.tensor([4.0, 5.0]),  # fewer rows than processes
    "optimizer/weight/step": torch.tensor(3.0),
}


def cut(tensors, processes):
    mesh = init_device_mesh("cpu", (processes,))
    return {
        name: distribute_tensor(value, mesh, [Shard(0)]) if value.dim() else value for name, value in tensors.items()
    }


def nothing(_folder=None):
    pass


def _life(function, rank, processes, store, folder):
    distributed.init_process_group(
        "gloo", store=distributed.FileStore(str(store), processes), rank=rank, world_size=processes
    )
    function(rank, processes, folder)


def together(function, processes, folder):
    """Run a function in several processes that know each other."""
    store = folder.with_name(f"{folder.name}-store-{processes}")
    started = [
        FORKS.Process(target=_life, args=(function, rank, processes, store, folder)) for rank in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * processes


@pytest.fixture
def alone():
    """A process group of one process."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield Shards()
    distributed.destroy_process_group()


# --- any number of processes ---


def write_own_part(_rank, processes, folder):
    shards = Shards()
    shards.begin(folder, cut(WHOLE, processes), complete=nothing, then=nothing)
    shards.finish()


def read_own_part(_rank, processes, folder):
    empty = cut({name: torch.zeros_like(value) for name, value in WHOLE.items()}, processes)
    Shards().read(folder, empty)
    for name, value in empty.items():
        found = value.full_tensor() if isinstance(value, DTensor) else value
        assert torch.equal(found, WHOLE[name]), name


@pytest.mark.processes
def test_each_process_writes_its_part_and_any_number_reads_it(tmp_path):
    folder = tmp_path / "saved"
    together(write_own_part, 2, folder)
    rows = []
    for file in sorted(folder.iterdir()):
        with safe_open(file, "pt") as part:
            rows.append(len(part.get_tensor("model/weight")))
    assert rows == [4, 3]
    together(read_own_part, 3, folder)
    assert names_in(folder) == WHOLE.keys()
    assert {name: value.tolist() for name, value in saved_tensors(folder, "model").items()} == {
        "weight": WHOLE["model/weight"].tolist(),
        "bias": [4.0, 5.0],
    }
    assert saved_tensors(folder, "optimizer")["weight/step"] == 3


# --- beside the run ---


def test_what_changes_after_the_beginning_is_not_written(alone, tmp_path):
    """Training goes on while the folder is written."""
    tensor, changed, order = torch.ones(3), threading.Event(), []

    def complete(_folder):
        changed.wait()
        order.append("written")

    alone.begin(tmp_path / "one", {"model/a": tensor}, complete=complete, then=lambda: order.append("in place"))
    assert not (tmp_path / "one").exists()
    tensor.zero_()
    order.append("changed")
    changed.set()
    alone.finish()
    assert order == ["changed", "written", "in place"]
    assert saved_tensors(tmp_path / "one", "model")["a"].tolist() == [1, 1, 1]


def test_an_error_is_raised_where_it_is_waited_for_and_leaves_what_was_before(alone, tmp_path):
    def full(_folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = tmp_path / "one"
    alone.begin(folder, {"model/a": torch.ones(3)}, complete=nothing, then=nothing)
    alone.begin(folder, {"model/a": torch.zeros(3)}, complete=full, then=lambda: pytest.fail("it is not in place"))
    for wait in (alone.finish, lambda: alone.begin(folder, {}, complete=nothing, then=nothing)):
        with pytest.raises(StorageError, match=r"cannot write the checkpoint .*one: .*No space left.*process 0"):
            wait()
    assert names(tmp_path) == ["one"]
    assert saved_tensors(folder, "model")["a"].tolist() == [1, 1, 1]


def write_where_one_sees_another_disk(rank, processes, folder):
    shards = Shards()
    own = folder / "run" if rank == 0 else folder / "elsewhere" / "run"
    shards.begin(own, cut(WHOLE, processes), complete=nothing, then=nothing)
    with pytest.raises(StorageError, match=r"cannot write .*process 1"):
        shards.finish()


@pytest.mark.processes
def test_an_error_of_one_process_is_raised_on_all_and_leaves_nothing(tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    together(write_where_one_sees_another_disk, 2, folder)
    assert names(folder) == []


# --- what does not fit ---


@pytest.mark.parametrize(
    "wanted", [{"model/other": torch.zeros(3)}, {"model/a": torch.zeros(4)}], ids=["name", "shape"]
)
def test_other_tensors_are_refused(wanted, alone, tmp_path):
    alone.begin(tmp_path / "one", {"model/a": torch.ones(3)}, complete=nothing, then=nothing)
    alone.finish()
    with pytest.raises(CheckpointError, match=next(iter(wanted))):
        alone.read(tmp_path / "one", wanted)


def test_a_folder_with_other_files_has_no_shards(tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert names_in(tmp_path) == set()


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_run_folder_that_not_all_see_is_refused(tmp_path, monkeypatch):
    owner = tmp_path / ".owner.json"
    owner.write_text("this run")
    require_shared(Accelerator(cpu=True), owner)
    monkeypatch.setattr(module, "from_main", lambda *_: "another run")
    with pytest.raises(StorageError, match="not all processes see the run folder"):
        require_shared(Accelerator(cpu=True), owner)
