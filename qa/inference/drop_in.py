"""The class that transformers removed in 5.3, for code that was written for it."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers.pipelines.base import ChunkPipeline

from qa.decoding.spans import decode
from qa.errors import ConfigError
from qa.features.collation import collate
from qa.inference.answers import Answer
from qa.inference.call_forms import SquadExample, calls_rows
from qa.inference.chunk import Chunk
from qa.inference.inputs import Row, paired
from qa.inference.onnx import SpanLogits
from qa.inference.options import AnswerOptions, CallOptions, checked, own_name
from qa.inference.predictor import Predictor
from qa.inference.torch_reader import loaded_objects
from qa.modeling.device_names import Device, Precision
from qa.modeling.devices import find_device, known_devices

TASK = "question-answering"
_LONGEST_WINDOW, _LARGEST_STRIDE, _LONGEST_ANSWER = 384, 128, 15  # tokens, where a call does not say
_WITHOUT_EFFECT = {"padding", "truncation", "num_workers", "return_tensors", "use_cache"}
"""Arguments that a call may have and that change no answer: batches are padded, and windows cut, as they need be."""
_OF_THE_BASE = {"torch_dtype", "args_parser", "binary_output", "num_workers", "feature_extractor", "image_processor"}
_KEYS = ("score", "start", "end", "answer")
_LOG = logging.getLogger(__name__)
_Base: Any = ChunkPipeline  # whose annotations are those of its defaults and not of what is put there


class QuestionAnsweringPipeline(_Base):  # type: ignore[misc]  # see there
    """Answers as transformers' pipeline of this name did until 5.2, also call by call and attribute by attribute.

    Defaults, texts and scores are the removed pipeline's. With `score="probability"` scores and ranking are those of
    `Predictor`. What differs:

    - A question longer than the window leaves room for is cut and logged; there it was an error, and a stride too
      large for what a long question leaves was one too.
    - Weights are float32 unless `dtype` says otherwise; there a checkpoint's own precision.
    - Offsets cover the text: an accent, vowel sign or joiner that a tokenizer drops is part of the answer, and no
      answer ends inside a sign.
    - `[SEP]` and other special tokens that stand in a text are text.
    - Token types go in wherever the model was trained with them, also where the tokenizer does not list them.
    - "No answer" of models whose CLS is not first (XLNet) is read where they say it, not at the first token; the CLS
      token itself is never an answer, with a score of 0 after all others.
    - Of candidates with the same score any may be first.
    - A batch's answers do not depend on `batch_size`; `num_workers`, `padding` and `truncation` change nothing.
    - There are no `get_indices` and `span_to_answer`: `postprocess` finds the characters of answers itself.
    - Errors are `qa.errors`'; arguments that the removed pipeline ignored are ignored with a warning.
    """

    tokenizer: Any
    default_input_names = "question,context"
    handle_impossible_answer = False
    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True

    def __init__(  # not the base's, which moves models by number and asks for what wrapped ones lack
        self,
        model: Any,  # noqa: ANN401  # a model, also one that is compiled, quantised or wrapped
        tokenizer: Any,  # noqa: ANN401  # the library has no types
        task: str = TASK,
        *,
        device: Device = None,
        dtype: Precision = None,
        framework: str | None = "pt",
        modelcard: object = None,
        **given: Any,  # noqa: ANN401  # options of all calls, and what the base took
    ) -> None:
        """Take a loaded model and its tokenizer.

        Args:
            model: moved to `device` and switched to inference.
            tokenizer: the model's.
            task: its name.
            device: name, or number of an accelerator, which falls back to the CPU with a warning; −1 is the CPU; None:
                the accelerator if there is one.
            dtype: precision; None or "auto": the model's.
            framework: "pt"; there is no other.
            modelcard: kept.
            given: options of all calls; see `CallOptions`.

        Raises:
            ModelError: a model without a span head, or that does not fit the tokenizer.
            ConfigError: an option, device or precision that does not exist.

        """
        if framework not in {None, "pt"}:
            raise ConfigError(f"framework is {framework!r}; wanted 'pt'")
        self.task, self.framework, self.model, self.tokenizer = task, framework, model, tokenizer
        self.feature_extractor = self.image_processor = self.video_processor = self.processor = None
        self.modelcard, self.binary_output, self.call_count = modelcard, False, 0
        self._batch_size = self._num_workers = None  # the base's; ours is an option
        self._given = _options_of({name: given[name] for name in given if name not in _OF_THE_BASE})
        precision = None if dtype == "auto" else dtype
        place = _device(device, model)
        self._predictor = Predictor(loaded_objects(model, tokenizer, device=place, dtype=precision))
        self._made_of = self._parts()
        self.device = self._predictor.device
        self._options({})  # what is wrong with the options, before the first call

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.model).__name__} on {self.device})"

    def __call__(self, *args: Any, **given: Any) -> Any:  # noqa: ANN401  # as many forms as there were
        """Answer one question, or many.

        Args:
            args: a dict or sample, a list of them, several of them, a question and a context, or a generator.
            given: `question` and `context`, or inputs as `data` or `X`; and options, see `CallOptions`.

        Returns:
            A dict with score, start, end and answer, or a list of these where more than one is asked for and found;
            a list of such results for several inputs; an iterator for a generator or a torch data set.

        Raises:
            ExampleError: inputs of wrong type or of different numbers, or empty texts.
            ConfigError: an option out of range.
            NotFiniteError: the model's logits are not numbers.

        """
        rows = calls_rows(args, given)
        options = self._options(given)
        self.call_count += 1
        results = map(_result, self.predictor.answers(rows, options))
        if isinstance(rows, Iterator):
            return results
        found = list(results)
        return found[0] if len(found) == 1 else found

    @property
    def predictor(self) -> Predictor:
        """The predictor of the model and tokenizer that this has now: both may be replaced, and the model moved."""
        parts = self._parts()
        if parts != self._made_of:
            self._predictor, self._made_of = Predictor(loaded_objects(self.model, self.tokenizer)), parts
        return self._predictor

    def _parts(self) -> tuple[object, ...]:
        known = self.tokenizer
        device = getattr(self.model, "device", None)
        return id(self.model), id(known), known.padding_side, known.model_max_length, device

    def _options(self, given: dict[str, Any]) -> AnswerOptions:
        """Fill up what a call, and the constructor, leave out with the removed pipeline's defaults."""
        said = self._given | _options_of(given)
        longest = min(self.tokenizer.model_max_length, self.predictor.reader.longest, _LONGEST_WINDOW)
        defaults = CallOptions(
            score="window",
            max_length=longest,
            doc_stride=min(said.get("max_length", longest) // 2, _LARGEST_STRIDE),
            max_answer_length=_LONGEST_ANSWER,
            align_to_words=True,
            no_answer=False,
        )
        said = defaults | said
        stride, window = cast("tuple[int, int]", (said["doc_stride"], said["max_length"]))
        if stride > window:
            raise ConfigError(f"doc_stride is {stride}, and max_seq_len {window}; wanted a stride of at most that")
        if said["score"] == "window" and said["no_answer"] is True:
            said["no_answer"] = 0.0  # nothing was fitted to such scores
        return replace(self.predictor.options(**cast("CallOptions", said)), takes_blank=True)

    # --- the steps of a call, one by one ---

    @staticmethod
    def create_sample(question: str | list[str], context: str | list[str]) -> SquadExample | list[SquadExample]:
        """Join a question and its context, or several; a single one of either goes with all of the other.

        Raises:
            ExampleError: two lists of different lengths.

        """
        rows = paired(question, context)
        if isinstance(rows, list):
            return [SquadExample(row["question"], row["context"]) for row in rows]
        return SquadExample(rows["question"], rows["context"])

    def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:  # noqa: ANN401
        """Deal arguments to the three steps."""
        first = ("padding", "doc_stride", "max_question_len", "max_seq_len")
        return (
            {name: given[name] for name in first if given.get(name) is not None},
            {},
            {name: value for name, value in given.items() if name not in first and value is not None},
        )

    def preprocess(self, example: object, **given: Any) -> Any:  # noqa: ANN401  # an iterator, where the base has a dict
        """Yield the windows of one example, each as the inputs of the model and what `postprocess` must know."""
        rows = cast("list[Row]", calls_rows((example,), {}))
        options = self._options(given)
        features = self.predictor.features(rows, options)
        for at in range(len(features)):
            batch = collate(features, np.array([at]), input_names=self.predictor.input_names, pad_multiple=1)
            allowed = batch.in_context.scatter(1, batch.null_position.unsqueeze(1), value=True)
            sample = SquadExample(rows[0]["question"], rows[0]["context"])
            yield {
                "example": sample,
                "is_last": at + 1 == len(features),
                "p_mask": ~allowed,
                **batch.inputs,
                "batch": batch,
                "features": features,
            }

    def _forward(self, input_tensors: dict[str, Any], **_: Any) -> Any:  # noqa: ANN401  # a dict, as it was
        output = self.model(**{name: input_tensors[name] for name in self.predictor.input_names})
        return input_tensors | {"start": output.start_logits, "end": output.end_logits}

    def postprocess(self, model_outputs: Iterable[Mapping[str, Any]], **given: Any) -> Any:  # noqa: ANN401
        """Turn the logits of all windows of one example into its answers."""
        outputs, options = list(model_outputs), self._options(given)
        sample, features = outputs[0]["example"], outputs[0]["features"]
        spans = decode(
            self.predictor.settings.head,
            _Replayed(outputs),
            [output["batch"] for output in outputs],
            options.decoding,
            features,
            count=len(features),
            window_shares=options.score == "window",
        )
        row = {"question": sample.question_text, "context": sample.context_text}
        chunk = Chunk(rows=[row], ids=["input 0"], features=features, spans=spans)
        return _result(next(self.predictor.answers_of_chunk(chunk, options)))


def _device(device: Device, model: object) -> torch.device | None:
    """Return where a model is moved to; None: it stays, since it lies on several devices or cannot be moved."""
    if device is None and (getattr(model, "hf_device_map", None) or getattr(model, "is_quantized", False)):
        return None
    if isinstance(device, int | np.integer) and not isinstance(device, bool):
        if device < 0:
            return torch.device("cpu")
        if len(known_devices()) == 1:
            _LOG.warning("device is %d, and this machine has no accelerator: the CPU is taken", device)
            return torch.device("cpu")
    return find_device(device)


class _Replayed(nn.Module):
    """A model whose outputs are there already, one for each batch."""

    def __init__(self, outputs: Iterable[Mapping[str, Any]]) -> None:
        super().__init__()
        self._outputs = iter(outputs)

    def forward(self, **_: torch.Tensor) -> SpanLogits:
        output = next(self._outputs)
        return SpanLogits(output["start"].cpu(), output["end"].cpu())


def _options_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by our names, without what has no effect; warn of what the removed pipeline ignored."""
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name in CallOptions.__annotations__:
            if value is not None:
                options[own_name(name)] = checked(name, value)
        elif name not in _WITHOUT_EFFECT:
            _LOG.warning("the argument %s means nothing to this pipeline and is ignored", name)
    return options


def _result(answers: list[Answer]) -> dict[str, Any] | list[dict[str, Any]]:
    """Return answers as the removed pipeline did: a single one is not in a list."""
    found = [{name: answer[name] for name in _KEYS} for answer in answers]  # type: ignore[literal-required]  # four
    return found[0] if len(found) == 1 else found
