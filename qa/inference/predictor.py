"""Predictor: questions and contexts -> answers; search over passages.

Features, batches, search and predictions are those of evaluation; here is only what turns calls into examples.
"""

import heapq
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack, overload

import numpy as np
import pyarrow as pa
import torch

from qa.decoding.predictions import Predictions
from qa.decoding.spans import FeatureSpans, find_spans
from qa.errors import ExampleError
from qa.features.collation import batch_loader
from qa.features.order import evaluation_batches
from qa.features.windows import Features, features_of_table
from qa.inference.answers import Answer, PassageAnswer, PassageSpan, answers_of, passage_answers, spans_of
from qa.inference.backends import LoadedReader, load_backend
from qa.inference.inputs import Row, chunks, paired
from qa.inference.options import AnswerOptions, CallOptions, answer_options
from qa.modeling.settings import ReaderSettings

_FOUND = 5  # answers of a search, unless told otherwise


class Predictor:
    """Answers questions from contexts of any length with an extractive reader.

    Arguments and results are those of the `question-answering` pipeline that transformers had until 5.2, with these
    differences:

    - `score` is the softmax over the example's n-best answers (20, or what was saved with the model) and "no answer"
      where that is possible. The pipeline multiplied two softmaxes over one window's tokens, which are not comparable
      between windows.
    - The search is exact over all windows, and a span in two windows counts once. The pipeline took the best starts
      and ends of each window by themselves, and could return the same span twice.
    - Whether "no answer" is possible, its threshold, lengths and strides default to what was saved with the model; the
      pipeline never gave "no answer" unless asked.
    - A list of inputs becomes a list of results, also of one. With `top_k` above 1, every result is a list of answers.
    - `max_answer_length` and `max_length` are the pipeline's `max_answer_len` and `max_seq_len`, `no_answer` is its
      `handle_impossible_answer`; a call takes either name. All lengths are in tokens.
    - `align_to_words` is off unless asked for. So a call returns exactly the texts that evaluation writes for the same
      model, settings and examples. On, an answer that ends inside a word (letters, digits and marks between spaces or
      punctuation) grows to the word's border.
    """

    def __init__(self, reader: LoadedReader) -> None:
        """Take a loaded reader; see `from_pretrained`."""
        self.reader = reader
        self.encoder = reader.encoder

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
        return cls(load_backend(os.fspath(source), backend=backend, device=device, dtype=dtype, revision=revision))

    @property
    def settings(self) -> ReaderSettings:
        """How the reader is used unless a call says otherwise."""
        return self.reader.settings

    @property
    def input_names(self) -> Sequence[str]:
        """What the model takes."""
        return self.reader.input_names

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self.reader.device

    @overload
    def __call__(self, inputs: Mapping[str, str], **given: Unpack[CallOptions]) -> Any: ...  # noqa: ANN401
    @overload
    def __call__(
        self, inputs: list[Any] | tuple[Any, ...], **given: Unpack[CallOptions]
    ) -> list[Answer] | list[list[Answer]]: ...
    @overload
    def __call__(
        self, inputs: Iterable[Mapping[str, str]], **given: Unpack[CallOptions]
    ) -> Iterator[Answer] | Iterator[list[Answer]]: ...
    @overload
    def __call__(
        self,
        inputs: None = None,
        *,
        question: str | Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        **given: Unpack[CallOptions],
    ) -> Any: ...  # noqa: ANN401

    def __call__(
        self,
        inputs: Mapping[str, str] | Iterable[Mapping[str, str]] | None = None,
        *,
        question: str | Sequence[str] | None = None,
        context: str | Sequence[str] | None = None,
        **given: Unpack[CallOptions],
    ) -> Any:
        """Answer one question, or many.

        Args:
            inputs: {"question": …, "context": …}, or several. A list or tuple becomes a list, any other iterable an
                iterator that reads at most about a thousand inputs ahead, so that a generator may be endless.
            question: in place of `inputs`: one, or several.
            context: in place of `inputs`: one, or as many as questions. One of either goes with every one of the other.
            given: see `CallOptions`.

        Returns:
            `Answer` dicts: one result per input, in order; the result itself for a single input.

        Raises:
            ExampleError: inputs of wrong type, blank, or of different numbers; the message has the input's index.
            ConfigError: an option out of range.
            NotFiniteError: the model's logits are not numbers.

        """
        options = self.options(**given)
        if inputs is None:
            inputs = paired(question, context)
        elif question is not None or context is not None:
            raise ExampleError("found inputs and question or context; wanted one or the other")
        if isinstance(inputs, Mapping):
            return next(self.stream([inputs], options))
        results = self.stream(inputs, options)
        return list(results) if isinstance(inputs, list | tuple) else results

    def search(self, question: str, contexts: Iterable[str], **given: Unpack[CallOptions]) -> list[PassageAnswer]:
        """Find the best answers to one question over many passages, best first.

        Spans are ranked by their log odds against "not in this window": start plus end logit, less those of the null
        position of the same window. The softmax that readers are trained with leaves the level of a window's logits
        undetermined, so that the sums themselves are not comparable between windows; the null position is in all.
        Probabilities are the softmax over the n-best spans of all passages and, where it is possible, "no answer".
        Passages may come from a generator; about a thousand are held at a time.

        Args:
            question: one.
            contexts: the passages.
            given: see `CallOptions`; `top_k` is 5 unless given.

        Raises:
            ExampleError: a question or passage of wrong type, or blank; the message has the passage's index.
            ConfigError: an option out of range.
            NotFiniteError: the model's logits are not numbers.

        """
        options = self.options(**(CallOptions(top_k=_FOUND) | given))
        rows = ({"question": question, "context": context} for context in contexts)
        kept: list[PassageSpan] = []
        done = 0
        for chunk, predictions in self._predictions(rows, options, against_null=True):
            texts = [row["context"] for row in chunk]
            found = spans_of(predictions, texts, first_passage=done, align_to_words=options.align_to_words)
            kept = heapq.nsmallest(options.decoding.n_best, itertools.chain(kept, found))
            done += len(chunk)
        null_score = -options.threshold if options.null_possible else -np.inf
        return passage_answers(kept, null_score=null_score, temperature=options.temperature, top_k=options.top_k)

    def options(self, **given: Unpack[CallOptions]) -> AnswerOptions:
        """Fill up what a call leaves out with the reader's settings.

        Raises:
            ConfigError: an option out of range.

        """
        special_tokens = self.encoder.template.special_tokens
        return answer_options(given, self.settings, longest=self.reader.longest, special_tokens=special_tokens)

    def predictions(self, rows: Iterable[Row], options: AnswerOptions) -> Iterator[tuple[list[Row], Predictions]]:
        """Answer rows chunk by chunk, as evaluation does, with calibrated probabilities; ids are indices of rows."""
        for chunk, predictions in self._predictions(rows, options, against_null=False):
            yield chunk, predictions.calibrated(temperature=options.temperature, threshold=options.threshold)

    def stream(self, rows: Iterable[Row], options: AnswerOptions) -> Iterator[Answer | list[Answer]]:
        """Answer rows as they come: an answer each, or a list where more than one is asked for."""
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
        self, rows: Iterable[Row], options: AnswerOptions, *, against_null: bool
    ) -> Iterator[tuple[list[Row], Predictions]]:
        done = 0
        for chunk in chunks(rows, options.inputs_at_once):
            ids = [f"input {done + at}" for at in range(len(chunk))]
            columns = {name: [row[name] for row in chunk] for name in ("question", "context")}
            features = features_of_table(pa.table(columns), self.encoder, options.features)
            spans = self._spans(features, options)
            yield (
                chunk,
                Predictions.from_spans(
                    _less_null(spans) if against_null else spans,
                    features,
                    ids=ids,
                    contexts=columns["context"],
                    config=options.decoding,
                    null_possible=options.null_possible and not against_null,
                ),
            )
            done += len(chunk)

    def _spans(self, features: Features, options: AnswerOptions) -> FeatureSpans:
        batches = evaluation_batches(features.lengths, options.decoding.batch_size, self.device)
        loader = batch_loader(features, batches, input_names=self.input_names, device=self.device)
        return find_spans(self.reader.model, loader, options.decoding, features=len(features))


def _less_null(spans: FeatureSpans) -> FeatureSpans:
    """Take every window's null logits off the logits of its spans."""
    start_null, end_null = spans.null_logits[:, :1], spans.null_logits[:, 1:]
    return replace(spans, start_logit=spans.start_logit - start_null, end_logit=spans.end_logit - end_null)
