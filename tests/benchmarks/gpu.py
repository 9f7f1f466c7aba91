"""Measure training and evaluation on one GPU, at published sizes and SQuAD's lengths; write gpu.json and gpu.md.

    python -m tests.benchmarks.gpu [--models NAME ...] [--only WORD ...] [--output FOLDER] [--dry-run]

Weights are drawn at random and tokens too: neither changes what a step costs. Nothing is read but this package, so it
runs from a checkout. With `--dry-run` it goes the same way at tiny sizes, on a CPU where there is no GPU.
"""

import argparse
import contextlib
import dataclasses
import gc
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.profiler import ProfilerActivity, profile
from transformers import BertConfig, BertForQuestionAnswering

from qa.config import DecodingConfig, RecipeConfig, TrainingConfig
from qa.decoding.spans import find_spans
from qa.features.labels import Labels
from qa.features.loader import batch_loader
from qa.features.order import BatchSplit, evaluation_batches, steps_per_epoch
from qa.features.packing import Packing
from qa.features.windows import Encoder, Features, Ragged
from qa.modeling import span_loss
from qa.modeling.reader import Reader
from qa.training import TrainingLoop, build_optimizer, prepare
from qa.training.plan import TrainingPlan
from qa.training.throughput import TrainingFlops, published_rate
from tests.benchmarks import baselines
from tests.support import tiny

SIZES = {
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "bert-base": {},
    "bert-large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
    "tiny": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "vocab_size": 800,
    },
}
TARGETS = {"minilm": 15_000, "bert-base": 4_000, "bert-large": 1_200}
"""Features a second in training that one H100 is to reach in bf16."""
LENGTHS = (
    *(36, 68, 84, 97, 107, 113, 117, 121, 124, 127, 130, 133, 135, 138, 141, 144, 147, 150, 153, 156, 159, 162, 166),
    *(169, 173, 177, 181, 186, 190, 195, 201, 207, 214, 223, 231, 242, 255, 270, 293, 331, 384),
)
"""Quantiles, 2.5 % apart, of the tokens of SQuAD v1.1's 88,524 training features (MiniLM, windows of 384)."""
QUESTION = 12
"""Tokens of a question: SQuAD's mean."""
FEATURES = 20_000
WARM_UP, PROFILED, COUNTED = 80, 8, 8
"""Steps before the clock, in the profile, and while synchronisations are counted.

Every shape of a batch takes some milliseconds the first time, so that the first steps say nothing.
"""
SECONDS = 3.0
"""Least time of a measurement."""
OURS, PACKED = "length groups", "packed"
ROW = 512
"""Tokens of packed rows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured."""

    model: str
    job: str = "training"
    batches: str = OURS
    """Ours, or `packed`; or a recipe's: `random order` (no-Trainer script), `padded to 384` (notebook), `in order`."""
    precision: str = "bf16"
    tf32: bool = False
    compiled: bool = False
    replayed: bool = False
    """As CUDA graphs."""
    batch_size: int | None = 32
    """None: as many features as the evaluator takes, by their tokens."""

    @property
    def name(self) -> str:
        """Words that `--only` looks for."""
        precision = "tf32" if self.tf32 else {"no": "fp32"}.get(self.precision, self.precision)
        compiled = how_compiled(self)
        size = "batches by tokens" if self.batch_size is None else f"batch {self.batch_size}"
        return f"{self.model}, {self.job}, {self.batches}, {precision}{compiled}, {size}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found; shares are of the time."""

    features_per_second: float
    mfu: float | None
    loading: float
    """Share in which the host made and sent batches, the device waiting or not."""
    busy: float | None
    """Share in which a kernel ran."""
    synchronisations: float | None
    """Times a step that the host waited for the device."""
    memory: int
    """Largest number of bytes allocated."""


def how_compiled(case: Case) -> str:
    return ", compiled" * case.compiled + ", CUDA graphs" * case.replayed


def cases(models: list[str]) -> Iterator[Case]:
    """List what is measured, the most wanted first, so that a run that is cut off has it."""
    for model in models:
        yield Case(model=model)
        yield Case(model=model, batches="random order")
        yield Case(model=model, batch_size=128)
    for model in models:
        yield Case(model=model, compiled=True)
        yield Case(model=model, compiled=True, batch_size=128)
        yield Case(model=model, batches=PACKED, compiled=True)
        yield Case(model=model, batches=PACKED, compiled=True, batch_size=128)
        for size in (32, 128, 512):
            yield Case(model=model, batches=PACKED, compiled=True, replayed=True, batch_size=size)
        yield Case(model=model, batches=PACKED)
    for model in models:
        yield Case(model=model, precision="fp16")
        yield Case(model=model, precision="no", tf32=True)
        yield Case(model=model, precision="no")
        yield Case(model=model, batches="padded to 384")
    for model in models:
        yield Case(model=model, job="evaluation", batch_size=None)
        yield Case(model=model, job="evaluation", batches=PACKED, batch_size=None)
        yield Case(model=model, job="evaluation", batches="in order", batch_size=8)


