"""How tokenizers join two texts."""

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import CanineTokenizer

from qa.errors import TokenizerError
from qa.features.windows import Encoder, build_features
from tests.support import tiny
from tests.support.windows import (
    config,
)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_null_position_is_cls_and_left_padding_puts_the_context_first(family):
    tokenizer = tiny.tokenizer(family)
    template = Encoder.of(tokenizer).template
    ids, _, begin = build_features(tiny.small(1), tokenizer, config()).row(0)
    assert ids[template.null_position] == tokenizer.cls_token_id
    assert template.null_position == (-1 if family == "xlnet" else 0)
    assert template.context_first == template.pad_left == (family == "xlnet")
    assert (begin == 0) == (family == "xlnet")


def test_a_slow_tokenizer_is_refused_by_name():
    with pytest.raises(TokenizerError, match=r"CanineTokenizer .* is not fast"):
        build_features(tiny.small(), CanineTokenizer(), config())


def test_a_tokenizer_that_drops_a_text_is_refused():
    tokenizer = tiny.fresh_tokenizer("modernbert")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$B:1 $A", special_tokens=[])
    with pytest.raises(TokenizerError, match="does not join two words to the first and then the second"):
        build_features(tiny.small(), tokenizer, config())
