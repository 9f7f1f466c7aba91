"""What a call may say, filled up with the reader's settings."""

from dataclasses import dataclass
from typing import Any, TypedDict, cast

from qa.config import DecodingConfig, FeaturesConfig
from qa.errors import ConfigError
from qa.inference.inputs import INPUTS_AT_ONCE
from qa.modeling.settings import ReaderSettings

_PIPELINE_NAMES = {
    "max_answer_len": "max_answer_length",
    "max_seq_len": "max_length",
    "handle_impossible_answer": "no_answer",
}
"""Arguments of the pipeline that transformers had until 5.2, and what they are called here."""


class CallOptions(TypedDict, total=False):
    """What a call, a search, a command and a request may say; what is left out, or None, is as the reader was saved."""

    top_k: int
    """Answers per input: of 1 a result is one answer, of more a list of at most so many, best first."""
    max_answer_length: int | None
    """Longest answer, in tokens."""
    max_length: int | None
    """Longest window, in tokens; a question may take up to half of it."""
    doc_stride: int | None
    """Tokens that neighbouring windows share."""
    batch_size: int | None
    """Most windows per forward pass; on a CPU fewer are together if they are long."""
    no_answer: bool | float | None
    """Whether "no answer" is possible; a number is the log odds above which it is the answer, True the reader's own."""
    align_to_words: bool
    """Let answers end at the borders of words only."""
    max_answer_len: int | None
    """The removed pipeline's name of `max_answer_length`."""
    max_seq_len: int | None
    """The removed pipeline's name of `max_length`."""
    handle_impossible_answer: bool | float | None
    """The removed pipeline's name of `no_answer`."""


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """How one call is answered."""

    features: FeaturesConfig
    decoding: DecodingConfig
    null_possible: bool
    threshold: float
    """Null odds above which the answer is "no answer"."""
    temperature: float
    top_k: int
    align_to_words: bool
    inputs_at_once: int = INPUTS_AT_ONCE


def answer_options(given: CallOptions, own: ReaderSettings, *, longest: int, special_tokens: int) -> AnswerOptions:
    """Fill up what a call leaves out with the reader's settings.

    Args:
        given: what the call says.
        own: the reader's settings.
        longest: longest window that it takes, in tokens.
        special_tokens: tokens of a window that are neither question nor context.

    Raises:
        ConfigError: an unknown option, one that is out of range, or the same one under two names.

    """
    said = _with_own_names(given)
    top_k, no_answer = said.get("top_k", 1), said.get("no_answer")
    if top_k < 1:
        raise ConfigError(f"top_k is {top_k}; wanted at least 1")
    is_threshold = no_answer is not None and not isinstance(no_answer, bool)
    return AnswerOptions(
        features=_windows(said, own, longest=longest, special_tokens=special_tokens),
        decoding=DecodingConfig(
            n_best=max(own.n_best, top_k),
            max_answer_tokens=_or(said.get("max_answer_length"), own.max_answer_tokens),
            search=own.search,
            batch_size=_or(said.get("batch_size"), DecodingConfig.batch_size),
        ),
        null_possible=own.null_possible if no_answer is None else no_answer is not False,
        threshold=cast("float", no_answer) if is_threshold else own.no_answer_threshold,
        temperature=own.temperature,
        top_k=top_k,
        align_to_words=said.get("align_to_words", False),
    )


def _with_own_names(given: CallOptions) -> CallOptions:
    """Replace the removed pipeline's names, and refuse unknown ones.

    Raises:
        ConfigError: a name that neither has, or the same thing said twice.

    """
    named: dict[str, Any] = {}
    for name, value in given.items():
        if name not in CallOptions.__annotations__:
            raise ConfigError(f"found the argument {name}; wanted one of {', '.join(CallOptions.__annotations__)}")
        own = _PIPELINE_NAMES.get(name, name)
        if value is None:
            continue
        if own in named:
            names = sorted(other for other in given if _PIPELINE_NAMES.get(other, other) == own)
            raise ConfigError(f"found {' and '.join(names)}; wanted one of them, they mean the same")
        named[own] = value
    return cast("CallOptions", named)


def _windows(said: CallOptions, own: ReaderSettings, *, longest: int, special_tokens: int) -> FeaturesConfig:
    max_length = said.get("max_length")
    length = _or(max_length, own.max_length)
    if length > longest:
        raise ConfigError(f"max_length is {length}; the model takes at most {longest} tokens")
    half = max((length - special_tokens) // 2, 1)  # of a window shorter than in training, the question's share
    return FeaturesConfig(
        max_length=length,
        doc_stride=_or(said.get("doc_stride"), own.doc_stride),
        max_question_length=own.max_question_length if max_length is None else min(own.max_question_length, half),
    )


def _or(given: int | None, own: int) -> int:
    return own if given is None else given
