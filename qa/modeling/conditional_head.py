"""The head of ends that depend on their starts: P(end | start), with a low-rank product beside the two logits.

The score of an end, given a start, is `end_logit[end] + u[start] · v[end]`, u and v being `RANK` numbers of each token
that the head makes like its logits, from the hidden state of that token alone. P(end | start) in place of P(end) is one
of the objectives that Fajcik et al. compare (2021, arXiv:2008.12804). The known heads for it, such as XLNet's, put
layers over the hidden states of both ends: a pass for every start, so that they look at a few of the best starts alone.
A product has all pairs in one multiplication of matrices, and what leaves the model are numbers of tokens: they are
padded, exported and run as two logits are, and the search among all spans stays exact.

A model's two outputs then hold, for each token, its logit and its u (or v) side by side, `[feature, token × (1 +
rank)]`; `qa.features.joining.by_token` parts them. So every class with a linear head of two outputs can have it, and
whatever knows only that a model has two outputs for a batch goes on to work.
"""

import json
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import CONFIG_NAME, AutoConfig, AutoModelForQuestionAnswering, PreTrainedModel

from qa.errors import ModelError
from qa.modeling.quirks import name_of
from qa.modeling.settings import find_file

RANK = 32
"""Numbers of u and v: what a head of attention, which also finds the token that goes with another, has in MiniLM."""
_SIDES = 2  # start and end
_SIZE = "end_rank"
"""Setting of config.json, which other heads have not."""


class ConditionalHead(nn.Linear):
    """A linear layer whose outputs are, of each token, pairs: logits of start and end, then their u and v."""

    @classmethod
    def beside(cls, plain: nn.Linear, rank: int) -> "ConditionalHead":
        """Return a head that begins as a plain one: u is drawn from torch's generator, and all v are 0."""
        head = cls(
            plain.in_features,
            _SIDES * (1 + rank),
            bias=plain.bias is not None,
            device=plain.weight.device,
            dtype=plain.weight.dtype,
        )
        with torch.no_grad():
            for own, logits in ((head.weight, plain.weight), (head.bias, plain.bias)):
                if logits is not None:
                    own[1::_SIDES] = 0
                    own[:_SIDES] = logits
        return head

    @property
    def rank(self) -> int:
        """Numbers of u, and of v."""
        return self.out_features // _SIDES - 1

    def forward(self, hidden: Tensor) -> Tensor:
        """Return `[feature, token × (1 + rank), 2]`, which classes of models split into starts and ends."""
        return super().forward(hidden).reshape(hidden.shape[0], -1, _SIDES)


def rank_of(model: nn.Module) -> int:
    """Return the rank of a model's head of conditional ends; 0: it has another head."""
    return next((module.rank for module in model.modules() if isinstance(module, ConditionalHead)), 0)


def add_conditional_head(model: PreTrainedModel) -> None:
    """Put a head of conditional ends in the place of the plain one, whose logits it begins with.

    Raises:
        ModelError: the model's head is not one linear layer with two outputs.

    """
    name = _plain_head(model)
    rank = getattr(model.config, _SIZE, RANK)
    model.set_submodule(name, ConditionalHead.beside(cast("nn.Linear", model.get_submodule(name)), rank))
    setattr(model.config, _SIZE, rank)


def load_with_head(source: str, **options: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
    """Load a model as `AutoModelForQuestionAnswering` does, which takes none with a head of conditional ends.

    Args:
        source: folder or hub id.
        options: of `from_pretrained`.

    Returns:
        The model, and which weights were missing.

    """
    if not _is_saved_with_one(source, options.get("revision")):
        load: Any = AutoModelForQuestionAnswering.from_pretrained
        found: tuple[Any, dict[str, Any]] = load(source, output_loading_info=True, **options)
        return found
    known = AutoConfig.from_pretrained(source, revision=options.get("revision"))
    with torch.device("meta"):  # without weights
        plain: Any = type(AutoModelForQuestionAnswering.from_config(known))  # type: ignore[no-untyped-call]

    def made(self: Any, *given: Any, **more: Any) -> None:  # noqa: ANN401
        plain.__init__(self, *given, **more)
        add_conditional_head(self)

    wide: Any = type(plain.__name__, (plain,), {"__init__": made})
    model, info = wide.from_pretrained(source, output_loading_info=True, **options)
    model.__class__ = plain  # which can be pickled
    return model, info


def _is_saved_with_one(source: str, revision: str | None) -> bool:
    path = find_file(source, CONFIG_NAME, revision=revision)
    try:
        return path is not None and _SIZE in json.loads(path.read_bytes())
    except ValueError:  # what is wrong, loading the model will tell
        return False


def _plain_head(model: PreTrainedModel) -> str:
    encoder = f"{model.base_model_prefix}."
    found: list[str] = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == _SIDES and not name.startswith(encoder)
    ]
    if len(found) != 1:
        raise ModelError(
            f"model {name_of(model)!r} ({model.config.model_type}) has {len(found)} linear layers of two outputs as "
            "its head; wanted one, or head spans"
        )
    return found[0]
