"""Log lines, progress bar, intervals; feeds the trackers."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from accelerate import Accelerator
from tqdm import tqdm

from qa.config import RunConfig
from qa.data.examples import Examples
from qa.errors import StoppedError
from qa.evaluation.evaluator import Evaluation, Evaluator
from qa.features.collation import Batch
from qa.features.labels import Labels
from qa.features.round_trip import label_round_trip
from qa.features.unknown import long_questions, unknown_tokens
from qa.features.windows import Features
from qa.runtime.core_wait import MUCH, CoreWait
from qa.runtime.logs import for_file
from qa.runtime.memory import peak_memory
from qa.runtime.peers import peers
from qa.tracking.reporter import Outcome
from qa.tracking.tables import COLUMNS, prediction_table
from qa.tracking.trackers import start_trackers
from qa.training.plan import TrainingPlan
from qa.training.progress import Progress, StepReport
from qa.training.throughput import PeakRate, interval_values

log = logging.getLogger(__name__)

_SLOW_DATA = 0.05  # share of the time that is worth a word
_SLOW_PROCESS = 1.2  # times the median's own time, likewise


class RunTracker:
    """Reports steps and evaluations to the trackers, the terminal and the log; works on the main process only.

    As a context manager it is finished on leaving, after an error too. What it reports stands in the run's history and
    log as well, whatever trackers there are.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        config: RunConfig,
        plan: TrainingPlan | None = None,
        progress: Progress | None = None,
        *,
        history: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        """Start the trackers with the configuration and the environment; without a plan nothing is trained.

        Args:
            accelerator: knows the processes.
            config: of the run.
            plan: of its training.
            progress: how far it has come; keeps the steps that no interval has logged yet.
            history: takes what is logged.

        """
        self.accelerator, self.config, self._history = accelerator, config, history
        self._progress = progress = progress or Progress()
        self._total = plan.total_steps if plan is not None else 0
        self._reporters = start_trackers(accelerator, config, progress)
        if (others := peers()) is not None:
            others.last_words.append(lambda status: self._finish_reporters(Outcome(status)))
        for reporter in self._reporters:
            if progress.best_scores:
                reporter.summary(_best(progress.best_scores))
            if reporter.tracker.address:
                self._say(f"{reporter.tracker.name} run: {reporter.tracker.address}")
        self._bar = tqdm(
            total=self._total,
            initial=progress.step,
            unit="step",
            disable=not (accelerator.is_main_process and sys.stderr.isatty()),
        )
        self._peak = PeakRate(accelerator) if plan is not None and accelerator.is_main_process else None
        self._core_wait = CoreWait(computes=accelerator.device.type == "cpu")
        self._logged_at = time.perf_counter()

    def training_data(self, features: Features, labels: Labels, examples: Examples) -> None:
        """Report the size of the training data, and how its labels translate back to the references."""
        if not self.accelerator.is_main_process:
            return
        trip, unknown = label_round_trip(features, labels, examples.rows), unknown_tokens(features)
        self._say(
            f"training on {len(examples)} examples, {len(features)} features of {features.lengths.mean():.0f} tokens; "
            f"{trip.labelled} labels: {trip.rate:.2f} % translate back to their reference, {trip.wider} are wider for "
            f"want of a token border, {trip.narrower} narrower; {trip.unlabelled_examples} examples have no window "
            f"that holds a reference; {unknown}"
        )
        for line in trip.shown_exceptions():
            self._say(f"  {line}")
        if unknown.warning is not None:
            log.warning("%s", unknown.warning)
        if (cut := long_questions(features, self.config.features.max_question_length)) is not None:
            log.warning("train data: %s", cut)

    def step(self, report: StepReport) -> None:
        """Count a step; log at every interval and at the end of an epoch and of the run."""
        if not report.trained:
            return
        self._progress.unlogged.append(report)
        self._bar.update()
        is_last = report.number == self._total
        if report.number % self.config.training.log_every == 0 or report.ends_epoch or is_last:
            self._log_interval(report)

    def evaluation(self, evaluation: Evaluation, *, step: int, best: bool = True) -> None:
        """Log scores, a table of predictions, and in the summary the best scores."""
        scores = evaluation.scores
        if scores is not None:
            self._log({f"eval/{name}": value for name, value in scores.items()}, step, best=best)
            shown = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
            self._say(f"step {step}: {shown}{' (best so far)' if best else ''}")
        rows, language = self.config.tracking.table_rows, self.config.decoding.language
        table = prediction_table(evaluation, rows, language=language) if self._reporters else []
        for reporter in self._reporters:
            reporter.table("predictions", COLUMNS, table, step)
            if best and scores is not None:
                reporter.summary(_best(scores))

    def model(self, folder: Path, *, train: Examples, evaluator: Evaluator | None) -> None:
        """Send the best model to the trackers that keep files, where that is asked for."""
        if not self.config.tracking.log_model:
            return
        examples = {"train": train} | ({"validation": evaluator.examples} if evaluator is not None else {})
        data = {split: self._facts_of(split, some) for split, some in examples.items()} if self._reporters else {}
        facts = {"base": self.config.model, "seed": self.config.seed, **_best(self._progress.best_scores or {})}
        for reporter in self._reporters:
            reporter.model(folder, data, facts)

    def _facts_of(self, split: str, examples: Examples) -> dict[str, Any]:
        source = self.config.train_data if split == "train" else self.config.validation_data
        return {"split": split, "source": source, "examples": len(examples), "fingerprint": examples.fingerprint}

    def progress_bar(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Show a progress bar over the batches of an evaluation."""
        yield from tqdm(batches, desc="evaluating", unit="batch", leave=False, disable=self._bar.disable)

    def finish(self, outcome: Outcome | None = None) -> None:
        """Log what is not logged yet, close bar and trackers, and say where an offline run is. Collective."""
        self._close(outcome or Outcome())
        self.accelerator.end_training()

    def __enter__(self) -> "RunTracker":  # noqa: PYI034  # the tests' type checker does not know Self in methods
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish; after an error, which other processes may not have, without a collective."""
        if error is None:
            self.finish()
        elif isinstance(error, StoppedError):
            self.finish(Outcome(error.status, preempted=True))
        else:
            self._close(Outcome(1))

    def _close(self, outcome: Outcome) -> None:
        if self._progress.unlogged and not outcome.preempted:  # else the resumed run logs the whole interval
            self._log_interval(self._progress.unlogged[-1])
        self._bar.close()
        self._finish_reporters(outcome)

    def _finish_reporters(self, outcome: Outcome) -> None:
        reporters, self._reporters, self.accelerator.trackers = self._reporters, [], []
        for reporter in reporters:
            reporter.finish(outcome)
            if reporter.tracker.upload_command is not None:
                self._say(f"the {reporter.tracker.name} run is offline; upload it: {reporter.tracker.upload_command}")

    def _log_interval(self, last: StepReport) -> None:
        reports, self._progress.unlogged = self._progress.unlogged, []
        now = time.perf_counter()
        seconds, self._logged_at = now - self._logged_at, now
        values = interval_values(reports, self._peak) | peak_memory(self.accelerator.device) | self._core_wait.values()
        self._log({f"train/{name}": value for name, value in values.items()}, last.number)
        shown = {"loss": f"{values['loss']:.3f}", "lr": f"{last.learning_rate:.2e}"}
        self._bar.set_postfix(shown | {"examples/s": f"{values['examples_per_second']:.1f}"})
        rest = _told_rest((self._total - last.number) * seconds / len(reports))
        line = (
            f"step {last.number}/{self._bar.total} {_told_values(values)} ({seconds:.1f} s){_told_notes(values)}{rest}"
        )
        (log if self._bar.disable else for_file).info("%s", line)

    def _log(self, values: dict[str, Any], step: int, **more: object) -> None:
        self._history({"step": step, **values, **more})
        for reporter in self._reporters:
            reporter.log(values, step)

    def _say(self, line: str) -> None:
        with tqdm.external_write_mode():
            log.info("%s", line)


def _told_values(values: Mapping[str, float]) -> str:
    """Say what every interval has."""
    return (
        f"epoch {values['epoch']:.2f} loss {values['loss']:.4f} lr {values['learning_rate']:.2e} "
        f"{values['examples_per_second']:.1f} examples/s"
    )


def _told_notes(values: Mapping[str, float]) -> str:
    """Say how well the devices are used, and what is slow where it is worth a word."""
    notes = []
    if "mfu" in values:
        notes.append(f"MFU {values['mfu']:.0%}")
    if values["data_wait_share"] >= _SLOW_DATA:
        notes.append(f"{values['data_wait_share']:.0%} waiting for data")
    if values.get("slowest_to_median", 0.0) >= _SLOW_PROCESS:
        slow = values["slowest_process"]
        notes.append(f"process {slow:.0f} takes {values['slowest_to_median']:.1f} times the median")
    if values.get("core_wait_share", 0.0) >= MUCH:
        notes.append(f"{values['core_wait_share']:.0%} waiting for a core")
    if "device_memory_gib" in values:
        notes.append(f"{values['device_memory_gib']:.1f} GiB")
    return "".join(f", {note}" for note in notes)


def _told_rest(seconds: float) -> str:
    """Say how long the steps that are left will take, if they take as long as the last ones."""
    return f", {seconds / 60:.1f} min left" if seconds > 0 else ""


def _best(scores: Mapping[str, float]) -> dict[str, float]:
    return {f"best/{name}": value for name, value in scores.items()}
