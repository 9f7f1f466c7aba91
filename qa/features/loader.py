"""Batches of feature indices -> collated batches, on the device when they are needed."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch.utils.data import DataLoader, Dataset

from qa.features.collation import Batch, collate
from qa.features.joining import PAD_MULTIPLE
from qa.features.labels import Labels
from qa.features.packing import Packing
from qa.features.prefetching import made_ahead
from qa.features.windows import Features


class _CollatedFeatures(Dataset[Batch]):
    """Returns whole batches to the data loader: one call instead of one per feature."""

    def __init__(
        self,
        features: Features,
        labels: Labels | None,
        input_names: Sequence[str],
        pad_multiple: int,
        packing: Packing | None,
    ) -> None:
        self.features, self.labels = features, labels
        self.input_names, self.pad_multiple, self.packing = input_names, pad_multiple, packing

    def __getitem__(self, indices: Int[np.ndarray, "feature"]) -> Batch:
        return collate(
            self.features,
            indices,
            input_names=self.input_names,
            pad_multiple=self.pad_multiple,
            labels=self.labels,
            packing=self.packing,
        )


def batch_loader(
    features: Features,
    batches: Sequence[np.ndarray],
    *,
    input_names: Sequence[str],
    device: torch.device,
    pad_multiple: int = PAD_MULTIPLE,
    labels: Labels | None = None,
    packing: Packing | None = None,
) -> Iterator[Batch]:
    """Iterate over `batches` of feature indices as collated batches on `device`, with labels where they are passed.

    No worker processes: joining integers takes a fraction of a millisecond a batch, less than passing it between
    processes. For a GPU a thread makes the next batches and sends them while the model works on the last one.
    """
    loader = DataLoader(
        _CollatedFeatures(features, labels, input_names, pad_multiple, packing),
        sampler=batches,
        batch_size=None,
        generator=torch.Generator(),  # else the loader draws from the generator that dropout depends on
    )
    if device.type == "cuda":
        return _sent_ahead(iter(loader), device)
    return (batch.to(device) for batch in loader)


def _sent_ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Send batches to a CUDA device ahead of their use, on a stream of their own."""
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # the library has no types here

    def sent() -> Iterator[tuple[Batch, torch.cuda.Event]]:
        for batch in batches:
            with torch.cuda.device(device), torch.cuda.stream(beside):
                there, arrived = batch.to(device), torch.cuda.Event()  # type: ignore[no-untyped-call]  # as above
                arrived.record()
            yield there, arrived

    for batch, arrived in made_ahead(sent()):
        stream = torch.cuda.current_stream(device)
        stream.wait_event(arrived)
        for tensor in batch.tensors():
            tensor.record_stream(stream)
        yield batch
