"""Questions and contexts → answers with a trained reader, in the form that the removed pipeline of transformers had.

Features, batches, search and answers are those of evaluation; here is only what turns calls into examples. Nothing here
needs accelerate.
"""

import heapq
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from qa.answers import FeatureSpans, Predictions, predict
from qa.batching import batch_loader, evaluation_batches
from qa.errors import ExampleError, ModelError
from qa.features import Encoder, Features, features_of_table
from qa.inference import check_complete, check_numbers, find_spans
from qa.inputs import Row, chunks, paired
from qa.model import DEFAULT_SETTINGS, Reader, ReaderSettings, find_device, find_precision, load_reader
from qa.onnx_model import OnnxReader, check_onnx_target, known_backend, load_onnx_reader
from qa.reading import PassageArguments, ReadingArguments, ReadingOptions, reading_options, with_pipeline_names
from qa.results import Answer, PassageAnswer, PassageSpan, answers_of, passage_answers, spans_of


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictor:
    """Answers questions from contexts of any length with an extractive reader.

    A call takes what the `question-answering` pipeline took that transformers had until 5.2, and gives what it gave.
    It differs in this:

    - `score` is the softmax over the example's n-best answers (20, or what was saved with the model) and "no answer"
      where that is possible. The pipeline multiplied two softmaxes over one window's tokens, which are not comparable
      between windows.
    - The search is exact over all windows, and a span in two windows counts once. The pipeline took the best starts
      and ends of each window by themselves, and could give the same span twice.
    - Whether "no answer" is possible, its threshold, lengths and strides default to what was saved with the model; the
      pipeline never gave "no answer" unless asked.
    - A list gives a list, also of one input. With `top_k` above 1, every result is a list of answers.
    - `max_answer_length` and `max_length` are the pipeline's `max_answer_len` and `max_seq_len`, `no_answer` is its
      `handle_impossible_answer`; a call takes either name. All lengths are in tokens.
    - `align_to_words` is off unless asked for. So a call gives exactly the texts that evaluation writes for the same
      model, settings and examples. On, an answer that ends inside a word (letters, digits and marks between spaces or
      punctuation) grows to the word's border.
    """

    model: nn.Module
    """Takes `input_names` as tensors on `device`; what it gives has `start_logits` and `end_logits`."""
    encoder: Encoder
    input_names: Sequence[str]
    settings: ReaderSettings
    device: torch.device
    longest: int
    """Longest window that the model takes, in tokens."""

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        device: str | int | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        revision: str | None = None,
        backend: str = "torch",
    ) -> "Predictor":
        """Load a reader from a folder, such as one that a run saved, or from the hub.

        Args:
            source: folder or hub id.
            device: where it runs; None: the accelerator if there is one, else the CPU.
            dtype: precision of weights and activations, such as "bfloat16"; None: float32. Logits become float32.
            revision: branch, tag or commit of a hub model.
            backend: what runs the model: "torch", or "onnx" or "onnx_int8" for a file that `qa export` made.

        Raises:
            ModelError: it does not load, has no span head, or does not fit its tokenizer.
            ConfigError: an unknown device, precision or backend.

        """
        if known_backend(backend) != "torch":
            check_onnx_target(device, dtype)
            return cls.of_onnx(load_onnx_reader(os.fspath(source), backend, revision=revision))
        target, precision = find_device(device), find_precision(dtype)
        reader = load_reader(os.fspath(source), revision=revision)
        if reader.has_new_head:
            raise ModelError(f"model {os.fspath(source)!r} has no span head: its answers would be random; fine-tune it")
        return cls.of(reader, device=target, dtype=precision)

    @classmethod
    def of(cls, reader: Reader, *, device: torch.device, dtype: torch.dtype = torch.float32) -> "Predictor":
        """Make a predictor of a loaded reader, whose model is moved to `device` and switched to inference."""
        settings = reader.settings or DEFAULT_SETTINGS
        positions = getattr(reader.model.config, "max_position_embeddings", None)
        model: nn.Module = reader.model
        return cls(
            model=model.to(device=device, dtype=dtype).train(mode=False),
            encoder=Encoder.of(reader.tokenizer),
            input_names=reader.input_names,
            settings=settings,
            device=device,
            longest=_longest(settings, reader.tokenizer, positions),
        )

    @classmethod
    def of_onnx(cls, reader: OnnxReader) -> "Predictor":
        """Make a predictor of an ONNX file."""
        return cls(
            model=reader.model,
            encoder=Encoder.of(reader.tokenizer),
            input_names=reader.model.input_names,
            settings=reader.settings,
            device=torch.device("cpu"),
            longest=_longest(reader.settings, reader.tokenizer, reader.positions),
        )

    def __call__(
        self,
        inputs: Mapping[str, str] | Iterable[Mapping[str, str]] | None = None,
        *,
        question: str | Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        top_k: int = 1,
        max_answer_length: int | None = None,
        max_length: int | None = None,
        doc_stride: int | None = None,
        batch_size: int | None = None,
        no_answer: bool | float | None = None,
        align_to_words: bool = False,
        **pipeline_names: Any,  # noqa: ANN401  # checked by name
    ) -> Any:  # noqa: ANN401  # an answer, a list or an iterator, by the form of the input
        """Answer one question, or many.

        Args:
            inputs: {"question": …, "context": …}, or several: a list or tuple gives a list; any other iterable gives an
                iterator that reads at most about a thousand inputs ahead, so that a generator may be endless.
            question: in place of `inputs`: one, or several.
            context: in place of `inputs`: one, or as many as questions. One of either goes with every one of the other.
            top_k: answers per input: of 1 a result is one answer, of more a list of at most so many, best first.
            max_answer_length: longest answer, in tokens.
            max_length: longest window, in tokens; a question may take up to half of it.
            doc_stride: tokens that neighbouring windows share.
            batch_size: most windows per forward pass; on a CPU fewer are together if they are long.
            no_answer: whether "no answer" is possible; a number is the log odds above which it is the answer, True
                takes the model's own, or 0.
            align_to_words: let answers end at the borders of words only.
            pipeline_names: `max_answer_len`, `max_seq_len` and `handle_impossible_answer`, as the pipeline had them.

        Returns:
            `Answer` dicts: one result an input, in order; the result itself for a single input.

        Raises:
            ExampleError: inputs of wrong type, blank, or of different numbers; the message has the input's index.
            ConfigError: an option out of range.
            NotFiniteError: the model gives logits that are not numbers.

        """
        given = ReadingArguments(
            top_k=top_k,
            max_answer_length=max_answer_length,
            max_length=max_length,
            doc_stride=doc_stride,
            batch_size=batch_size,
            no_answer=no_answer,
            align_to_words=align_to_words,
        )
        options = self.options(**with_pipeline_names(given, pipeline_names))
        if inputs is None:
            inputs = paired(question, context)
        elif question is not None or context is not None:
            raise ExampleError("found inputs and question or context; wanted one or the other")
        if isinstance(inputs, Mapping):
            return next(self._results([inputs], options))
        results = self._results(inputs, options)
        return list(results) if isinstance(inputs, list | tuple) else results

    def search(
        self,
        question: str,
        contexts: Iterable[str],
        *,
        top_k: int = 5,
        **reading: Unpack[PassageArguments],
    ) -> list[PassageAnswer]:
        """Find the best answers to one question over many passages, best first; all options of a call may be given.

        Spans are ranked by their log odds against "not in this window": start plus end logit, less those of the null
        position of the same window. The softmax that readers are trained with leaves the level of a window's logits
        undetermined, so that the sums themselves are not comparable between windows; the null position is in all.
        Probabilities are the softmax over the n-best spans of all passages and, where it is possible, "no answer".
        Passages may come from a generator; about a thousand are held at a time.

        Raises:
            ExampleError: a question or passage of wrong type, or blank; the message has the passage's index.
            ConfigError: an option out of range.
            NotFiniteError: the model gives logits that are not numbers.

        """
        options = self.options(top_k=top_k, **reading)
        rows = ({"question": question, "context": context} for context in contexts)
        kept: list[PassageSpan] = []
        done = 0
        for chunk, predictions in self._predictions(rows, options, against_null=True):
            texts = [row["context"] for row in chunk]
            found = spans_of(predictions, texts, first_passage=done, align_to_words=options.align_to_words)
            kept = heapq.nsmallest(options.decoding.n_best, itertools.chain(kept, found))
            done += len(chunk)
        null_score = -options.threshold if options.null_possible else -np.inf
        return passage_answers(kept, null_score=null_score, temperature=options.temperature, top_k=top_k)

    def options(self, **given: Unpack[ReadingArguments]) -> ReadingOptions:
        """Fill up what is not given with the model's settings; the arguments are those of a call.

        Raises:
            ConfigError: an option out of range.

        """
        special_tokens = self.encoder.layout.special_tokens
        return reading_options(self.settings, longest=self.longest, special_tokens=special_tokens, **given)

    def predictions(self, rows: Iterable[Row], options: ReadingOptions) -> Iterator[tuple[list[Row], Predictions]]:
        """Answer rows chunk by chunk, as evaluation does, with calibrated probabilities; ids are indices of rows."""
        for chunk, predictions in self._predictions(rows, options, against_null=False):
            yield chunk, predictions.calibrated(temperature=options.temperature, threshold=options.threshold)

    def _results(self, rows: Iterable[Row], options: ReadingOptions) -> Iterator[Answer | list[Answer]]:
        for chunk, predictions in self.predictions(rows, options):
            found = answers_of(
                predictions,
                [row["context"] for row in chunk],
                threshold=options.threshold,
                top_k=options.top_k,
                align_to_words=options.align_to_words,
            )
            yield from (answers[0] for answers in found) if options.top_k == 1 else found

    def _predictions(
        self, rows: Iterable[Row], options: ReadingOptions, *, against_null: bool
    ) -> Iterator[tuple[list[Row], Predictions]]:
        done = 0
        for chunk in chunks(rows, options.inputs_at_once):
            ids = [f"input {done + at}" for at in range(len(chunk))]
            columns = {name: [row[name] for row in chunk] for name in ("question", "context")}
            features = features_of_table(pa.table(columns), self.encoder, options.features)
            spans = self._spans(features, ids, options)
            yield (
                chunk,
                predict(
                    _less_null(spans) if against_null else spans,
                    features,
                    ids=ids,
                    contexts=columns["context"],
                    n_best=options.decoding.n_best,
                    null_possible=options.null_possible and not against_null,
                    merge=options.decoding.search == "exact",
                ),
            )
            done += len(chunk)

    def _spans(self, features: Features, ids: Sequence[str], options: ReadingOptions) -> FeatureSpans:
        batches = evaluation_batches(features.lengths, options.decoding.batch_size, self.device)
        loader = batch_loader(features, batches, input_names=self.input_names, device=self.device)
        spans = find_spans(self.model, loader, options.decoding, features=len(features))
        check_complete(spans.feature, len(features))
        check_numbers(spans, features, ids)
        return spans


def _longest(settings: ReaderSettings, tokenizer: PreTrainedTokenizerBase, positions: int | None) -> int:
    """Return the longest window, in tokens, that model and tokenizer take."""
    most = tokenizer.model_max_length
    return max(settings.max_length, min(positions or most, most))


def _less_null(spans: FeatureSpans) -> FeatureSpans:
    """Take every window's null logits off the logits of its spans."""
    start_null, end_null = spans.null_logits[:, :1], spans.null_logits[:, 1:]
    return replace(spans, start_logit=spans.start_logit - start_null, end_logit=spans.end_logit - end_null)