# --- what is trained on -------------------------------------------------------------------------------------------


def features_of(count: int, vocabulary: int) -> tuple[Features, Labels]:
    """Make features of SQuAD's lengths, one window and one context an example, with random tokens and labels."""
    random = np.random.default_rng(0)
    template = Encoder.of(tiny.tokenizer()).template
    quantiles = np.linspace(0, 1, len(LENGTHS))
    lengths = np.interp(random.random(count), quantiles, LENGTHS).astype(np.int64)
    size = lengths - QUESTION - template.special_tokens
    contexts = Ragged(random.integers(5, vocabulary, int(size.sum()), np.int32), np.append(0, np.cumsum(size)))
    questions = Ragged(
        random.integers(5, vocabulary, QUESTION * count, np.int32), np.arange(count + 1, dtype=np.int64) * QUESTION
    )
    place = np.zeros(len(contexts.values), np.int32)
    every = np.arange(count)
    features = Features(
        template=template,
        question_ids=questions,
        context_of=every,
        context_ids=contexts,
        token_start=place,
        token_end=place,
        example=every,
        first=np.zeros(count, np.int64),
        size=size,
    )
    first = (random.random(count) * (size - 3)).astype(np.int32)
    nothing = np.zeros(count, np.int32)
    return features, Labels(first=first, last=first + 2, reference=nothing, bounds=np.arange(count + 1))


def windows_of(features: Features, labels: Labels, *, pad: bool) -> list[dict[str, object]]:
    """Make the lists that the recipe's `map` makes."""
    windows = []
    for at in range(len(features)):
        ids, types, begin = features.row(at)
        filling = [0] * (LENGTHS[-1] - len(ids) if pad else 0)
        windows.append(
            {
                "input_ids": ids.tolist() + filling,
                "token_type_ids": types.tolist() + filling,
                "attention_mask": [1] * len(ids) + filling,
                "start_positions": begin + int(labels.first[at]),  # one label a feature
                "end_positions": begin + int(labels.last[at]),
            }
        )
    return windows


def model_of(case: Case, device: torch.device) -> BertForQuestionAnswering:
    """Make a model where it is used: a host takes seconds to draw a large one's weights."""
    torch.manual_seed(0)
    with device:
        return BertForQuestionAnswering(BertConfig(**SIZES[case.model]))


def accelerator_of(case: Case, device: torch.device) -> Accelerator:
    """Start accelerate anew, as in a process of its own."""
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.backends.cuda.matmul.allow_tf32 = case.tf32
    return Accelerator(mixed_precision=case.precision, cpu=device.type == "cpu")


# --- what is measured ---------------------------------------------------------------------------------------------


class Steps:
    """Steps of one contestant: `take` does some and returns their features and the seconds spent on loading."""

    def __init__(self, steps: Iterator[tuple[int, float]], flops_per_feature: float) -> None:
        self.steps, self.flops_per_feature = steps, flops_per_feature

    def take(self, count: int) -> tuple[int, float]:
        done = list(itertools.islice(self.steps, count))
        return sum(features for features, _ in done), sum(seconds for _, seconds in done)


def timed(items: Iterator[object]) -> Iterator[tuple[object, float]]:
    """Pass items on with the seconds that getting each took."""
    while True:
        began = time.perf_counter()
        item = next(items, None)
        if item is None:
            return
        yield item, time.perf_counter() - began


def our_training(case: Case, device: torch.device, features: Features, labels: Labels) -> Iterator[tuple[int, float]]:
    """Train as train_qa.py does."""
    training = TrainingConfig(
        batch_size=case.batch_size,
        compile=case.compiled,
        compile_mode="reduce-overhead" if case.replayed else "default",
        epochs=1000.0,
        learning_rate=1e-5,
        packed_length=ROW if case.batches == PACKED else None,
    )
    recipe = RecipeConfig()
    accelerator, model = accelerator_of(case, device), model_of(case, device)
    reader = Reader.fitted(model, tiny.tokenizer(), max_length=LENGTHS[-1], name=case.model)
    split = BatchSplit(process=0, processes=1, accumulation_steps=1, batch_size=case.batch_size)
    per_epoch = steps_per_epoch(len(features), split)
    plan = TrainingPlan(
        config=training,
        recipe=recipe,
        seed=0,
        split=split,
        steps_per_epoch=per_epoch,
        total_steps=1000 * per_epoch,
        evaluates=False,
        has_impossible=False,
        ids=[str(at) for at in range(len(features))],
        input_names=reader.input_names,
        flops=TrainingFlops.of(model, longest=LENGTHS[-1]),
    )
    accept_packed(reader, case)
    reader.configure_for_training(training, recipe, accelerator.device)
    prepared, optimizer = prepare(accelerator, reader, build_optimizer(model, training, accelerator.device), training)
    loop = TrainingLoop(accelerator, prepared, optimizer, features, labels, plan, loss=span_loss)
    while True:
        for step, seconds in timed(loop.loader.remaining()):
            yield loop.step(step).features, seconds


