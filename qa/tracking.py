"""What a run tells the outside: tracked values, log lines, the progress bar, the result files of the run folder."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import wandb
from accelerate import Accelerator
from tqdm import tqdm

from qa.batching import Batch
from qa.config import RunConfig
from qa.data import Examples
from qa.errors import StoppedError
from qa.evaluation import Evaluation
from qa.features import Features
from qa.files import write_json
from qa.flops import peak_flops
from qa.progress import Progress, StepReport
from qa.round_trip import label_round_trip
from qa.trackers import STEP, start_trackers

log = logging.getLogger(__name__)

_SHOWN_EXCEPTIONS = 3


class Tracking:
    """Reports steps and evaluations to the trackers, the terminal and the log; works on the main process only.

    As a context manager it is finished on leaving, after an error too.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        config: RunConfig,
        progress: Progress,
        *,
        total_steps: int,
    ) -> None:
        """Start the trackers with the configuration and the environment."""
        self.accelerator = accelerator
        self.config = config
        self._unlogged: list[StepReport] = []
        self._reporters = start_trackers(accelerator, config, progress)
        run = self._wandb_run()
        if run is not None and run.url:
            self._say(f"W&B run: {run.url}")
        self._bar = tqdm(
            total=total_steps,
            initial=progress.step,
            unit="step",
            disable=not (accelerator.is_main_process and sys.stderr.isatty()),
        )
        self._peak = peak_of(accelerator) if total_steps and accelerator.is_main_process else None
        self._logged_at = time.perf_counter()

    def features(self, features: Features, examples: Examples) -> None:
        """Report the size of the training data, and how its labels translate back to the references."""
        if not self.accelerator.is_main_process:
            return
        trip = label_round_trip(features, examples.rows)
        self._say(
            f"training on {len(examples)} examples, {len(features)} features of {features.lengths.mean():.0f} tokens; "
            f"{trip.labelled} labels: {trip.rate:.2f} % translate back to the reference, {trip.wider} of them wider "
            f"for want of a token border; {trip.unlabelled_examples} answers are in no window"
        )
        for reference, decoded in trip.exceptions[:_SHOWN_EXCEPTIONS]:
            self._say(f"  label wider than its reference: {decoded!r} for {reference!r}")

    def step(self, report: StepReport) -> None:
        """Count a step; log at every interval and at the end of an epoch."""
        self._unlogged.append(report)
        self._bar.update()
        if report.step % self.config.training.log_every == 0 or report.ends_epoch:
            self._log_interval(report)

    def evaluation(self, evaluation: Evaluation, examples: Examples, *, step: int, best: bool) -> None:
        """Log scores, a table of predictions, and in the summary the best scores."""
        if evaluation.scores is not None:
            self._log({f"eval/{name}": value for name, value in evaluation.scores.items()}, step)
            shown = ", ".join(f"{name} {value:.2f}" for name, value in evaluation.scores.items())
            self._say(f"step {step}: {shown}{' (best so far)' if best else ''}")
        run = self._wandb_run()
        if run is not None and evaluation.predictions is not None:
            table = prediction_table(evaluation, examples, self.config.tracking.table_rows)
            self._to_wandb(lambda: run.log({"predictions": wandb.Table(list(_TABLE_COLUMNS), table), STEP: step}))
        if run is not None and best and evaluation.scores is not None:
            summary = {f"best/{name}": value for name, value in evaluation.scores.items()}
            self._to_wandb(partial(run.summary.update, summary))

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Show a progress bar over the batches of an evaluation."""
        yield from tqdm(batches, desc="evaluating", unit="batch", leave=False, disable=self._bar.disable)

    def finish(self) -> None:
        """Log what is not logged yet, close bar and trackers, and say where an offline run is. Collective."""
        self._close()
        self.accelerator.end_training()

    def __enter__(self) -> "Tracking":  # noqa: PYI034  # the tests' type checker does not know Self in methods
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish; after an error, which other processes may not have, without a collective."""
        if error is None or isinstance(error, StoppedError):
            self.finish()
        else:
            self._close()

    def _close(self) -> None:
        if self._unlogged:
            self._log_interval(self._unlogged[-1])
        self._bar.close()
        run = self._wandb_run()
        for reporter in self._reporters:
            reporter.finish()
        self._reporters, self.accelerator.trackers = [], []
        if run is not None and run.offline:
            self._say(f"W&B run is offline; upload it with: wandb sync {Path(run.dir).parent}")

    def _log_interval(self, last: StepReport) -> None:
        reports, self._unlogged = self._unlogged, []
        now = time.perf_counter()
        seconds, self._logged_at = now - self._logged_at, now
        values = interval_values(reports, self._peak)
        self._log({f"train/{name}": value for name, value in values.items()}, last.step)
        shown = {"loss": f"{values['loss']:.3f}", "lr": f"{last.learning_rate:.2e}"}
        self._bar.set_postfix(shown | {"examples/s": f"{values['examples_per_second']:.1f}"})
        if self._bar.disable:
            utilisation = f", MFU {values['mfu']:.0%}" if "mfu" in values else ""
            self._say(
                f"step {last.step}/{self._bar.total} epoch {last.epoch:.2f} loss {values['loss']:.4f} "
                f"lr {last.learning_rate:.2e} {values['examples_per_second']:.1f} examples/s ({seconds:.1f} s)"
                f"{utilisation}"
            )

    def _log(self, values: dict[str, Any], step: int) -> None:
        for reporter in self._reporters:
            reporter.log(values, step)

    def _to_wandb(self, call: Callable[[], object]) -> None:
        for reporter in self._reporters:
            if reporter.name == "wandb":
                reporter.submit(call)

    def _say(self, line: str) -> None:
        with tqdm.external_write_mode():
            log.info("%s", line)

    def _wandb_run(self) -> "wandb.Run | None":
        return next((reporter.tracker.tracker for reporter in self._reporters if reporter.name == "wandb"), None)


