"""What a call may say, filled up with the reader's settings."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast, get_args

import numpy as np

from qa.config import Answers, DecodingConfig, FeaturesConfig
from qa.decoding.platt import Platt
from qa.errors import ConfigError
from qa.inference.inputs import INPUTS_AT_ONCE
from qa.modeling.settings import ReaderSettings

ScoreKind = Literal["probability", "window"]
"""What the score of an answer is; see `CallOptions.score`."""
LARGEST = 2**31 - 1
"""Whole numbers above this mean no bound: no text has so many tokens."""
_PER_PLACE = 20  # candidates kept for every answer asked for, where overlapping ones are suppressed
_PIPELINE_NAMES = {
    "max_answer_len": "max_answer_length",
    "max_seq_len": "max_length",
    "max_question_len": "max_question_length",
    "handle_impossible_answer": "no_answer",
    "topk": "top_k",
}
"""Arguments of the pipeline that transformers had until 5.2, and what they are called here."""


class CallOptions(TypedDict, total=False):
    """What a call, a search, a command and a request may say; what is left out, or None, is as the reader was saved.

    Numbers are whole where they count: 5.0 and NumPy's integers are taken, 2.5 and "3" are refused.
    """

    top_k: int | None
    """Answers per input: of 1 (the default) a result is one answer, of more a list of at most so many, best first."""
    max_answer_length: int | None
    """Longest answer, in tokens."""
    max_length: int | None
    """Longest window, in tokens: question, context and special tokens together."""
    doc_stride: int | None
    """Tokens that neighbouring windows share."""
    max_question_length: int | None
    """Tokens of a question that are read; left out: three quarters of a window, which is the most there can be."""
    batch_size: int | None
    """Most windows per forward pass; on a CPU fewer are together if they are long."""
    no_answer: bool | float | None
    """Whether "no answer" is possible; a number is the log odds above which it is the answer, True the reader's own."""
    align_to_words: bool | None
    """Let answers end at the borders of words only."""
    overlap: float | None
    """Largest share of an answer, or of a better one, that both may have in common: above it only the better one is
    listed. 0: answers are disjoint; 1, or left out: all are listed."""
    score: ScoreKind | None
    """What scores are: "probability", over the n-best answers of all windows, as calibrated; or "window", the removed
    pipeline's: products of the softmaxes over each window's tokens, added up where candidates become the same text."""
    answers: Answers | None
    """Which answers are returned: "any", the best ones, `top_k` of them; or "all": a list of all disjoint answers that
    stand against "no answer" each by itself, which may be empty, best first and at most `top_k`. Left out in a call of
    the predictor: as the reader was trained; elsewhere "any"."""
    max_answer_len: int | None
    """The removed pipeline's name of `max_answer_length`."""
    max_seq_len: int | None
    """The removed pipeline's name of `max_length`."""
    max_question_len: int | None
    """The removed pipeline's name of `max_question_length`."""
    handle_impossible_answer: bool | None
    """The removed pipeline's name of `no_answer`; true or false only."""
    topk: int | None
    """A name that the removed pipeline once had of `top_k`."""


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """How one call is answered."""

    features: FeaturesConfig
    decoding: DecodingConfig
    """Of which `n_best` is the number of candidates that are kept: enough for `top_k` answers."""
    n_best: int
    """Candidates of an example that share the probability, however many are kept."""
    null_possible: bool
    threshold: float
    """Null odds above which the answer is "no answer"."""
    temperature: float
    platt: Platt
    """From shares of the probability to how likely an answer is right."""
    top_k: int
    align_to_words: bool
    overlap: float
    score: ScoreKind
    answers: Answers = "any"
    inputs_at_once: int = INPUTS_AT_ONCE
    takes_blank: bool = False
    """Whether a text may be white space: then there is no answer in it."""