def accept_packed(reader: Reader, case: Case) -> None:
    """Let a reader take packed rows where the case has them."""
    if case.batches == PACKED:
        reader.accept_packed(Packing(length=ROW), max_length=LENGTHS[-1])


def their_training(case: Case, device: torch.device, features: Features, labels: Labels) -> Iterator[tuple[int, float]]:
    """Train as the recipe does, on the same device in the same precision."""
    accelerator, model = accelerator_of(case, device), model_of(case, device)
    model = accelerator.prepare(model)
    pad = case.batches.startswith("padded")
    optimizer = baselines.optimizer_for(model, 1e-5)
    scheduler = baselines.linear_schedule(optimizer, warmup=0, total=1_000_000)
    loader = baselines.loader(
        windows_of(features, labels, pad=pad), tiny.tokenizer(), batch_size=case.batch_size, shuffle=True, labels=True
    )
    for batch, seconds in timed(itertools.chain.from_iterable(itertools.repeat(loader))):
        moved = {name: value.to(accelerator.device) for name, value in batch.items()}
        baselines.train_step(model, optimizer, scheduler, moved, max_norm=1.0 if pad else None)
        yield len(batch["input_ids"]), seconds


def our_evaluation(case: Case, device: torch.device, features: Features) -> Iterator[tuple[int, float]]:
    """Answer all features as the evaluator does; a step is a pass."""
    accelerator, model = accelerator_of(case, device), model_of(case, device)
    reader = Reader.fitted(model, tiny.tokenizer(), max_length=LENGTHS[-1], name=case.model)
    accept_packed(reader, case)
    model = accelerator.prepare(model)
    packing = Packing(length=ROW) if case.batches == PACKED else None
    kind, names = accelerator.device.type, reader.input_names
    while True:
        batches = evaluation_batches(features.lengths, case.batch_size, kind, mixed=packing is not None)
        loader = timed(batch_loader(features, batches, input_names=names, device=accelerator.device, packing=packing))
        waited = []
        with accelerator.autocast():
            find_spans(
                model,
                (waited.append(seconds) or batch for batch, seconds in loader),
                DecodingConfig(),
                features=len(features),
            )
        yield len(features), sum(waited)


def their_evaluation(
    case: Case, device: torch.device, features: Features, labels: Labels
) -> Iterator[tuple[int, float]]:
    """Compute all logits in the data set's order and bring them to the host; without decoding them."""
    accelerator, model = accelerator_of(case, device), model_of(case, device)
    model = accelerator.prepare(model)
    windows = windows_of(features, labels, pad=False)
    while True:
        baselines.logits_of(model, windows, tiny.tokenizer(), batch_size=case.batch_size)
        yield len(windows), 0.0


def contestant(case: Case, device: torch.device, *, count: int) -> Steps:
    features, labels = features_of(count, BertConfig(**SIZES[case.model]).vocab_size)
    flops = TrainingFlops.of(model_of(case, torch.device("meta")), longest=LENGTHS[-1]).of_texts(
        features.lengths
    ) / len(features)
    ours = case.batches in (OURS, PACKED)
    if case.job == "training":
        steps = (our_training if ours else their_training)(case, device, features, labels)
    else:
        flops /= 3
        steps = our_evaluation(case, device, features) if ours else their_evaluation(case, device, features, labels)
    return Steps(steps, flops)


def measure(case: Case, device: torch.device, *, dry: bool) -> Measured:
    on_gpu = device.type == "cuda"
    passes = case.job == "evaluation"
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    steps = contestant(case, device, count=64 if dry else 4000 if passes else FEATURES)
    steps.take(1 if dry or passes else WARM_UP)
    wait_for(device)
    rates, loading = [], []
    few = 1 if passes else 2 if dry else 20
    for _ in range(3):
        began, done, waited = time.perf_counter(), 0, 0.0
        while done == 0 or (not dry and time.perf_counter() - began < SECONDS / 3):
            features, seconds = steps.take(few)
            done, waited = done + features, waited + seconds
        wait_for(device)
        passed = time.perf_counter() - began
        rates.append(done / passed)
        loading.append(waited / passed)
    rate = statistics.median(rates)
    peak = published_rate(torch.cuda.get_device_name(device), dtype_of(case)) if on_gpu else None
    return Measured(
        features_per_second=rate,
        mfu=rate * steps.flops_per_feature / peak if peak and not case.tf32 else None,
        loading=statistics.median(loading),
        busy=busy_share(steps, 1 if passes else PROFILED) if on_gpu else None,
        synchronisations=synchronisations(steps, COUNTED) / COUNTED if on_gpu and not passes else None,
        memory=torch.cuda.max_memory_allocated() if on_gpu else 0,
    )


