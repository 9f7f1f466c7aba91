"""Examples/s, tokens/s, padding, model-FLOPs utilisation (MFU).

Counted are the multiplications and additions of the matrix products that the real tokens need, and nothing that an
implementation does besides (padding, recomputation, element-wise work), as in PaLM (Chowdhery et al., 2022).
"""

import copy
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Int
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from qa.training.progress import StepReport

_PASSES = 3  # forward, and the gradients of inputs and of weights
_SIDE = 1024  # of the matrices whose product is timed: large enough for the full rate, small enough for milliseconds
_REPETITIONS = 10
_MOMENTS = 3
AGAIN_SECONDS = 60.0

_PUBLISHED: dict[str, tuple[float, float]] = {
    "B200": (2250e12, 80e12),
    "H200": (989e12, 67e12),
    "H100 PCIe": (756e12, 51e12),
    "H100": (989e12, 67e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
    "L4": (121e12, 30.3e12),
    "A10": (125e12, 31.2e12),
    "T4": (65e12, 8.1e12),
    "V100": (125e12, 15.7e12),
    "RTX 4090": (165e12, 82.6e12),
    "RTX 3090": (71e12, 35.6e12),
}
"""FLOP/s of matrix products by the makers' data sheets, dense: in half precision with float32 sums, and in float32.

The first name that is part of a device's name counts.
"""
_NAMED = r"\b{}\b(?! (?:NVL|Laptop|Ti|D)\b)"
"""A GPU's name in a device's, unless it is one of its variants: they are slower or faster."""


@dataclass(frozen=True, kw_only=True)
class TrainingFlops:
    """Floating-point operations of training on a text: a share for every token, and one for every pair of tokens."""

    per_token: float = 0.0
    """Of the linear layers."""
    per_pair: float = 0.0
    """Of attention."""

    @classmethod
    def of(cls, model: PreTrainedModel, *, longest: int) -> "TrainingFlops":
        """Count those of a model's forward pass, as torch counts them, on texts of three lengths up to `longest`.

        Two lengths give both shares, the third one checks them: a model whose count grows otherwise (local attention by
        blocks), or that cannot be counted, has none. Nothing is computed: a copy without weights runs on `meta`.
        """
        lengths = sorted({max(longest // part, 1) for part in (4, 2, 1)})
        counts = [_forward_flops(model, length) for length in lengths]
        if len(lengths) < 3 or any(count is None for count in counts):
            return cls()
        short, middle, long = (float(count) / length for count, length in zip(counts, lengths, strict=True) if count)
        per_pair = (middle - short) / (lengths[1] - lengths[0])
        per_token = short - per_pair * lengths[0]
        if not math.isclose(per_token + per_pair * lengths[2], long, rel_tol=1e-3):
            return cls()
        return cls(per_token=_PASSES * per_token, per_pair=_PASSES * per_pair)

    def of_texts(self, lengths: Int[np.ndarray, "text"]) -> float:
        """Return the operations for texts of the given numbers of tokens."""
        tokens = lengths.astype(np.float64)
        return float(self.per_token * tokens.sum() + self.per_pair * np.square(tokens).sum())


def _forward_flops(model: PreTrainedModel, length: int) -> int | None:
    """Return torch's count for one text without padding; None where the model does not run without weights."""
    config = copy.deepcopy(model.config)
    setattr(config, "_attn_implementation", "eager")  # noqa: B010  # its products are counted one by one
    try:
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            hollow = type(model)(config).train(mode=False)
            hollow(input_ids=torch.ones(1, length, dtype=torch.long))  # a mask's values would be asked for
    except Exception:  # noqa: BLE001  # whatever a model's code does with tensors that have no values
        return None
    return int(counter.get_total_flops())


def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """Return the FLOP/s of matrix products in `dtype`: measured on a CPU, of the data sheet for a GPU.

    None where it is not known. Float32 products that TF32 shortens have half the rate of half precision.
    """
    if device.type == "cpu":
        return measured_matmul_rate(dtype)
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    if dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        half = published_rate(name, torch.bfloat16)
        return half / 2 if half is not None else None
    return published_rate(name, dtype)


def published_rate(device_name: str, dtype: torch.dtype) -> float | None:
    """Look up a device's FLOP/s by its name; None for one that is not in the table."""
    rates = next((rates for name, rates in _PUBLISHED.items() if re.search(_NAMED.format(name), device_name)), None)
    if rates is None:
        return None
    half, single = rates
    return single if dtype == torch.float32 else half


def measured_matmul_rate(dtype: torch.dtype) -> float:
    """Time products of matrices on the CPU and return the best FLOP/s; takes less than a tenth of a second."""
    left, right, product = (torch.ones(_SIDE, _SIDE, dtype=dtype) for _ in range(3))
    seconds = []
    for _ in range(_REPETITIONS):
        began = time.perf_counter()
        torch.mm(left, right, out=product)
        seconds.append(time.perf_counter() - began)
    return 2.0 * _SIDE**3 / min(seconds)


class PeakRate:
    """The FLOP/s of matrix products that all processes could do together, as well as it is known so far.

    A CPU's is measured, and what else runs on it at that moment makes it too small: so the best of several moments
    counts, some of them during the run, and what training itself has reached.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        """Look it up, or measure it a few times."""
        precisions = {"fp16": torch.float16, "bf16": torch.bfloat16, "no": torch.float32}
        self._precision, self._device = precisions.get(accelerator.mixed_precision), accelerator.device
        self._processes = accelerator.num_processes
        self.flops: float | None = None
        for _ in range(_MOMENTS if self._is_measured else 1):
            self._look()

    def share(self, achieved: float) -> float | None:
        """Return which share of the peak a rate is, at most 1; None where the peak is not known."""
        if self._is_measured and time.monotonic() - self._looked_at > AGAIN_SECONDS:
            self._look()
        if self.flops is None:
            return None
        self.flops = max(self.flops, achieved)
        return achieved / self.flops

    @property
    def _is_measured(self) -> bool:
        return bool(self._device.type == "cpu")

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        rate = peak_flops(self._device, self._precision) if self._precision is not None else None
        if rate is not None:
            self.flops = max(self.flops or 0.0, rate * self._processes)


def interval_values(reports: Sequence[StepReport], peak: PeakRate | None = None) -> dict[str, float]:
    """Summarise the steps of a logging interval: means over features, rates over the steps' seconds.

    With the `peak` of the devices the model-FLOPs utilisation is among them, as a share of 1; with several processes
    the slowest one, and how many times the median of all its own time is.
    """
    seconds = sum(report.seconds for report in reports)
    features = sum(report.features for report in reports)
    tokens = sum(report.tokens for report in reports)
    flops = sum(report.flops for report in reports)
    share = peak.share(flops / seconds) if peak is not None and flops else None
    utilisation = {"mfu": share} if share is not None else {}
    told = {
        "loss": sum(report.loss * report.features for report in reports) / features,
        "learning_rate": reports[-1].learning_rate,
        "gradient_norm": sum(report.gradient_norm for report in reports) / len(reports),
        "epoch": reports[-1].epoch,
        "examples_per_second": features / seconds,
        "tokens_per_second": tokens / seconds,
        "data_wait_share": sum(report.waited for report in reports) / seconds,
        "padding_share": 1 - tokens / sum(report.padded_tokens for report in reports),
        "overflows": sum(report.overflows for report in reports),
    }
    return utilisation | _slowest(reports) | told


def _slowest(reports: Sequence[StepReport]) -> dict[str, float]:
    count = len(reports[-1].own_seconds)
    comparable = [report.own_seconds for report in reports if len(report.own_seconds) == count]  # none of a resumed run
    seconds = np.sum(comparable, axis=0)
    if count < 2 or not np.median(seconds):
        return {}
    slowest = int(np.argmax(seconds))
    return {"slowest_process": float(slowest), "slowest_to_median": float(seconds[slowest] / np.median(seconds))}
