"""Predictor: questions and contexts -> answers; search over passages.

Features, batches, search and predictions are those of evaluation; here is only what turns calls into examples.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Unpack, overload

from qa.config import Answers
from qa.decoding.kept import FeatureSpans
from qa.decoding.predictions import Predictions
from qa.errors import ConfigError, ModelError
from qa.features.order import evaluation_batches
from qa.features.windows import Features, features_of_texts
from qa.inference.answers import Answer, DocumentAnswer, answers_of
from qa.inference.backends import load_backend
from qa.inference.chunk import Chunk
from qa.inference.evidence import Evidence, EvidenceOptions, evidence_of, evidence_options
from qa.inference.inputs import Row, checked_question, cut_into_chunks, inputs_of
from qa.inference.loaded_reader import LoadedReader
from qa.inference.options import AnswerOptions, CallOptions, answer_options
from qa.inference.passages import SearchOptions, best_passages, chosen_passages, passage_rows, search_options
from qa.inference.remarks import Remarks, remarks_on, report
from qa.inference.several import all_answers_of
from qa.inference.window_scores import window_answers, word_ids
from qa.modeling.device_names import Device, Precision
from qa.modeling.settings import ReaderSettings
from qa.representations import html_table
from qa.runtime.cores import settle_after_fork

_FOUND = 5  # answers of a search, unless told otherwise
_PASS_TOKENS = 512  # of a forward pass on a CPU: no slower than larger ones, and a service can change between requests


class _Shown:
    """How a predictor looks where it is printed."""

    reader: LoadedReader

    def __repr__(self) -> str:
        return f"Predictor({', '.join(f'{name}: {fact}' for name, fact in self.reader.facts().items())})"

    def _repr_html_(self) -> str:
        return html_table((), self.reader.facts().items())


class Predictor(_Shown):
    """Answers questions from contexts of any length with an extractive reader.

    Arguments and results are those of the `question-answering` pipeline that transformers had until 5.2, with these
    differences:

    - `score` is the softmax over the example's n-best answers (20, or what was saved with the model) and "no answer"
      where that is possible, or, after `qa calibrate`, how often answers with such a share are right. The pipeline's
      product of two softmaxes over one window's tokens was not comparable between windows.
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

    Threads may share one. Copies and pickled ones answer alike. A forked process answers on one thread, or is refused
    where its parent used an accelerator.
    """

    def __init__(self, reader: LoadedReader, *, tell: Callable[[Remarks], None] | None = None) -> None:
        """Take a loaded reader; see `from_pretrained`.

        Args:
            reader: what answers.
            tell: takes the remarks on every chunk of a call; doubts are logged with or without it.

        Raises:
            ModelError: no loaded reader.

        """
        if not isinstance(reader, LoadedReader):
            raise ModelError(f"reader is {reader!r:.80}; wanted a loaded one: Predictor.from_pretrained loads a folder")
        self._tell = tell
        self.reader = reader
        self.encoder = reader.encoder

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        device: Device = None,
        dtype: Precision = None,
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
            ModelError: no name, or it does not load, has no span head, or does not fit its tokenizer.
            ConfigError: an unknown device, precision or backend.
            MissingPackageError: PyTorch or onnxruntime is not installed.

        """
        if not isinstance(source, str | os.PathLike):
            raise ModelError(f"source is {source!r:.80}; wanted a folder or hub id")
        return cls(load_backend(os.fspath(source), backend=backend, device=device, dtype=dtype, revision=revision))

    def telling(self, tell: Callable[[Remarks], None]) -> "Predictor":
        """Return the same predictor, which also hands its remarks on inputs to a function."""
        return Predictor(self.reader, tell=tell)

    @property
    def settings(self) -> ReaderSettings:
        """How the reader is used unless a call says otherwise."""
        return self.reader.settings

    @property
    def input_names(self) -> Sequence[str]:
        """What the model takes."""
        return self.reader.input_names

    @property
    def device(self) -> Any:  # noqa: ANN401  # PyTorch's, or what is named like it
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
        self, inputs: str | Sequence[str], context: str | Sequence[str], **given: Unpack[CallOptions]
    ) -> Any: ...  # noqa: ANN401
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
        inputs: object = None,
        context: object = None,
        *,
        question: object = None,
        **given: Unpack[CallOptions],
    ) -> Any:
        """Answer one question, or many.

        Args:
            inputs: {"question": …, "context": …}, or several. A list or tuple becomes a list, any other iterable an
                iterator that reads at most about a thousand inputs ahead, so that a generator may be endless; so does
                what has a length and places. Or one question or several, with `context` after them.
            context: in place of `inputs`: one, or as many as questions. One of either goes with every one of the other.
            question: in place of `inputs`: one, or several.
            given: see `CallOptions`.

        Returns:
            `Answer` dicts: one result per input, in order; the result itself for a single input. Of a reader that was
            trained to find all answers, and with `answers="all"`, each result is a list of them, which may be empty.

        Raises:
            ExampleError: inputs of wrong type, blank, or of different numbers; the message has the input's index.
            ConfigError: an option out of range.
            NotFiniteError: the model's logits are not numbers.

        """
        options = self.options(**(CallOptions(answers=self._wanted(given)) | given))
        rows: Any = inputs_of(inputs, question, context)
        if isinstance(rows, Mapping):
            return next(self.stream([rows], options))
        results = self.stream(rows, options)
        return list(results) if isinstance(rows, list | tuple) else results

    def search(
        self, question: object, contexts: Iterable[object], **given: Unpack[SearchOptions]
    ) -> list[DocumentAnswer]:
        """Find the best answers to one question over many passages, best first.

        Spans are ranked by their log odds against "not in this window": start plus end logit, less those of the null
        position of the same window. The softmax that readers are trained with leaves the level of a window's logits
        undetermined, so that the sums themselves are not comparable between windows; the null position is in all.
        Probabilities are the softmax over the n-best spans of all passages and, where it is possible, "no answer".
        Passages may come from a generator; about a thousand are held at a time.

        By itself a reader is a poor judge of which of many passages is about the question. `lexical_weight` lets the
        words that they share count as well, and `prefilter` leaves only the best by these to be read; both need the
        bm25s package and hold all passages.

        Args:
            question: one.
            contexts: the passages: texts, or documents as dicts or objects with `text` (`content`, `page_content`),
                `meta` (`metadata`) and `id`, as haystack, LangChain and LlamaIndex have them.
            given: see `SearchOptions` and `CallOptions`; `top_k` is 5 unless given.

        Returns:
            Answers; those from documents also have their `id`, `meta` and `page`.

        Raises:
            ExampleError: a question or passage of wrong type, or blank; the message has the passage's index.
            ConfigError: an option out of range.
            NotFiniteError: the model's logits are not numbers.

        """
        asked = checked_question(question)
        by_words, prefilter, said = search_options(given, self.settings)
        options = self._ranking(said if said.keys() & {"top_k", "topk"} else said | CallOptions(top_k=_FOUND))
        passages = chosen_passages(asked, contexts, by_words=by_words, prefilter=prefilter)
        return best_passages(self.chunks(passage_rows(asked, passages.items), options), options, passages)

    def evidence(
        self, question: object, documents: Iterable[object], **given: Unpack[EvidenceOptions]
    ) -> list[list[Evidence]]:
        """Find everything in documents that answers a question: disjoint spans, in the order of the text.

        A span's score is the logistic function of its log odds against "not in this window", less the reader's
        threshold, by its temperature: 0.5 is where the reader, as `qa calibrate` fitted it, changes to "no answer".

        Args:
            question: one.
            documents: texts, or documents with `text` and `meta`; see `search`.
            given: see `EvidenceOptions` and `CallOptions`.

        Returns:
            A list for each document; `text` is the document's text from `start` to `end`.

        Raises:
            ExampleError: a question or document of wrong type, or blank; the message has the document's index.
            ConfigError: an option out of range.
            NotFiniteError: the model's logits are not numbers.

        """
        asked = checked_question(question)
        shape, said = evidence_options(given)
        options = self._ranking(said)
        return list(evidence_of(self.chunks(passage_rows(asked, documents), options), options, shape))

    def _wanted(self, given: CallOptions) -> Answers:
        """Return which answers a call wants that does not say it: the reader's, but for scores of windows."""
        kind: object = given.get("score")  # not checked yet
        return "any" if isinstance(kind, str) and kind == "window" else self.settings.answers

    def _ranking(self, given: CallOptions) -> AnswerOptions:
        options = self.options(**given)
        if options.score == "window":
            raise ConfigError("score is 'window'; wanted 'probability': shares of one window rank no passages")
        return options

    def options(self, **given: Unpack[CallOptions]) -> AnswerOptions:
        """Fill up what a call leaves out with the reader's settings.

        Raises:
            ConfigError: an option out of range.

        """
        special_tokens = self.encoder.template.special_tokens
        return answer_options(given, self.settings, longest=self.reader.longest, special_tokens=special_tokens)

    def predictions(self, rows: Iterable[Row], options: AnswerOptions) -> Iterator[tuple[list[Row], Predictions]]:
        """Answer rows chunk by chunk, as evaluation does, with calibrated probabilities; ids are indices of rows."""
        for chunk in self.chunks(rows, options):
            yield chunk.rows, chunk.calibrated(options)

    def stream(self, rows: Iterable[Row], options: AnswerOptions) -> Iterator[Answer | list[Answer]]:
        """Answer rows as they come: an answer each, or a list where more than one is asked for."""
        found = self.answers(rows, options)
        single = options.top_k == 1 and options.answers == "any"
        yield from (answers[0] for answers in found) if single else found

    def answers(self, rows: Iterable[Row], options: AnswerOptions) -> Iterator[list[Answer]]:
        """Answer rows as they come: at most as many answers as asked for and, unless all are wanted, at least one."""
        for chunk in self.chunks(rows, options):
            yield from self.answers_of_chunk(chunk, options)

    def answers_of_chunk(self, chunk: Chunk, options: AnswerOptions) -> Iterator[list[Answer]]:
        """Yield the answers of rows that went through the model."""
        if options.score == "window":
            texts, features = chunk.contexts, chunk.features
            assert isinstance(chunk.spans, FeatureSpans), "options refuse such scores of another head"
            words = word_ids(texts, features, self.encoder.backend) if options.align_to_words else None
            return window_answers(chunk.spans, features, ids=chunk.ids, contexts=texts, words=words, options=options)
        listed = all_answers_of if options.answers == "all" else answers_of
        return listed(chunk.calibrated(options), chunk.contexts, options)

    def features(self, rows: Sequence[Row], options: AnswerOptions) -> Features:
        """Cut rows into windows."""
        settle_after_fork(self.device.type)
        questions, contexts = ([row[name] for row in rows] for name in ("question", "context"))
        return features_of_texts(questions, contexts, self.encoder, options.features)

    def chunks(self, rows: Iterable[Row], options: AnswerOptions) -> Iterator[Chunk]:
        """Read rows, as many at a time as go through the model together."""
        done = 0
        for chunk in cut_into_chunks(rows, options.inputs_at_once, takes_blank=options.takes_blank):
            ids = [f"input {done + at}" for at in range(len(chunk))]
            features = self.features(chunk, options)
            report(remarks_on(chunk, ids, features, self.encoder, options), self._tell, first=not done)
            batches = evaluation_batches(
                features.lengths, options.decoding.batch_size, self.device.type, cpu_tokens=_PASS_TOKENS
            )
            spans = self.reader.find_spans(features, batches, options.decoding, window_shares=options.score == "window")
            yield Chunk(rows=chunk, ids=ids, features=features, spans=spans)
            done += len(chunk)


def predictor_of(reader: object) -> Predictor:
    """Return a predictor as it is, and that of a pipeline.

    Raises:
        ModelError: anything else.

    """
    own = reader if isinstance(reader, Predictor) else getattr(reader, "predictor", None)
    if not isinstance(own, Predictor):
        raise ModelError(f"reader is {reader!r:.80}; wanted a Predictor, or what qa.pipeline returns")
    return own