def answer_options(given: CallOptions, own: ReaderSettings, *, longest: int, special_tokens: int) -> AnswerOptions:
    """Fill up what a call leaves out with the reader's settings.

    Args:
        given: what the call says.
        own: the reader's settings.
        longest: longest window that it takes, in tokens.
        special_tokens: tokens of a window that are neither question nor context.

    Raises:
        ConfigError: an unknown option, one of wrong type or out of range, or the same one under two names.

    """
    said = _said(given)
    _require_fitting(said, own)
    windows = _windows(said, own, longest=longest, special_tokens=special_tokens)
    decoding = _decoding(said, own, windows)
    no_answer = said.get("no_answer")
    return AnswerOptions(
        features=windows,
        decoding=decoding,
        n_best=own.n_best,
        null_possible=own.null_possible if no_answer is None else no_answer is not False,
        threshold=own.no_answer_threshold if no_answer is None or isinstance(no_answer, bool) else no_answer,
        temperature=own.temperature,
        platt=Platt(own.confidence_slope, own.confidence_shift),
        top_k=_most(said, own),
        align_to_words=said.get("align_to_words", False),
        overlap=said.get("overlap", 1.0),
        score=said.get("score", "probability"),
        answers=said.get("answers", "any"),
        inputs_at_once=max(1, INPUTS_AT_ONCE * DecodingConfig.n_best // max(decoding.n_best, DecodingConfig.n_best)),
    )


def _require_fitting(said: dict[str, Any], own: ReaderSettings) -> None:
    """Check that scores are ones that the reader, and the answers that are asked for, can have."""
    if said.get("score") == "window":
        if own.head == "tokens":
            raise ConfigError("score is 'window', and the reader has the head tokens; wanted score='probability'")
        if said.get("answers") == "all":
            raise ConfigError("score is 'window' and answers is 'all'; wanted one of them")
    disjoint = "the reader has the head tokens" if own.head == "tokens" else "answers is 'all'"
    if 0.0 < said.get("overlap", 0.0) < 1.0 and (own.head == "tokens" or said.get("answers") == "all"):
        raise ConfigError(f"overlap is {said['overlap']:g}, and {disjoint}: answers are disjoint; wanted 0, or none")


def _most(said: dict[str, Any], own: ReaderSettings) -> int:
    """Return how many answers an input has at most."""
    most: int = said.get("top_k", own.n_best if said.get("answers") == "all" else 1)
    return most


def _decoding(said: dict[str, Any], own: ReaderSettings, windows: FeaturesConfig) -> DecodingConfig:
    """Return how windows are searched, with as many candidates as it takes for `top_k` answers to be left."""
    longest = min(said.get("max_answer_length", own.max_answer_tokens), windows.max_length)
    top_k, by_window = _most(said, own), said.get("score") == "window"
    merges = said.get("align_to_words", False) and (top_k > 1 or by_window)
    wanted = 2 * top_k + 10 if merges else top_k  # the removed pipeline's number
    if not by_window:
        several = said.get("overlap", 1.0) < 1.0 or said.get("answers") == "all"
        disjoint = _PER_PLACE * top_k if several else 1
        # With lists of starts and ends, longer lists would be other candidates.
        wanted = own.n_best if own.search == "hf_parity" else max(own.n_best, wanted, disjoint)
    return DecodingConfig(
        n_best=min(wanted, max(own.n_best, windows.max_length * longest)),  # there are no more in a window
        max_answer_tokens=longest,
        search="exact" if by_window else own.search,
        length_cost=0.0 if by_window else own.length_cost,
        choice="likeliest" if by_window or said.get("answers") == "all" else own.choice,
        batch_size=said.get("batch_size", DecodingConfig.batch_size),
    )


def _windows(said: dict[str, Any], own: ReaderSettings, *, longest: int, special_tokens: int) -> FeaturesConfig:
    """Return how contexts are cut; a question has at most three quarters of a window, since the context needs some."""
    length = said.get("max_length", own.max_length)
    if length > longest:
        raise ConfigError(f"max_length is {length}; the model takes at most {longest} tokens")
    most = max((length - special_tokens) * 3 // 4, 1)
    return FeaturesConfig(
        max_length=length,
        doc_stride=said.get("doc_stride", own.doc_stride),
        max_question_length=min(said.get("max_question_length", most), most),
    )


# --- what is said ---


def _said(given: CallOptions) -> dict[str, Any]:
    """Return the checked values of a call by our own names, without those that are None.

    Raises:
        ConfigError: a name that neither has, a value of wrong type or out of range, or the same thing said twice.

    """
    said: dict[str, Any] = {}
    for name, value in given.items():
        own = own_name(name)
        if value is None:
            continue
        if own in said:
            names = sorted(other for other in given if own_name(other) == own)
            raise ConfigError(f"found {' and '.join(names)}; wanted one of them, they mean the same")
        said[own] = checked(name, value)
    return said


def one_answer(given: CallOptions) -> CallOptions:
    """Return the options of a call that has one answer an input, whatever they say of more."""
    others = {name: value for name, value in given.items() if name not in {"top_k", "topk", "answers"}}
    return cast("CallOptions", others | CallOptions(top_k=1, answers="any"))


def own_name(name: str) -> str:
    """Return what the removed pipeline's argument is called here; our own names as they are.

    Raises:
        ConfigError: a name that neither has.

    """
    if name not in _CHECKS:
        raise ConfigError(f"found the argument {name}; wanted one of {', '.join(_CHECKS)}")
    return _PIPELINE_NAMES.get(name, name)


def checked(name: str, value: object) -> Any:  # noqa: ANN401  # as the option's type
    """Return an option's value in its own type.

    Raises:
        ConfigError: of wrong type, or out of range.

    """
    return _CHECKS[name](name, value)


def whole_number(name: str, value: object, *, least: int) -> int:
    """Return a number that counts something as an int; above `LARGEST` it is that.

    Raises:
        ConfigError: no whole number, or less than `least`.

    """
    number = int(value) if isinstance(value, float | np.floating) and float(value).is_integer() else value
    if not isinstance(number, int | np.integer) or isinstance(number, bool) or number < least:
        raise ConfigError(f"{name} is {value!r:.80}; wanted a whole number, {least} or more")
    return min(int(number), LARGEST)


def _at_least(least: int) -> Callable[[str, object], int]:
    return lambda name, value: whole_number(name, value, least=least)


def flag(name: str, value: object) -> bool:
    """Return true or false, also said as 1 or 0, as a bool.

    Raises:
        ConfigError: anything else.

    """
    if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in {0, 1}):
        return bool(value)
    raise ConfigError(f"{name} is {value!r:.80}; wanted True or False")


def _no_answer(name: str, value: object) -> bool | float:
    """Return a flag as it is, and any other number as a threshold, also 0 and 1."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    number = _finite(value)
    if number is None:
        raise ConfigError(f"{name} is {value!r:.80}; wanted True, False, or a finite number of log odds")
    return number


def share(name: str, value: object) -> float:
    """Return a number from 0 to 1 as a float.

    Raises:
        ConfigError: anything else.

    """
    number = None if isinstance(value, bool) else _finite(value)
    if number is None or not 0 <= number <= 1:
        raise ConfigError(f"{name} is {value!r:.80}; wanted a share, 0 to 1")
    return number


def weight(name: str, value: object) -> float:
    """Return a finite number from 0 as a float.

    Raises:
        ConfigError: anything else.

    """
    number = None if isinstance(value, bool) else _finite(value)
    if number is None or number < 0:
        raise ConfigError(f"{name} is {value!r:.80}; wanted a number, 0 or more")
    return number


def _finite(value: object) -> float | None:
    """Return a number as a float; None for what is no number, not finite, or more than a float can be."""
    if not isinstance(value, int | float | np.integer | np.floating):
        return None
    number = cast("int | float", value.item() if isinstance(value, np.generic) else value)
    return float(number) if abs(number) <= sys.float_info.max else None


def _score(name: str, value: object) -> ScoreKind:
    if isinstance(value, str) and value in get_args(ScoreKind):
        return cast("ScoreKind", value)
    raise ConfigError(f"{name} is {value!r:.80}; wanted one of {', '.join(map(repr, get_args(ScoreKind)))}")


def _answers(name: str, value: object) -> Answers:
    if isinstance(value, str) and value in get_args(Answers):
        return cast("Answers", value)
    raise ConfigError(f"{name} is {value!r:.80}; wanted one of {', '.join(map(repr, get_args(Answers)))}")


_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "top_k": _at_least(1),
    "max_answer_length": _at_least(1),
    "max_length": _at_least(8),
    "doc_stride": _at_least(0),
    "max_question_length": _at_least(1),
    "batch_size": _at_least(1),
    "no_answer": _no_answer,
    "align_to_words": flag,
    "overlap": share,
    "score": _score,
    "answers": _answers,
    "max_answer_len": _at_least(1),
    "max_seq_len": _at_least(8),
    "max_question_len": _at_least(1),
    "handle_impossible_answer": flag,
    "topk": _at_least(1),
}
"""What a value must be, by the name it is said under; the names are those of `CallOptions`, as a test holds."""
