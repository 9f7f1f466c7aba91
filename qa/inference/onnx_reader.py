"""A reader that onnxruntime runs. Without PyTorch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qa.config import Backend, DecodingConfig
from qa.decoding.array_search import (
    best_conditional_spans,
    best_spans,
    conditional_ends,
    hf_parity_spans,
    log_share,
    null_logits,
)
from qa.decoding.heads import longest_context
from qa.decoding.kept import NO_SPAN, FeatureSpans, Found, room_for
from qa.decoding.tokens import keep_tokens
from qa.errors import ConfigError, MissingPackageError
from qa.features.joining import Rows, by_token, join
from qa.features.windows import Encoder, Features
from qa.inference.loaded_reader import LoadedReader, longest_for
from qa.inference.onnx import OnnxModel, SpanLogits, find_exported_layout, load_onnx_model
from qa.modeling.device_names import Device, Precision, names_cpu, precision_name
from qa.modeling.layout_file import Layout
from qa.modeling.settings import default_settings, find_settings
from qa.modeling.sources import load_tokenizer

_PAD_MULTIPLE = 1  # a processor's products gain nothing by padding, and a window by itself needs no mask
_AT_ONCE = 256  # batches of a call whose inputs and outputs are in memory


@dataclass(frozen=True)
class Cpu:
    """The processor, named as PyTorch names devices."""

    type: str = "cpu"
    index: int | None = None

    def __str__(self) -> str:
        return self.type


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OnnxReader(LoadedReader):
    """A reader whose model takes and returns arrays."""

    alone: bool
    """Whether each window is run by itself: activations in 8 bits have one scale for all that is in a pass."""

    def size(self) -> str:
        """Say where the parameters are."""
        return "in a file"

    def find_spans(
        self,
        features: Features,
        batches: Sequence[np.ndarray],
        config: DecodingConfig,
        *,
        window_shares: bool,
    ) -> Found:
        """Run features through the model and keep of each the best spans; see `qa.decoding.spans`."""
        outputs = self._outputs(features, batches)
        if self.settings.head == "tokens":
            return keep_tokens(outputs, features=len(features), width=longest_context(features))
        spans = room_for(len(features), config.n_best)
        filled = 0
        for joined, output in outputs:
            logits = _logits(output, joined, config, window_shares=window_shares)
            rows = slice(filled, filled + len(joined.feature))
            for name, column in vars(_decoded(logits, joined, config)).items():
                getattr(spans, name)[rows] = column
            filled = rows.stop
        return spans.at(slice(filled))

    def _outputs(self, features: Features, batches: Sequence[np.ndarray]) -> Iterator[tuple[Rows, SpanLogits]]:
        """Run batches side by side; those of a service, whose model takes one of a request at a time, in turn."""
        if self.alone:
            batches = [batch[at : at + 1] for batch in batches for at in range(len(batch))]
        at_once = _AT_ONCE if isinstance(self.model, OnnxModel) else 1
        for begin in range(0, len(batches), at_once):
            rows = [
                join(features, indices, input_names=self.input_names, pad_multiple=_PAD_MULTIPLE)
                for indices in batches[begin : begin + at_once]
            ]
            yield from zip(rows, self.run([one.inputs for one in rows]), strict=True)

    def run(self, passes: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Run several batches side by side: on a CPU nothing is gained by joining them."""
        return (
            self.model.run_each(passes) if isinstance(self.model, OnnxModel) else [self.model(**one) for one in passes]
        )


def load_onnx(backend: Backend, source: str, device: Device, dtype: Precision, revision: str | None) -> OnnxReader:
    """Load a file that `qa export` made, or one of another program, from a model's folder or the hub.

    Raises:
        ModelError: it does not load, or does not fit its tokenizer.
        ConfigError: another device or precision than there is.
        MissingPackageError: onnxruntime, or what a file of another program needs to be asked how it wants texts.

    """
    if device is not None and not names_cpu(device):
        raise ConfigError(f"device is {device!r}; an ONNX file runs on the cpu here")
    if precision_name(dtype) != "float32":
        raise ConfigError(f"dtype is {dtype!r}; an ONNX file has the precision that it was exported with")
    model = load_onnx_model(source, backend, revision=revision)
    tokenizer = load_tokenizer(source, revision=revision)
    saved, layout = find_settings(source, revision=revision), find_exported_layout(source, revision=revision)
    if layout is None:
        length = (saved or default_settings(tokenizer, None)).max_length
        layout = _asked(model, tokenizer, source, revision=revision, max_length=length)
    settings = saved or default_settings(tokenizer, layout.longest)
    return OnnxReader(
        model=model,
        tokenizer=tokenizer,
        encoder=replace(Encoder.of(tokenizer), template=layout.template),
        settings=settings,
        input_names=model.input_names,
        longest=longest_for(settings, tokenizer, layout.longest),
        device=Cpu(),
        alone=backend == "onnx_int8",
    )


def _asked(model: OnnxModel, tokenizer: Any, source: str, **rest: Any) -> Layout:  # noqa: ANN401  # as the function there
    try:
        from qa.inference.torch_reader import layout_by_asking  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"model {source!r} has no onnx/layout.json, which `qa export` writes; without it wanted {error.name}: "
            "pip install 'extractive-qa[torch]'"
        ) from error
    return layout_by_asking(model, tokenizer, source, **rest)


def _logits(output: SpanLogits, rows: Rows, config: DecodingConfig, *, window_shares: bool) -> SpanLogits:
    """Return the logits in float32, those of padding lower than all unless they are NaN; conditional ends by length."""
    starts, ends = (by_token(np.asarray(one, dtype=np.float32), rows) for one in output)
    start, end = starts[..., 0], ends[..., 0]
    if (mask := rows.inputs.get("attention_mask")) is not None:
        lowered = np.where(mask == 0, np.float32(-np.inf), np.float32(0))
        start, end = start + lowered, end + lowered
    is_conditional = ends.shape[2] > 1
    if is_conditional:
        places, most = (rows.in_context, rows.null_position), config.max_answer_tokens
        end = conditional_ends(end, starts[..., 1:], ends[..., 1:], *places, max_tokens=most)
    if window_shares:
        counted = rows.in_context.copy()
        counted[np.arange(len(counted)), rows.null_position] = True
        start, end = log_share(start, counted), end if is_conditional else log_share(end, counted)
    return SpanLogits(start, end)


def _decoded(logits: SpanLogits, rows: Rows, config: DecodingConfig) -> FeatureSpans:
    start, end = logits
    k, most, cost = config.n_best, config.max_answer_tokens, config.length_cost or 0.0
    if end.ndim > start.ndim:
        spans, end = best_conditional_spans(start, end, rows.in_context, k=k, length_cost=cost), end[..., 0]
    elif config.search == "exact":
        spans = best_spans(start, end, rows.in_context, k=k, max_tokens=most, length_cost=cost)
    else:
        spans = hf_parity_spans(start, end, rows.in_context, k=k, max_tokens=most)
    first, last = (np.where(at == NO_SPAN, NO_SPAN, at - rows.context_begin[:, None]) for at in spans[:2])
    return FeatureSpans(
        feature=rows.feature,
        first=first.astype(np.int32),
        last=last.astype(np.int32),
        start_logit=spans.start_logit,
        end_logit=spans.end_logit,
        null_logits=null_logits(start, end, rows.null_position),
    )
