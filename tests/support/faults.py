"""Faults that tests put into the processes of a run: each function changes one seam before the run starts."""

import os
import re
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import torch
import yaml
from accelerate import utils
from accelerate.state import PartialState

import train_qa
from qa.data import take
from qa.evaluation import evaluator
from qa.features import shards
from qa.modeling import span_loss
from qa.run_folder import checkpoints
from qa.training import TrainingLoop

_FSDP = Path(__file__).parents[2] / "accelerate_configs" / "fsdp2.yaml"


def say(word):
    print(word, file=sys.stderr, flush=True)


def slow_steps():
    step = TrainingLoop.step
    TrainingLoop.step = lambda loop, loaded: (time.sleep(0.3), step(loop, loaded))[1]


def slow_evaluation():
    find = evaluator.decode

    def slow(batch):
        time.sleep(0.3)
        say("decoding")
        return batch

    evaluator.decode = lambda head, model, batches, *rest, **more: find(head, model, map(slow, batches), *rest, **more)


def endless_step():
    """Says when it begins, and when the first SIGINT has come."""

    def endless(_loop, _loaded):
        say("in a step")
        while signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
            time.sleep(0.01)
        say("noted")
        time.sleep(600)

    TrainingLoop.step = endless


def slow_features():
    build = shards.context_tokens

    def slow(*given):
        say("building")
        time.sleep(60)
        return build(*given)

    shards.context_tokens = slow


def other_examples_elsewhere():
    """One example less on the second process."""
    load = train_qa.load_training_examples
    train_qa.load_training_examples = lambda config: take(load(config), 29 if os.environ["RANK"] == "1" else 30)


def limited_memory(features):
    """Batches of more than so many features do not fit, on the second process or the only one."""

    def limited(start, end, batch):
        if len(batch) > features and os.environ.get("RANK", "1") == "1":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return span_loss(start, end, batch)

    train_qa.choose_loss = lambda *_: limited


def scarce_memory(mebibytes, method):
    """The system itself allows the process only so much more, from the first call of a method of the loop on.

    Where that is `step`, until the first evaluation: glibc does not return a heap whose end is in use, so that after
    steps at the limit nothing can be mapped any more, however small.
    """
    limited = []

    def limit():
        (data,) = re.findall(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
        resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(data) + mebibytes * 2**20, resource.RLIM_INFINITY))
        limited.append(method)

    def lift():
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    _before_each(method, lambda: None if limited else limit())
    if method == "step":
        _before_each("averaged", lift)


def _before_each(method, act):
    original = getattr(TrainingLoop, method)

    def acting(loop, *given):
        act()
        return original(loop, *given)

    setattr(TrainingLoop, method, acting)


def then(*acts):
    """One fault after the other."""
    for act in acts:
        act()


def stuck_second_save():
    """The main process never completes the checkpoint of step 2, and says when it would."""
    write = checkpoints.write_manifest

    def stuck(folder):
        if "step-00000002" in folder.name:
            say("writing step-00000002")
            threading.Event().wait()
        write(folder)

    checkpoints.write_manifest = stuck


def fsdp_settings(**others):
    """The variables that the launcher makes of `accelerate_configs/fsdp2.yaml`, with other values in it."""
    options = yaml.safe_load(_FSDP.read_text(encoding="utf-8"))["fsdp_config"] | others
    return {name.upper(): str(value) for name, value in options.items()}


def sharded_by_fsdp(variables):
    """As the launcher's variables say; accelerate itself shards on accelerators only."""

    def tell(accelerator):
        os.environ.update(variables)
        accelerator.state.fsdp_plugin = utils.FullyShardedDataParallelPlugin()
        return utils.DistributedType.FSDP

    _told_after_the_start(tell)


def sharded_by_deepspeed(options):
    """As the section of a configuration file says."""

    def tell(accelerator):
        plugin = utils.DeepSpeedPlugin(**options)
        plugin._selected = True
        accelerator.state.deepspeed_plugins = {"default": plugin}
        accelerator.deepspeed_engine_wrapped = None
        return utils.DistributedType.DEEPSPEED

    _told_after_the_start(tell)


def _told_after_the_start(tell):
    start = train_qa.start_accelerator

    def started(config):
        accelerator = start(config)
        kind = tell(accelerator)
        accelerator.state.distributed_type = PartialState._shared_state["distributed_type"] = kind
        return accelerator

    train_qa.start_accelerator = started


def plain_error_on_process_1(*, others_wait=False):
    """An error that no class of ours stands for, on one process only, in its third step.

    `others_wait`: in what no broken connection ends, as in a collective of NCCL.
    """

    class Failing(TrainingLoop):
        def step(self, step):
            if self.progress.step == 2:
                if self.accelerator.process_index == 1:
                    raise ValueError("a fault of one process")
                if others_wait:
                    threading.Event().wait()
            return super().step(step)

    train_qa.TrainingLoop = Failing
