import pytest
import torch

from qa.config import TrainingConfig
from qa.errors import ModelError
from qa.modeling.attention import choose_attention
from qa.modeling.structure import configure_for_training
from qa.recipe import RecipeConfig
from tests.support import tiny
from tests.support.counters import masks_unasked, waits_counted


def logits(model, mask):
    with torch.no_grad():
        output = model(input_ids=torch.arange(24).view(2, 12) + 5, attention_mask=mask)
    return torch.stack([output.start_logits, output.end_logits])


MASKS = {"whole": torch.ones(2, 12, dtype=torch.long), "padded": (torch.arange(12) < torch.tensor([[12], [7]])).long()}


@pytest.mark.parametrize("padding", MASKS)
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "modernbert"])
def test_logits_are_the_same_and_the_host_waits_for_nothing(family, padding):
    model, mask = tiny.model(family).eval(), MASKS[padding]
    asked = logits(model, mask)
    with masks_unasked(), waits_counted() as waits:
        found = logits(model, mask)
    torch.testing.assert_close(found * mask, asked * mask)
    assert waits.count == 0


def test_the_library_itself_asks():
    """Else the module above has no purpose any more."""
    model = tiny.model("bert").eval()
    with waits_counted() as waits:
        logits(model, MASKS["padded"])
    assert waits.count > 0


# --- the implementation ---


@pytest.mark.parametrize("name", ["sdpa", "eager"])
def test_a_model_computes_attention_by_what_is_named(name):
    model, mask = tiny.model("bert").eval(), MASKS["padded"]
    before = logits(model, mask)
    choose_attention(model, name)
    configure_for_training(model, TrainingConfig(attention=name), RecipeConfig(), torch.device("cpu"))
    assert model.config._attn_implementation == name
    torch.testing.assert_close(logits(model, mask) * mask, before * mask, atol=1e-5, rtol=1e-4)


def test_auto_leaves_the_choice_to_the_model():
    for family in ("bert", "deberta-v2"):
        model = tiny.model(family)
        before = model.config._attn_implementation
        choose_attention(model, "auto")
        assert model.config._attn_implementation == before


@pytest.mark.parametrize(
    ("family", "name"), [("bert", "no_such_kernel"), ("deberta-v2", "sdpa"), ("bert", "flash_attention_2")]
)
def test_what_the_model_or_the_machine_lacks_is_a_line(family, name):
    with pytest.raises(ModelError, match=rf"training.attention is '{name}'") as error:
        choose_attention(tiny.model(family), name)
    assert "\n" not in str(error.value)
