"""A model over a set of examples, on any number of processes: batches -> spans -> predictions -> scores."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Int
from torch import nn

from qa.config import DecodingConfig, Head, RunConfig
from qa.data.examples import Examples
from qa.decoding.heads import predictions_of
from qa.decoding.kept import Found
from qa.decoding.predictions import Predictions
from qa.decoding.spans import decode
from qa.errors import ConfigError, MemoryLimitError
from qa.evaluation.grading import score_predictions
from qa.evaluation.judging import languages_of, require_best_metric
from qa.evaluation.several import score_several
from qa.features.cache import cached_features
from qa.features.collation import Batch, padding_multiple
from qa.features.joining import PAD_MULTIPLE
from qa.features.loader import batch_loader
from qa.features.order import evaluation_batches, share_of_batches
from qa.features.packing import Packing
from qa.features.unknown import long_questions
from qa.features.windows import Features
from qa.metrics import Scores
from qa.modeling.conditional_head import rank_of
from qa.modeling.reader import Reader
from qa.modeling.settings import DEFAULT_SETTINGS, decoding_of, head_of, null_is_possible
from qa.runtime.collectives import any_process, from_main, gather_on_main, on_main, require_same
from qa.runtime.memory import evaluation_memory_error, free_memory, is_out_of_memory

log = logging.getLogger(__name__)

BatchWrapper = Callable[[Iterable[Batch]], Iterable[Batch]]
_FILLER = -1  # feature index of rows that only bring all processes to the same number for the gather


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """What an evaluation found. Predictions exist on the main process only; scores are the same on all."""

    examples: Examples
    predictions: Predictions | None
    scores: Scores | None
    """The official scores in percent; None for examples without references."""
    null_possible: bool
    """Whether "no answer" was an answer."""
    threshold: float
    """Null odds above which the answer was "no answer"."""
    fitted_threshold: float
    """The threshold with the best F1; `threshold` where nothing could be fitted."""
    seconds: float
    several: bool = False
    """Whether all answers of an example were to be found."""
    windows: Int[np.ndarray, "example"] | None = None
    """Windows of every example; None where they were not counted."""


@dataclass(kw_only=True)
class BatchMemory:
    """What is known of how large the batches of evaluations may be."""

    halves: bool = False
    """Whether batches that do not fit into memory are halved."""
    limit: int | None = None
    """Most features of a batch that memory holds; None: it has not run out yet."""


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
    head: Head = "spans"
    """What the model's logits say."""
    several: bool = False
    """Whether all references of an example are to be found, not one of them."""
    pad_multiple: int = PAD_MULTIPLE
    """Batches are padded to multiples of so many tokens."""
    packing: Packing | None = None
    """How features are packed into rows; None: they are not."""
    memory: BatchMemory = field(default_factory=BatchMemory)
    """How large batches may be."""
    further: Mapping[str, "Evaluator"] = field(default_factory=dict)
    """Those of further sets, by name."""

    @classmethod
    def for_reader(
        cls,
        accelerator: Accelerator,
        reader: Reader,
        examples: Examples,
        config: RunConfig,
        further: Mapping[str, Examples] | None = None,
    ) -> "Evaluator":
        """Build the features, and decide whether "no answer" is possible and from which null odds on. Collective.

        See `null_is_possible`, and `trained_on` for a run that trains. The threshold is the configuration's, or the one
        saved with the reader, or 0. For further sets, "no answer" is possible where it is for the examples.

        Raises:
            ConfigError: a language without rules for scores, a metric to compare by that the data cannot have, or a
                search, a cost of length or a choice that is not of the reader's head.
            LaunchError: processes with different examples.

        """
        languages = languages_of(config)
        sets = {"": examples} | {f"{name}/": one for name, one in (further or {}).items()}
        require_best_metric(config, sets)
        found = {f"fingerprint of the validation data {name}".strip(): one.fingerprint for name, one in sets.items()}
        require_same(accelerator, found)
        saved, threshold = reader.settings or DEFAULT_SETTINGS, config.decoding.no_answer_threshold
        used_as_it_is = reader.settings if config.training.max_steps == 0 else None
        null_possible = null_is_possible(
            used_as_it_is, asked=config.decoding.no_answer, has_impossible=examples.has_impossible
        )
        if config.training.max_steps == 0:
            log.info('"no answer" is %s', "possible" if null_possible else "impossible")
        head, decoding = _searched_head(reader, config), decoding_of(config, saved)
        decoding.require_choice(head, config.data.answers)
        first = cls(
            accelerator=accelerator,
            examples=examples,
            features=cached_features(examples, reader.encoder, config.features),
            input_names=reader.input_names,
            config=decoding,
            null_possible=null_possible,
            threshold=saved.no_answer_threshold if threshold is None else threshold,
            head=head,
            several=config.data.answers == "all",
            pad_multiple=padding_multiple(compiled=config.training.compile),
            packing=Packing.of(config.training),
            memory=BatchMemory(halves=config.training.auto_batch_size),
        )
        others = {
            name: _over(one, cached_features(one, reader.encoder, config.features), languages[name], like=first)
            for name, one in (further or {}).items()
        }
        for name, one in ({"": first} | others).items():
            if (cut := long_questions(one.features, config.features.max_question_length)) is not None:
                log.info("%s: %s", f"validation data {name}".strip(), cut)
        return replace(first, further=others)

    def trained_on(self, examples: Examples) -> "Evaluator":
        """Return the evaluator of a model that is trained on these examples: it may learn "no answer" from them."""
        learned = self.null_possible or examples.has_impossible
        null_possible = null_is_possible(None, asked=self.config.no_answer, has_impossible=learned)
        log.info('"no answer" is %s', "possible" if null_possible else "impossible")
        further = {name: replace(one, null_possible=null_possible) for name, one in self.further.items()}
        return replace(self, null_possible=null_possible, further=further)

    def evaluate(self, model: nn.Module, *, around: Sequence[BatchWrapper] = ()) -> Evaluation:
        """Answer all examples; the scores of further sets join theirs, with the set's name before them. Collective.

        The batches are the same for any number of processes, and so are the results. Every process has the same number
        of forward passes, since wrapped models synchronise in each.

        Args:
            model: as `accelerator` prepared it.
            around: wrappers of the iteration over batches, such as a progress bar.

        Raises:
            NotFiniteError: logits that are not numbers.
            MemoryLimitError: a batch does not fit into memory, and smaller ones do not help or are not allowed.
            IncompleteError: a feature is missing or there twice.

        """
        began = time.perf_counter()
        spans = _found_spans(self, model, around)
        predictions = on_main(self.accelerator, lambda: self._predictions(spans), interrupted=True)
        scores = from_main(self.accelerator, lambda: self._scores(predictions), interrupted=True)
        fitted = scores.get("fitted_threshold", self.threshold) if scores else self.threshold
        for name, evaluator in self.further.items():
            found = evaluator.evaluate(model, around=around).scores or {}
            scores = (scores or {}) | {f"{name}/{score}": value for score, value in found.items()}
        return Evaluation(
            examples=self.examples,
            predictions=predictions,
            scores=scores,
            null_possible=self.null_possible,
            threshold=self.threshold,
            fitted_threshold=fitted,
            seconds=time.perf_counter() - began,
            several=self.several,
            windows=np.bincount(self.features.example, minlength=len(self.examples)),
        )

    @property
    def batches(self) -> list[np.ndarray]:
        """All features in batches that are no larger than memory is known to hold."""
        limits = [limit for limit in (self.config.batch_size, self.memory.limit) if limit is not None]
        device, tokens, mixed = self.accelerator.device.type, self.config.batch_tokens, self.packing is not None
        return evaluation_batches(self.features.lengths, min(limits, default=None), device, tokens=tokens, mixed=mixed)

    def _decoded(self, model: nn.Module, loader: Iterator[Batch], *, features: int) -> Found:
        """Run this process's batches through the model; where memory ends on one process, all raise. Collective.

        One that may halve its batches goes on through the rest without the model, since others may wait for it there.
        """
        spans, failed = None, False
        try:
            spans = decode(self.head, model, loader, self.config, self.features, count=features)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if not self.memory.halves:
                raise evaluation_memory_error(_largest(self.batches)) from error
            failed = True
        for _ in loader:
            pass
        anywhere = self.memory.halves and any_process(self.accelerator, failed)
        if spans is None or anywhere:
            raise evaluation_memory_error(_largest(self.batches))
        return spans

    def find_spans(self, model: nn.Module, around: Sequence[BatchWrapper] = ()) -> Found | None:
        """Decode this process's share of the batches; return the spans of all, on the main process. Collective."""
        accelerator, processes = self.accelerator, self.accelerator.num_processes
        batches = self.batches
        share, own = share_of_batches(batches, process=accelerator.process_index, processes=processes)
        loader: Iterable[Batch] = batch_loader(
            self.features,
            share,
            input_names=self.input_names,
            pad_multiple=self.pad_multiple,
            packing=self.packing,
            device=accelerator.device,
        )
        for wrapper in around:
            loader = wrapper(loader)
        model.train(mode=False)
        with accelerator.autocast():  # around all batches, so that weights are rounded once and not for each
            spans = self._decoded(model, iter(loader), features=sum(map(len, share)))
        first = spans.at(slice(sum(len(batch) for batch in share[:own])))  # repeats follow
        rows = max(sum(len(batch) for batch in batches[process::processes]) for process in range(processes))
        return gather_spans(accelerator, first, rows=rows)

    def _predictions(self, spans: Found | None) -> Predictions:
        assert spans is not None, "the main process has gathered them"
        return predictions_of(
            spans,
            self.features,
            ids=self.examples.rows["id"][:],
            contexts=self.examples.rows["context"][:],
            config=self.config,
            null_possible=self.null_possible,
        )

    def _scores(self, predictions: Predictions | None) -> Scores | None:
        if predictions is None or not self.examples.has_references:
            return None
        references = [answers["text"] for answers in self.examples.rows["answers"][:]]
        scored = score_several if self.several else score_predictions
        return scored(predictions, references, threshold=self.threshold, language=self.config.language)


