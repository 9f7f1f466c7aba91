"""Drive a reader over a set of examples: batches → logits → spans → gather → answers → scores."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from qa import metrics
from qa.answers import FeatureSpans, Predictions, predict
from qa.batching import PAD_MULTIPLE, Batch, batch_loader, evaluation_batches, share_of_batches
from qa.config import DecodingConfig
from qa.data import Examples
from qa.features import Features
from qa.inference import check_complete, check_numbers, find_spans
from qa.metrics import Scores
from qa.model import Reader
from qa.runtime import for_all, on_main

_FILLER = -1  # feature index of rows that only bring all processes to the same number for the gather


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """What an evaluation found. Predictions exist on the main process only; scores are the same on all."""

    predictions: Predictions | None
    scores: Scores | None
    """The official scores in percent; None for examples without references."""
    threshold: float
    """Null odds above which the answer was "no answer"."""
    fitted_threshold: float
    """The threshold that would have given the best F1; `threshold` where nothing could be fitted."""
    seconds: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluator:
    """Answers a set of examples with any model, and scores the answers where there are references."""

    accelerator: Accelerator
    examples: Examples
    features: Features
    input_names: Sequence[str]
    config: DecodingConfig
    null_possible: bool
    """Whether "no answer" is an answer."""
    threshold: float
    """Null odds above which it is the answer."""
    pad_multiple: int = PAD_MULTIPLE
    """Batches are padded to multiples of so many tokens."""

    @classmethod
    def for_reader(
        cls,
        accelerator: Accelerator,
        reader: Reader,
        examples: Examples,
        features: Features,
        config: DecodingConfig,
        *,
        pad_multiple: int = PAD_MULTIPLE,
    ) -> "Evaluator":
        """Decide whether "no answer" is possible by the references, or without any by how the reader was trained.

        The threshold is the configuration's, or the one saved with the reader, or 0.

        Raises:
            ConfigError: a language without rules for scores.

        """
        metrics.normalize_answer("", config.language)  # now, not after an epoch of training
        saved = reader.settings
        trained_null, fitted = (saved.null_possible, saved.no_answer_threshold) if saved is not None else (False, 0.0)
        return cls(
            accelerator=accelerator,
            examples=examples,
            features=features,
            input_names=reader.input_names,
            config=config,
            null_possible=examples.has_impossible if examples.has_references else trained_null,
            threshold=fitted if config.no_answer_threshold is None else config.no_answer_threshold,
            pad_multiple=pad_multiple,
        )

    def evaluate(
        self, model: nn.Module, watch: Callable[[Iterable[Batch]], Iterable[Batch]] = lambda batches: batches
    ) -> Evaluation:
        """Answer all examples with `model`, which `accelerator` prepared. Collective.

        The batches are the same for any number of processes, and so are the results. Every process has the same number
        of forward passes, since wrapped models synchronise in each. `watch` wraps the iteration, for a progress bar.

        Raises:
            NotFiniteError: logits that are not numbers.
            IncompleteError: a feature is missing or there twice.

        """
        began = time.perf_counter()
        spans = self._spans(model, watch)
        predictions = on_main(self.accelerator, partial(self._predictions, spans))
        scores = for_all(self.accelerator, partial(self._scores, predictions))
        return Evaluation(
            predictions=predictions,
            scores=scores,
            threshold=self.threshold,
            fitted_threshold=scores.get("fitted_threshold", self.threshold) if scores else self.threshold,
            seconds=time.perf_counter() - began,
        )

    def _spans(self, model: nn.Module, watch: Callable[[Iterable[Batch]], Iterable[Batch]]) -> FeatureSpans:
        accelerator, processes = self.accelerator, self.accelerator.num_processes
        batches = evaluation_batches(self.features.lengths, self.config.batch_size, accelerator.device)
        share, own = share_of_batches(batches, process=accelerator.process_index, processes=processes)
        loader = batch_loader(
            self.features,
            share,
            input_names=self.input_names,
            pad_multiple=self.pad_multiple,
            device=accelerator.device,
        )
        model.train(mode=False)
        with accelerator.autocast():  # around all batches, so that weights are rounded once and not for each
            spans = find_spans(model, watch(loader), self.config, features=sum(map(len, share)))
        first = spans.at(slice(sum(len(batch) for batch in share[:own])))  # repeats follow
        rows = max(sum(len(batch) for batch in batches[process::processes]) for process in range(processes))
        return _gathered(accelerator, first, rows=rows)

    def _predictions(self, spans: FeatureSpans) -> Predictions:
        ids = self.examples.rows["id"][:]
        check_complete(spans.feature, len(self.features))
        check_numbers(spans, self.features, ids)
        return predict(
            spans,
            self.features,
            ids=ids,
            contexts=self.examples.rows["context"][:],
            n_best=self.config.n_best,
            null_possible=self.null_possible,
            merge=self.config.search == "exact",
        )

    def _scores(self, predictions: Predictions | None) -> Scores | None:
        if predictions is None or not self.examples.has_references:
            return None
        references = [answers["text"] for answers in self.examples.rows["answers"][:]]
        return score(predictions, references, threshold=self.threshold, language=self.config.language)


def score(predictions: Predictions, references: Sequence[Sequence[str]], *, threshold: float, language: str) -> Scores:
    """Score predictions by the official method: of v1.1, or of v2.0 if some example has no reference.

    Those of v2.0 are joined by the threshold they were made with and by the one that gives the best F1.
    """
    texts = dict(zip(predictions.ids, predictions.best_texts, strict=True))
    by_id = dict(zip(predictions.ids, references, strict=True))
    odds = predictions.null_odds
    null_odds = dict(zip(predictions.ids, odds.tolist(), strict=True))
    scores = metrics.score(texts, by_id, null_odds=null_odds, threshold=threshold, language=language)
    answerable = np.array([bool(texts) for texts in references])
    if answerable.all():
        return scores
    f1 = metrics.raw_scores(texts, by_id, language=language).f1
    fitted, fitted_f1 = metrics.best_threshold(f1, odds, answerable)
    return scores | {"no_answer_threshold": threshold, "fitted_threshold": fitted, "fitted_f1": fitted_f1}


def _gathered(accelerator: Accelerator, own: FeatureSpans, *, rows: int) -> FeatureSpans:
    """Bring the spans of all processes together; `rows` is the most that any process has. Collective."""
    if accelerator.num_processes == 1:
        return own
    filling = rows - len(own.feature)
    columns = {
        name: torch.from_numpy(np.pad(values, [(0, filling)] + [(0, 0)] * (values.ndim - 1), constant_values=_FILLER))
        for name, values in vars(own).items()
    }
    gathered = accelerator.gather({name: values.to(accelerator.device) for name, values in columns.items()})
    real = gathered["feature"] != _FILLER
    return FeatureSpans(**{name: values[real].cpu().numpy() for name, values in gathered.items()})
