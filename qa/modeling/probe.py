"""Ask a model: give it windows of token ids and look at its logits."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qa.errors import ModelError, in_a_line
from qa.features.collation import Batch, collate
from qa.features.joining import PAD_MULTIPLE, by_feature, by_token
from qa.features.packing import Packing
from qa.features.pair_template import PairTemplate
from qa.features.windows import Features, Ragged
from qa.modeling.conditional_head import rank_of

Window = tuple[Sequence[int], Sequence[int]]
"""The token ids of a question and of a context."""
_MOVED = 1e-5  # share of the largest logit: far above what rounding changes, far below what a token does


@dataclass(frozen=True, eq=False, kw_only=True)
class Probe:
    """A model, and what it takes to ask it."""

    model: nn.Module
    input_names: Sequence[str]
    name: str
    """What messages call it."""
    _seeds: Iterator[int] = field(default_factory=itertools.count)  # another for each call: what is drawn is to show

    def batch(
        self,
        template: PairTemplate,
        windows: Sequence[Window],
        *,
        padded_to: int | None = None,
        packing: Packing | None = None,
    ) -> Batch:
        """Join windows as features are joined."""
        count = len(windows)
        contexts = Ragged.of([context for _, context in windows])
        nowhere = np.zeros(len(contexts.values), dtype=np.int32)
        features = Features(
            template=template,
            question_ids=Ragged.of([question for question, _ in windows]),
            context_of=np.arange(count, dtype=np.int32),
            context_ids=contexts,
            token_start=nowhere,
            token_end=nowhere,
            example=np.arange(count, dtype=np.int32),
            first=np.zeros(count, dtype=np.int32),
            size=contexts.lengths.astype(np.int32),
            padded_to=padded_to,
        )
        multiple = 1 if padded_to is None else PAD_MULTIPLE
        return collate(features, np.arange(count), input_names=self.input_names, pad_multiple=multiple, packing=packing)

    def logits(self, batch: Batch) -> Float[Tensor, "feature token 2"]:
        """Return start and end logits, on the CPU; the batch goes where the model is.

        Raises:
            ModelError: the model fails, or has no start and end logit for every token.

        """
        rows, tokens = batch.shape
        wanted = rows, tokens * (1 + rank_of(self.model))
        with self.told(tokens), torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(next(self._seeds))
            output = self.model(**batch.to(self._device()).inputs)
            shapes = tuple(output.start_logits.shape), tuple(output.end_logits.shape)
        if shapes != (wanted, wanted):
            raise ModelError(
                f"model {self.name!r} has logits of shapes {shapes}; wanted one start and one end logit per token"
            )
        said = (by_feature(values.cpu(), batch) for values in (output.start_logits, output.end_logits))
        return torch.stack([by_token(values, batch)[..., 0] for values in said], 2)

    def _device(self) -> torch.device:
        return next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))

    @contextmanager
    def told(self, tokens: int) -> Iterator[None]:
        """Say in one line what the model fails with on windows of so many tokens.

        Raises:
            ModelError: it fails.

        """
        try:
            yield
        except Exception as error:  # models raise anything
            reason = in_a_line(error)
            raise ModelError(f"model {self.name!r} does not take windows of {tokens} tokens: {reason}") from error


def differ(
    one: Float[Tensor, "*any"], other: Float[Tensor, "*any"], *, among: Float[Tensor, "..."], by: float = _MOVED
) -> bool:
    """Return whether logits differ by more than rounding.

    Args:
        one: some logits.
        other: the same of another window, or of the same one again.
        among: all logits of the window that count. Rounding goes by the largest: a few may be as small as it is.
        by: the least share of the largest that is more than rounding.

    """
    return not float((one - other).abs().max()) <= by * float(among.abs().max())


def ordinary_tokens(tokenizer: PreTrainedTokenizerBase, count: int) -> list[int]:
    """Return ids of `count` tokens that are no special ones, from all over the vocabulary."""
    known = sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids))
    return [known[at * len(known) // count] for at in range(count)]
