import pytest
import torch
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from qa.modeling.attention import mask_without_asking
from tests.support import tiny
from tests.support.counters import reads_counted


@pytest.fixture
def masked():
    mask_without_asking()
    yield
    AttentionMaskInterface.register("sdpa", sdpa_mask)


def logits(model, mask):
    with torch.no_grad():
        output = model(input_ids=torch.arange(24).view(2, 12) + 5, attention_mask=mask)
    return torch.stack([output.start_logits, output.end_logits])


MASKS = {"whole": torch.ones(2, 12, dtype=torch.long), "padded": (torch.arange(12) < torch.tensor([[12], [7]])).long()}


@pytest.mark.parametrize("padding", MASKS)
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "modernbert"])
def test_logits_are_the_same_and_the_host_waits_for_nothing(family, padding, request):
    model, mask = tiny.model(family).eval(), MASKS[padding]
    asked = logits(model, mask)
    request.getfixturevalue("masked")
    with reads_counted() as reads:
        found = logits(model, mask)
    torch.testing.assert_close(found * mask, asked * mask)
    assert reads.count == 0


def test_the_library_itself_asks():
    """Else the module above has no purpose any more."""
    model = tiny.model("bert").eval()
    with reads_counted() as reads:
        logits(model, MASKS["padded"])
    assert reads.count > 0
