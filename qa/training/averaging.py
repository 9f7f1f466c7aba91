"""An average of the weights beside the weights: evaluated, saved as the model, and kept in checkpoints."""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from qa.config import RecipeConfig

_WARM_UP = 10
"""Steps over which the average that forgets learns to remember: it would else begin with the untrained weights."""


class WeightAverage:
    """The running average of a model's trainable weights over optimizer steps.

    One that forgets (Polyak and Juditsky, 1992, with exponential weights), or the plain one of the last steps (Izmailov
    et al., 2018). Its state is the averaged tensors alone: what each step weighs is a function of its number.
    """

    def __init__(self, model: nn.Module, recipe: RecipeConfig, total_steps: int) -> None:
        """Begin with the weights as they are."""
        self._weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._recipe, self._total_steps = recipe, total_steps
        self._averages = [weight.detach().clone() for weight in self._weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` optimizer steps (from 1)."""
        torch._foreach_lerp_(self._averages, self._values(), self._share(step))  # what optimizers use

    def _share(self, step: int) -> float:
        """Return how much of the new average the weights of this step are."""
        if self._recipe.averaging == "ema":
            return 1 - min(self._recipe.averaging_decay, step / (step + _WARM_UP))
        return 1 / max(step - tail_start(self._total_steps, self._recipe), 1)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model has the average as its weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def reset(self) -> None:
        """Begin anew with the weights as they are."""
        for average, value in zip(self._averages, self._values(), strict=True):
            average.copy_(value)

    @torch.no_grad()
    def _exchange(self) -> None:
        for weight, average in zip(self._weights, self._averages, strict=True):
            kept = weight.detach().clone()
            weight.copy_(average)
            average.copy_(kept)

    def _values(self) -> list[Tensor]:
        return [weight.detach() for weight in self._weights]


def tail_start(total_steps: int, recipe: RecipeConfig) -> int:
    """Return the number of first steps that an average of the last part leaves out."""
    return total_steps - max(math.ceil(recipe.averaging_share * total_steps), 1)
