"""Packed 4-bit weights become the tensors of a BertModel, number by number."""

import json
import struct

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertModel

from qa.modeling.packed_weights import convert_to_bert, read_config, read_tensors
from tests.support import tiny
from tests.support.packed import SIZES, packed, packed_model


def test_the_folder_loads_as_the_model_that_was_packed(tmp_path):
    content, wanted = packed_model()
    (tmp_path / "weights.bin").write_bytes(content)
    tiny.tokenizer("deberta-v2").save_pretrained(tmp_path / "tokenizer")
    folder = tmp_path / "model"
    folder.mkdir()
    convert_to_bert(tmp_path / "weights.bin", tmp_path / "tokenizer" / "tokenizer.json", folder)
    model, info = BertModel.from_pretrained(folder, add_pooling_layer=False, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    found = model.state_dict()
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert found[name].dtype == torch.float32
        np.testing.assert_array_equal(found[name].numpy(), values, err_msg=name)
    assert {name: getattr(model.config, name) for name in SIZES} == SIZES
    assert type(AutoTokenizer.from_pretrained(folder)).__name__ == "XLMRobertaTokenizer"
    assert json.loads((folder / "config.json").read_text())["layer_norm_eps"] == 1e-12


def test_a_block_is_a_scale_and_two_halves_of_bytes():
    """Written out by hand: byte j holds number j below and number 16 + j above, each plus 8."""
    block = struct.pack("<e", 0.5) + bytes([0x1F] + [0x88] * 14 + [0xF0])
    numbers = read_tensors(packed({"emb.word": block}))["embeddings.word_embeddings.weight"].ravel()
    assert numbers.shape == (32,)
    assert numbers[0] == 0.5 * (15 - 8)
    assert numbers[16] == 0.5 * (1 - 8)
    assert numbers[15] == 0.5 * (0 - 8)
    assert numbers[31] == 0.5 * (15 - 8)
    assert not numbers[1:15].any()
    assert not numbers[17:31].any()


@pytest.mark.parametrize(("at", "value"), [(0, b"E5S2"), (4, struct.pack("<I", 2))])
def test_another_layout_is_not_read(at, value):
    content, _ = packed_model()
    with pytest.raises(AssertionError):
        read_config(content[:at] + value + content[at + len(value) :])
