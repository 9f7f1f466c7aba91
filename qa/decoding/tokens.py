"""Token logits -> predictions: the head that learns of each token whether an answer begins, or ends, with it.

What it says of a token is weighed against what it says of the window's null position: the difference is the log odds
that an answer begins (ends) there. They are joined over all windows before anything is decided: each token of a context
is judged once, in the window that shows most of what is around it, so that no answer is cut where a window ends.

The score of a span is the sum of the log odds that an answer begins with its first token and ends with its last one,
and of the logarithms of the probabilities that none begins or ends between: else two answers, with what is between
them, would be as good an answer as each.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from qa.config import DecodingConfig
from qa.decoding.candidates import Candidates, disjoint_rows, texts_of
from qa.decoding.kept import FeatureTokens
from qa.decoding.predictions import Predictions, check_complete
from qa.errors import NotFiniteError
from qa.features.joining import by_feature
from qa.features.windows import Features


def keep_tokens(outputs: Iterable[tuple[Any, Any]], *, features: int, width: int) -> FeatureTokens:
    """Keep the log odds of the contexts' tokens.

    Args:
        outputs: batches, each with what a model makes of it: `start_logits` and `end_logits`, `[row, token]`.
        features: of all batches together.
        width: tokens of the longest context of a window, of whatever batch.

    """
    found = FeatureTokens(
        feature=np.empty(features, dtype=np.int64), logits=np.zeros((features, width, 2), dtype=np.float32)
    )
    filled = 0
    for batch, output in outputs:
        said = (by_feature(values, batch) for values in (output.start_logits, output.end_logits))
        logits = np.stack([_array(values) for values in said], axis=2)
        with np.errstate(invalid="ignore"):  # infinite ones, which are refused later, by the example's id
            logits -= np.take_along_axis(logits, _array(batch.null_position)[:, None, None], axis=1)
        begin, size = _array(batch.context_begin), _array(batch.in_context).sum(axis=1)
        rows = slice(filled, filled + len(begin))
        found.feature[rows] = _array(batch.feature)
        found.logits[rows] = _of_contexts(logits, begin, size, width)
        filled = rows.stop
    return found.at(slice(filled))


def _array(values: Any) -> Any:  # noqa: ANN401  # a tensor or an array, as a NumPy array of its kind
    if hasattr(values, "detach"):
        values = values.detach()
        values = (values.float() if values.is_floating_point() else values).cpu().numpy()
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _of_contexts(
    logits: Float32[np.ndarray, "feature token 2"],
    begin: Int[np.ndarray, "feature"],
    size: Int[np.ndarray, "feature"],
    width: int,
) -> Float32[np.ndarray, "feature width 2"]:
    """Move every row's context to the first columns, and put 0 behind it."""
    within = np.arange(width)
    inside = within < size[:, None]
    columns = np.where(inside, begin[:, None] + within, 0)
    moved = np.take_along_axis(logits, columns[:, :, None], axis=1)
    return np.where(inside[:, :, None], moved, np.float32(0.0))


def token_predictions(
    tokens: FeatureTokens,
    features: Features,
    *,
    ids: Sequence[str],
    contexts: Sequence[str],
    config: DecodingConfig,
    null_possible: bool,
    counted: int | None = None,
) -> Predictions:
    """Find the best disjoint spans of every example; arguments and errors are those of `from_spans`.

    Scores are against a null score of 0. Of the spans that begin at a token the best one counts, and of those that
    overlap the better one.
    """
    check_complete(tokens.feature, len(features))
    tokens = tokens.at(np.argsort(tokens.feature))
    _check_numbers(tokens, features, ids)
    joined = join_windows(tokens, features)
    last, score = best_from_every_token(joined, max_tokens=config.max_answer_tokens)
    found = _candidates(joined, features, last, score, contexts)
    kept = found.trimmed().ranked()
    kept = kept.at(np.array(_disjoint(kept, config.n_best), dtype=np.int64))
    null = np.zeros((len(ids), 2), dtype=np.float32)
    return Predictions.of_ranked(
        kept, null, ids=ids, n_best=config.n_best, null_possible=null_possible, counted=counted, independent=True
    )


