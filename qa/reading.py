"""How a call of the predictor reads: what it says, filled up with what was saved with the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from qa.config import DecodingConfig, FeaturesConfig
from qa.errors import ConfigError
from qa.inputs import INPUTS_AT_ONCE
from qa.model import ReaderSettings

PIPELINE_NAMES = {
    "max_answer_len": "max_answer_length",
    "max_seq_len": "max_length",
    "handle_impossible_answer": "no_answer",
}
"""Arguments of the pipeline that transformers had until 5.2, and what they are called here."""


class PassageArguments(TypedDict, total=False):
    """What a search may say of reading; `Predictor.__call__` describes each."""

    max_answer_length: int | None
    max_length: int | None
    doc_stride: int | None
    batch_size: int | None
    no_answer: bool | float | None
    align_to_words: bool


class ReadingArguments(PassageArguments, total=False):
    """What a call may say of reading."""

    top_k: int


def with_pipeline_names(given: ReadingArguments, old: Mapping[str, Any]) -> ReadingArguments:
    """Add what a call says with the pipeline's names.

    Raises:
        ConfigError: a name that neither has, or the same thing said twice.

    """
    named: dict[str, Any] = dict(given)
    for name, value in old.items():
        if name not in PIPELINE_NAMES:
            raise ConfigError(f"found the argument {name}; wanted one of {', '.join((*given, *PIPELINE_NAMES))}")
        if named[PIPELINE_NAMES[name]] is not None:
            raise ConfigError(f"found {PIPELINE_NAMES[name]} and {name}; wanted one of them, they mean the same")
        named[PIPELINE_NAMES[name]] = value
    return cast("ReadingArguments", named)


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How one call reads."""

    features: FeaturesConfig
    decoding: DecodingConfig
    null_possible: bool
    threshold: float
    """Null odds above which the answer is "no answer"."""
    temperature: float
    top_k: int
    align_to_words: bool
    inputs_at_once: int = INPUTS_AT_ONCE


def reading_options(
    own: ReaderSettings,
    *,
    longest: int,
    special_tokens: int,
    top_k: int = 1,
    max_answer_length: int | None = None,
    max_length: int | None = None,
    doc_stride: int | None = None,
    batch_size: int | None = None,
    no_answer: bool | float | None = None,
    align_to_words: bool = False,
) -> ReadingOptions:
    """Fill up what a call leaves out with the model's settings.

    Args:
        own: the model's.
        longest: longest window that it takes, in tokens.
        special_tokens: tokens of a window that are neither question nor context.
        top_k: this and the others are the call's.
        max_answer_length: in tokens.
        max_length: in tokens.
        doc_stride: in tokens.
        batch_size: in windows.
        no_answer: whether it is possible, or its threshold in log odds.
        align_to_words: whether answers grow to the borders of words.

    Raises:
        ConfigError: an option out of range.

    """
    if top_k < 1:
        raise ConfigError(f"top_k is {top_k}; wanted at least 1")
    threshold = own.no_answer_threshold if no_answer is None or isinstance(no_answer, bool) else no_answer
    return ReadingOptions(
        features=_windows(
            own, longest=longest, special_tokens=special_tokens, max_length=max_length, doc_stride=doc_stride
        ),
        decoding=DecodingConfig(
            n_best=max(own.n_best, top_k),
            max_answer_tokens=own.max_answer_tokens if max_answer_length is None else max_answer_length,
            search=own.search,
            batch_size=DecodingConfig.batch_size if batch_size is None else batch_size,
        ),
        null_possible=own.null_possible if no_answer is None else no_answer is not False,
        threshold=threshold,
        temperature=own.temperature,
        top_k=top_k,
        align_to_words=align_to_words,
    )


def _windows(
    own: ReaderSettings, *, longest: int, special_tokens: int, max_length: int | None, doc_stride: int | None
) -> FeaturesConfig:
    length = own.max_length if max_length is None else max_length
    if length > longest:
        raise ConfigError(f"max_length is {length}; the model takes at most {longest} tokens")
    half = max((length - special_tokens) // 2, 1)  # of a window shorter than in training, the question's share
    return FeaturesConfig(
        max_length=length,
        doc_stride=own.doc_stride if doc_stride is None else doc_stride,
        max_question_length=own.max_question_length if max_length is None else min(own.max_question_length, half),
    )