def dtype_of(case: Case) -> torch.dtype:
    return {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[case.precision]


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def busy_share(steps: Steps, count: int) -> float:
    """Return the share of time in which a kernel runs, from the first to the last, on any stream."""
    with profile(activities=[ProfilerActivity.CUDA]) as record:
        steps.take(count)
        torch.cuda.synchronize()
    kernels = sorted(
        (event.time_range.start, event.time_range.end)
        for event in record.events()
        if event.device_type == torch.autograd.DeviceType.CUDA and not event.name.startswith("Mem")
    )
    busy, reached = 0.0, kernels[0][0]
    for start, end in kernels:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return busy / (reached - kernels[0][0])


def synchronisations(steps: Steps, count: int) -> int:
    """Count how often the host waits for the device."""
    torch.set_warn_always(True)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        steps.take(count)
        torch.cuda.set_sync_debug_mode("default")
    torch.set_warn_always(False)
    return sum("called a synchronizing" in str(one.message) for one in found)  # not the mode's own warnings


# --- the table ----------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", nargs="+", choices=SIZES, default=list(TARGETS))
    parser.add_argument("--only", nargs="+", default=[""], help="cases whose names hold one of these words")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for gpu.json and gpu.md")
    parser.add_argument("--minutes", type=float, default=9.0, help="no case is begun after so many")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes and two steps, on a CPU where need be")
    options = parser.parse_args()
    if not (torch.cuda.is_available() or options.dry_run):
        parser.error("no CUDA device; --dry-run tries the program without one")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options.output.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.mkdtemp())
    ends_at = time.monotonic() + options.minutes * 60
    found: list[tuple[Case, Measured | str]] = []
    for case in cases(["tiny"] if options.dry_run else options.models):
        if not any(word in case.name for word in options.only) or skipped(case, device):
            continue
        if time.monotonic() > ends_at:
            print(f"left out, for want of time: {case.name}", flush=True)
            continue
        found.append((case, attempted(case, device, dry=options.dry_run)))
        print(line(*found[-1]), flush=True)
        write(found, options.output, device)
    print("\n" + (options.output / "gpu.md").read_text(encoding="utf-8"))
    return int(any(isinstance(result, str) for _, result in found))


def skipped(case: Case, device: torch.device) -> bool:
    """Return whether the device cannot do a case: fp16, TF32 and CUDA graphs are for GPUs."""
    return device.type == "cpu" and (case.precision == "fp16" or case.tf32 or case.replayed)


def attempted(case: Case, device: torch.device, *, dry: bool) -> Measured | str:
    """Measure a case; what fails is a line of the table, and the next one is tried."""
    try:
        return measure(case, device, dry=dry)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is a line of the table
        traceback.print_exc()
        return f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
    finally:
        torch._dynamo.reset()
        with contextlib.suppress(RuntimeError):
            gc.collect()


HEAD = (
    "| model | job | batches | precision | batch | features/s | MFU | loading | busy | syncs/step | memory |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def line(case: Case, found: Measured | str) -> str:
    precision = "tf32" if case.tf32 else {"no": "fp32"}.get(case.precision, case.precision)
    cells = [case.model, case.job, case.batches, precision + how_compiled(case)]
    cells.append("by tokens" if case.batch_size is None else str(case.batch_size))
    if isinstance(found, str):
        return f"| {' | '.join(cells)} | {found} | | | | | |"
    share = lambda value: "" if value is None else f"{value:.1%}"  # noqa: E731
    synchronised = "" if found.synchronisations is None else f"{found.synchronisations:.1f}"
    cells += [f"{found.features_per_second:,.0f}", share(found.mfu), share(found.loading), share(found.busy)]
    return f"| {' | '.join([*cells, synchronised, f'{found.memory / 2**30:.1f} GiB'])} |"


def write(found: list[tuple[Case, Measured | str]], folder: Path, device: torch.device) -> None:
    records = [
        dataclasses.asdict(case) | ({"error": result} if isinstance(result, str) else dataclasses.asdict(result))
        for case, result in found
    ]
    (folder / "gpu.json").write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    text = "\n".join([f"{describe(device)}.", "", HEAD, *(line(*one) for one in found), ""])
    (folder / "gpu.md").write_text(text, encoding="utf-8")


def describe(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU (dry run: rates say nothing)"
    versions = ", ".join(
        f"{package} {metadata.version(package)}" for package in ("torch", "transformers", "accelerate")
    )
    return f"{name}; Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    sys.exit(main())
