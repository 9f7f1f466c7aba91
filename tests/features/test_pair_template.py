"""How tokenizers join two texts."""

import unicodedata

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import CanineTokenizer

from qa.errors import TokenizerError
from qa.features.labels import build_labels
from qa.features.round_trip import label_round_trip
from qa.features.windows import Encoder, build_features
from tests.support import sentencepiece, tiny, tokenizers
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


# --- SentencePiece's table of normal forms ---


def normalised(text):
    """What the features' tokenizer makes of a text."""
    return Encoder.of(tokenizers.tokenizer("sentencepiece")).backend.normalizer.normalize_str(text)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("text", ["Tiếng Việt rất đẹp", "한국 각시", "naïve Ångström", "２０１９… ﬁ", "a\u0323\u0302"])
def test_letters_in_any_unicode_form_are_read_as_sentencepiece_reads_them(form, text):
    """tokenizers #2116 and #2334: marks of decomposed letters vanish, and Hangul stays in parts."""
    text, table = unicodedata.normalize(form, text), sentencepiece.rules()
    assert normalised(text) == sentencepiece.normalized(text, table)
    assert normalised(text) == sentencepiece.normalized(unicodedata.normalize("NFC", text), table)


def test_decomposed_text_has_the_tokens_of_composed_text_over_its_own_letters():
    tokenizer = tokenizers.tokenizer("sentencepiece")
    composed, decomposed = (unicodedata.normalize(form, "Ông Việt ở Huế.") for form in ("NFC", "NFD"))
    rows = tiny.examples(
        tiny.example("Ai?", composed, composed[4:8]), tiny.example("Ai?", decomposed, decomposed[5:11])
    )
    features = build_features(rows, tokenizer, config())
    assert features.context_ids[0].tolist() == features.context_ids[1].tolist()
    trip = label_round_trip(features, build_labels(rows, features), rows)
    assert (trip.labelled, trip.exact) == (2, 2)


@pytest.mark.parametrize("controls", ["\x10", "\x01\x02\x7f", "\x8f\x9f", "\x10\u200b\x10"])
def test_controls_at_the_begin_of_a_text_move_no_offsets(controls):
    rows = tiny.examples(tiny.example("Who?", f"{controls}The tower built by Ada Lund is high.", "Ada Lund"))
    features = build_features(rows, tokenizers.tokenizer("sentencepiece"), config())
    trip = label_round_trip(features, build_labels(rows, features), rows)
    assert (trip.labelled, trip.exact) == (1, 1)
