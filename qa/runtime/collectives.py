"""What all processes do together."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn

from qa.checks import flat_values
from qa.config import RunConfig, config_values
from qa.errors import LaunchError, QAError, StoppedError
from qa.runtime.peers import peers
from qa.runtime.stopping import interruptible

Value = TypeVar("Value")
BUCKET_BYTES = 25 * 2**20  # as DDP's
_OF_ONE_MACHINE = (
    "model",
    "train_data",
    "more_train_data",
    "validation_data",
    "more_validation_data",
    "output_dir",
    "features/cache_dir",
    "resume",
    "threads",
    "recipe/teacher",
)
"""What need not be the same on all machines: threads, and paths; what these lead to is compared where it is read."""


def on_main(accelerator: Accelerator, function: Callable[[], Value], *, interrupted: bool = False) -> Value | None:
    """Run `function` on the main process and return its result there, None elsewhere; raise its error on all.

    Collective: without it, an error on one process would leave the others waiting. They wait as long as it takes, with
    no limit as there is for an exchange between devices.

    Args:
        accelerator: knows the processes.
        function: what one process does.
        interrupted: whether a signal ends it at once, since it can be done again.

    """
    result: Value | None = None
    error: QAError | StoppedError | None = None
    if accelerator.is_main_process:
        try:
            with interruptible() if interrupted else contextlib.nullcontext():
                result = function()
        except (QAError, StoppedError) as caught:
            error = caught
    wait_for_all()
    (error,) = broadcast_object_list([error])
    if error is not None:
        raise error
    return result


def from_main(accelerator: Accelerator, function: Callable[[], Value], *, interrupted: bool = False) -> Value:
    """Run `function` on the main process; return its result, or raise its error, on all. Collective."""
    (result,) = broadcast_object_list([on_main(accelerator, function, interrupted=interrupted)])
    return result  # type: ignore[no-any-return]


def wait_for_all() -> None:
    """Wait for the other processes, however long they take. Collective."""
    if (others := peers()) is not None:
        others.meet()


def any_process(accelerator: Accelerator, fact: bool) -> bool:
    """Return whether `fact` holds on any process. Collective."""
    return bool(accelerator.gather(torch.tensor([int(fact)], device=accelerator.device)).any())


def gather_on_main(accelerator: Accelerator, values: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Join tensors of all processes along their first dimension, on the main process; None on others. Collective.

    Args:
        accelerator: knows the processes.
        values: by name, of the same shapes and types on all processes, anywhere.

    """
    joined: dict[str, Tensor] = {}
    for name, value in values.items():
        here = value.to(accelerator.device).contiguous()
        parts = [torch.empty_like(here) for _ in range(accelerator.num_processes)]
        torch.distributed.gather(here, parts if accelerator.is_main_process else None)
        joined[name] = torch.cat(parts)
    return joined if accelerator.is_main_process else None


def average_gradients(accelerator: Accelerator, parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes, where it is, many in one exchange. Collective."""
    for bucket in _buckets(parameter.grad for parameter in parameters if parameter.grad is not None):
        means = accelerator.reduce(torch.cat([gradient.reshape(-1) for gradient in bucket]), "mean")
        for gradient, mean in zip(bucket, means.split([one.numel() for one in bucket]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Yield tensors in lists of one type that hold no more than a bucket does, or one tensor that is larger."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        filled = sum(one.nbytes for one in bucket) + tensor.nbytes
        if bucket and (filled > BUCKET_BYTES or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


def require_same(accelerator: Accelerator, values: Mapping[str, object]) -> None:
    """Compare what all processes must agree on, for they would train on different things without a word. Collective.

    Raises:
        LaunchError: on all processes, naming what differs and where.

    """
    wait_for_all()  # one may have built features or read data that others had at hand
    (wanted,) = broadcast_object_list([dict(values)])
    names = sorted({*wanted, *values})
    here, other = f"on process {accelerator.process_index}", "on process 0"
    differing = [
        f"{name} is {values.get(name)!r} {here} and {wanted.get(name)!r} {other}"
        for name in names
        if values.get(name) != wanted.get(name)
    ]
    found = gather_object(differing) if accelerator.num_processes > 1 else differing
    if found:
        raise LaunchError(f"the processes were not started alike: {'; '.join(found)}")


def require_same_config(accelerator: Accelerator, config: RunConfig) -> None:
    """Check that all processes were started with the same configuration. Collective.

    Raises:
        LaunchError: on all processes, naming what differs.

    """
    values = flat_values(config_values(config))
    shared = {name: value for name, value in values.items() if name not in _OF_ONE_MACHINE}
    paths = {f"{name} is given": getattr(config, name) is not None for name in ("resume", "validation_data")}
    require_same(accelerator, shared | paths)
