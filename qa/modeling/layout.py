"""How a model wants question and context to be joined: found by asking it.

A context must see the question, and the null position both. In a causal model nothing sees what comes after it: there
the question must be first and the null position last, whatever the tokenizer's padding side and special tokens suggest.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from qa.errors import ModelError
from qa.features.collation import Batch
from qa.features.joining import PAD_MULTIPLE
from qa.features.pair_template import PairTemplate
from qa.modeling.probe import Probe, Window, differ, ordinary_tokens

_QUESTION, _CONTEXT = 6, 14  # tokens that the model is asked with


def find_layout(
    probe: Probe, tokenizer: PreTrainedTokenizerBase, own: PairTemplate, *, max_length: int
) -> PairTemplate:
    """Find a template that the model can read, and check that its logits follow from the window alone.

    Args:
        probe: the model, switched to inference.
        tokenizer: the model's.
        own: how the tokenizer joins texts.
        max_length: longest window, in tokens, that the model must take.

    Raises:
        ModelError: it fails, it takes no windows of `max_length`, no template fits it, its logits are not finite, or
            the same window has other logits a second time.

    """
    words = ordinary_tokens(tokenizer, 2 * (_QUESTION + _CONTEXT))
    template = _readable(probe, list(_templates(own, tokenizer)), words)
    window = words[:_QUESTION], words[2 * _QUESTION :][:_CONTEXT]
    alone = probe.batch(template, [window])
    before = _logits(probe, alone)
    if not before.isfinite().all():
        raise ModelError(f"model {probe.name!r} has logits that are not finite numbers; wanted weights without NaN")
    probe.logits(probe.batch(template, [_longest(tokenizer, template, window, max_length)]))
    if differ(before, _logits(probe, alone), among=before):
        raise ModelError(
            f"model {probe.name!r} has other logits for the same window after another one: "
            "its answers would depend on chance, or on what was asked before"
        )
    return replace(template, steady_up_to=0) if _sees_padding(probe, template, window) else template


def _templates(own: PairTemplate, tokenizer: PreTrainedTokenizerBase) -> Iterator[PairTemplate]:
    """Yield what to try: first what the tokenizer does."""
    yield own
    if own.context_first:
        yield own.question_first()
    last = next((token for token in (tokenizer.eos_token_id, tokenizer.sep_token_id) if token is not None), None)
    if own.after or last is not None:
        yield own.question_first().null_last(last if last is not None else own.after[-1])


def _readable(probe: Probe, templates: list[PairTemplate], words: list[int]) -> PairTemplate:
    for template in templates:
        if _is_readable(probe, template, words):
            return template
    raise ModelError(
        f"in model {probe.name!r} the context does not see the question, or no position sees both, whichever is first; "
        "wanted a model whose tokens see each other, or a tokenizer with a token that ends texts"
    )


def _is_readable(probe: Probe, template: PairTemplate, words: list[int]) -> bool:
    """Return whether the context's logits follow the question, and those of the null position both texts.

    The windows are asked one by one: kernels round the rows of a batch in different ways.
    """
    questions, contexts = words[: 2 * _QUESTION], words[2 * _QUESTION :]
    windows = [
        (questions[:_QUESTION], contexts[:_CONTEXT]),
        (questions[_QUESTION:], contexts[:_CONTEXT]),
        (questions[:_QUESTION], contexts[_CONTEXT:]),
    ]
    plain, other_question, other_context = (_logits(probe, probe.batch(template, [window])) for window in windows)
    return (
        differ(plain[:-1], other_question[:-1], among=plain)
        and differ(plain[-1], other_question[-1], among=plain)
        and differ(plain[-1], other_context[-1], among=plain)
    )


def _logits(probe: Probe, batch: Batch) -> Float[Tensor, "position 2"]:
    """Return the logits of a window that answers are made of: those of the context's tokens, and of the null position.

    What a model has elsewhere is of no concern, and may be a million below.
    """
    logits = probe.logits(batch)[0]
    return torch.cat([logits[batch.in_context[0].cpu()], logits[batch.null_position.cpu()]])


def _longest(tokenizer: PreTrainedTokenizerBase, template: PairTemplate, window: Window, max_length: int) -> Window:
    """Return a window of `max_length` tokens with the largest token id."""
    question, _ = window
    return question, [len(tokenizer) - 1] * (max_length - template.special_tokens - len(question))


def _sees_padding(probe: Probe, template: PairTemplate, window: Window) -> bool:
    """Return whether the logits of a window depend on the padding beside it."""
    alone = probe.batch(template, [window])
    padded = probe.batch(template, [window], padded_to=4 * PAD_MULTIPLE + alone.shape[1])
    before = _logits(probe, alone)
    return differ(before, _logits(probe, padded), among=before)