def _over(examples: Examples, features: Features, language: str, *, like: Evaluator) -> Evaluator:
    return replace(like, examples=examples, features=features, config=replace(like.config, language=language))


def _searched_head(reader: Reader, config: RunConfig) -> Head:
    """Return the model's head.

    Raises:
        ConfigError: the lists of starts and ends are asked for, and it has not one of each for every token.

    """
    search = config.decoding.search
    head: Head = "conditional" if rank_of(reader.model) else head_of(config, reader.settings)
    if head != "spans" and search != "exact":
        raise ConfigError(f"decoding.search is {search!r}, and the reader has the head {head}; wanted exact")
    return head


def _found_spans(evaluator: Evaluator, model: nn.Module, around: Sequence[BatchWrapper]) -> Found | None:
    """Find the spans, with batches halved as often as needed and allowed. Collective."""
    memory = evaluator.memory
    while True:
        try:
            return evaluator.find_spans(model, around)
        except MemoryLimitError as error:
            if not memory.halves or _largest(evaluator.batches) == 1:
                raise
            log.warning("%s; going on with halved batches", error)
            memory.limit = _largest(evaluator.batches) // 2
        free_memory()  # after the error, which knows the frames that hold what did not fit


def _largest(batches: list[np.ndarray]) -> int:
    return max(map(len, batches), default=1)


def gather_spans(accelerator: Accelerator, own: Found, *, rows: int) -> Found | None:
    """Gather the spans of all processes to the main one; None on others. `rows`: most of any process. Collective."""
    if accelerator.num_processes == 1:
        return own
    gathered = gather_on_main(accelerator, _filled(own, rows))
    if gathered is None:
        return None
    real = gathered["feature"] != _FILLER
    return type(own)(**{name: values[real].cpu().numpy() for name, values in gathered.items()})


def _filled(found: Found, rows: int) -> dict[str, torch.Tensor]:
    """Return the columns as tensors of `rows` rows."""
    missing = rows - len(found.feature)
    columns = {name: torch.from_numpy(values) for name, values in vars(found).items()}
    return {
        name: torch.cat([values, values.new_full((missing, *values.shape[1:]), _FILLER)])
        for name, values in columns.items()
    }