# --- one row of tokens for every context --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class JoinedTokens:
    """The log odds of the tokens of all examples' contexts, end to end."""

    example: Int[np.ndarray, "token"]
    place: Int[np.ndarray, "token"]
    """Which token of its context it is."""
    logits: Float[np.ndarray, "token 2"]


def join_windows(tokens: FeatureTokens, features: Features) -> JoinedTokens:
    """Take every token's logits from the window in which it is farthest from a border that cuts the context.

    Of equal windows the first counts. Source: "maximum context" of Devlin et al., 2019, where the ends of the context
    itself counted as borders too.
    """
    size = features.size.astype(np.int64)
    window = np.repeat(np.arange(len(size)), size)
    within = np.arange(len(window)) - np.repeat(np.cumsum(size) - size, size)
    place = features.first[window] + within
    whole = features.context_ids.lengths[features.context_of[features.example]]
    cut_before, cut_after = features.first > 0, features.first + size < whole
    far = np.iinfo(np.int64).max
    left = np.where(cut_before[window], within, far)
    right = np.where(cut_after[window], size[window] - 1 - within, far)
    example = features.example[window].astype(np.int64)
    order = np.lexsort((window, -np.minimum(left, right), place, example))
    first = np.ones(len(order), dtype=bool)
    same_example, same_place = (column[order][1:] == column[order][:-1] for column in (example, place))
    first[1:] = ~(same_example & same_place)
    kept = order[first]
    return JoinedTokens(
        example=example[kept],
        place=place[kept],
        logits=tokens.logits[window[kept], within[kept]].astype(np.float64),
    )


def best_from_every_token(
    tokens: JoinedTokens, *, max_tokens: int
) -> tuple[Int[np.ndarray, "token"], Float[np.ndarray, "token"]]:
    """Return, of the spans that begin at each token, the last token of the best one and its score."""
    begins, ends = tokens.logits.T
    no_begin, no_end = -np.logaddexp(0.0, begins), -np.logaddexp(0.0, ends)
    count = len(begins)
    same = np.zeros(count + 1, dtype=bool)  # whether a token follows one of the same context
    same[1:count] = tokens.example[1:] == tokens.example[:-1]
    last, best = np.arange(count), begins + ends
    alive, so_far = np.arange(count), begins.copy()
    for length in range(1, max_tokens):
        alive = alive[same[np.minimum(alive + length, count)]]
        if not len(alive):
            break
        end = alive + length
        so_far[alive] += no_end[end - 1] + no_begin[end]
        score = so_far[alive] + ends[end]
        better = score > best[alive]
        last[alive[better]], best[alive[better]] = end[better], score[better]
    return last, best


def _candidates(
    tokens: JoinedTokens,
    features: Features,
    last: Int[np.ndarray, "token"],
    score: Float[np.ndarray, "token"],
    contexts: Sequence[str],
) -> Candidates:
    origin = features.context_ids.bounds[features.context_of[tokens.example]]
    start = features.token_start[origin + tokens.place]
    end = features.token_end[origin + tokens.place[last]]
    text = texts_of(contexts, tokens.example, start, end)
    logit = score.astype(np.float32)
    return Candidates(tokens.example, start, end, text, logit, np.zeros_like(logit))


def _disjoint(ranked: Candidates, most: int) -> list[int]:
    """Return the first disjoint candidates of every example."""
    start, end = ranked.start.tolist(), ranked.end.tolist()
    groups = itertools.pairwise(np.flatnonzero(np.diff(ranked.example, prepend=-1, append=-1)).tolist())
    return [row for begin, stop in groups for row in disjoint_rows(range(begin, stop), start, end, most=most)]


def _check_numbers(tokens: FeatureTokens, features: Features, ids: Sequence[str]) -> None:
    broken = ~np.isfinite(tokens.logits).all(axis=(1, 2))
    if broken.any():
        named = dict.fromkeys(features.example[tokens.feature[broken]].tolist())
        first = ", ".join(repr(ids[row]) for row in list(named)[:5])
        raise NotFiniteError(f"logits of {int(broken.sum())} features are not numbers; the first examples: {first}")