def peak_of(accelerator: Accelerator) -> float | None:
    """Return the FLOP/s of matrix products that all processes could do together; None where it is not known."""
    precision = {"fp16": torch.float16, "bf16": torch.bfloat16, "no": torch.float32}.get(accelerator.mixed_precision)
    rate = peak_flops(accelerator.device, precision) if precision is not None else None
    return rate * accelerator.num_processes if rate is not None else None


def interval_values(reports: Sequence[StepReport], peak: float | None = None) -> dict[str, float]:
    """Summarise the steps of a logging interval: means over features, rates over the steps' seconds.

    With the `peak` FLOP/s of the devices the model-FLOPs utilisation is among them, as a share of 1.
    """
    seconds = sum(report.seconds for report in reports)
    features = sum(report.features for report in reports)
    tokens = sum(report.tokens for report in reports)
    flops = sum(report.flops for report in reports)
    utilisation = {"mfu": flops / seconds / peak} if peak is not None and flops else {}
    return utilisation | {
        "loss": sum(report.loss * report.features for report in reports) / features,
        "learning_rate": reports[-1].learning_rate,
        "gradient_norm": sum(report.gradient_norm for report in reports) / len(reports),
        "epoch": reports[-1].epoch,
        "examples_per_second": features / seconds,
        "tokens_per_second": tokens / seconds,
        "padding_share": 1 - tokens / sum(report.padded_tokens for report in reports),
        "overflows": sum(report.overflows for report in reports),
    }


_TABLE_COLUMNS = ("id", "question", "prediction", "reference", "score", "probability", "null_odds")


def prediction_table(evaluation: Evaluation, examples: Examples, rows: int) -> list[list[Any]]:
    """Return rows for a table: id, question, answer, references, score, probability and null odds."""
    predictions = evaluation.predictions
    if predictions is None:
        return []
    texts, odds = predictions.texts(evaluation.threshold), predictions.null_odds.tolist()
    table = []
    for row, example in enumerate(examples.rows.select(range(min(rows, len(examples))))):
        best, after = predictions.bounds[row : row + 2].tolist()
        score = predictions.start_logit[best] + predictions.end_logit[best] if best < after else None
        share = predictions.probability[best] if best < after else None
        references = " | ".join(example["answers"]["text"]) if examples.has_references else ""
        table.append([example["id"], example["question"], texts[row], references, score, share, odds[row]])
    return table


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write the predictions, the n-best answers, the null odds and, where there are references, the scores."""
    predictions = evaluation.predictions
    assert predictions is not None, "only the main process has predictions, and only it writes"
    texts = predictions.texts(evaluation.threshold)
    write_json(folder / "predictions.json", dict(zip(predictions.ids, texts, strict=True)))
    write_json(folder / "nbest_predictions.json", predictions.n_best())
    odds = predictions.null_odds.tolist()
    write_json(folder / "null_odds.json", dict(zip(predictions.ids, odds, strict=True)))
    if evaluation.scores is not None:
        write_json(folder / "metrics.json", evaluation.scores)
