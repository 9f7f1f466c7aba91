"""A small model in the layout of packed 4-bit weights, written number by number."""

import struct

import numpy as np

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 50,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
}
_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "▁wörd")


def packed_model(seed=0, **sizes):
    """The file's bytes, and the same tensors by the names of a BertModel; `sizes` go over those above."""
    random = np.random.default_rng(seed)
    sizes = SIZES | sizes
    wide, hidden = sizes["intermediate_size"], sizes["hidden_size"]
    shapes = {
        "emb.word": ("embeddings.word_embeddings.weight", (sizes["vocab_size"], hidden)),
        "emb.pos": ("embeddings.position_embeddings.weight", (sizes["max_position_embeddings"], hidden)),
        "emb.type": ("embeddings.token_type_embeddings.weight", (sizes["type_vocab_size"], hidden)),
        **_pair("emb.ln", "embeddings.LayerNorm", (hidden,), hidden),
    }
    for layer in range(sizes["num_hidden_layers"]):
        at, name = f"l{layer}.", f"encoder.layer.{layer}."
        shapes |= _pair(f"{at}q", f"{name}attention.self.query", (hidden, hidden), hidden)
        shapes |= _pair(f"{at}k", f"{name}attention.self.key", (hidden, hidden), hidden)
        shapes |= _pair(f"{at}v", f"{name}attention.self.value", (hidden, hidden), hidden)
        shapes |= _pair(f"{at}ao", f"{name}attention.output.dense", (hidden, hidden), hidden)
        shapes |= _pair(f"{at}aln", f"{name}attention.output.LayerNorm", (hidden,), hidden)
        shapes |= _pair(f"{at}fi", f"{name}intermediate.dense", (wide, hidden), wide)
        shapes |= _pair(f"{at}fo", f"{name}output.dense", (hidden, wide), hidden)
        shapes |= _pair(f"{at}oln", f"{name}output.LayerNorm", (hidden,), hidden)
    tensors, wanted = {}, {}
    for name, (bert_name, shape) in shapes.items():
        matrix = len(shape) == 2 and name not in {"emb.pos", "emb.type"}
        tensors[name], wanted[bert_name] = _matrix(random, shape) if matrix else _plain(random, shape)
    return packed(tensors, sizes), wanted


def _pair(name, bert_name, weight, bias):
    return {f"{name}.w": (f"{bert_name}.weight", weight), f"{name}.b": (f"{bert_name}.bias", (bias,))}


def _plain(random, shape):
    values = random.normal(size=shape).astype(np.float32)
    return values, values


def _matrix(random, shape):
    """Blocks of a row one after the other, each packed by a loop over its bytes."""
    content, values = b"", np.empty(shape, np.float32).reshape(-1, 32)
    for row in values:
        scale = np.float16(random.uniform(0.01, 0.1))
        halves = random.integers(0, 16, size=32)
        content += struct.pack("<e", scale)
        content += bytes(int(halves[j]) | int(halves[j + 16]) << 4 for j in range(16))
        row[:] = [(half - 8) * np.float32(scale) for half in halves]
    return content, values.reshape(shape)


def packed(tensors, sizes=SIZES):
    """A file of the given tensors: bytes are blocks of packed numbers, arrays are float32."""
    head = struct.pack("<4sI7ifi", b"E5S1", 1, *_header_sizes(sizes), 1e-12, 32) + _vocabulary()
    entry = struct.Struct("<BIQQ")
    at = len(head) + 4 + sum(2 + len(name) + entry.size for name in tensors)
    directory, body = struct.pack("<i", len(tensors)), b""
    for name, values in tensors.items():
        is_packed = isinstance(values, bytes)
        content = values if is_packed else values.tobytes()
        size = len(values) // 18 * 32 if is_packed else values.size
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += entry.pack(is_packed, size, at + len(body), len(content))
        body += content
    return head + directory + body


def _header_sizes(sizes):
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
    return [sizes[name] for name in (*names, "max_position_embeddings", "type_vocab_size")]


def _vocabulary():
    """The pieces with their scores, and a table of one normalised character; nothing reads them."""
    text = "".join(_PIECES).encode()
    ends = np.cumsum([0, *(len(piece.encode()) for piece in _PIECES)], dtype=np.uint32)
    scores = np.linspace(-1, -9, len(_PIECES), dtype=np.float32)
    table = struct.pack("<IBI", ord("ﬁ"), 1, ord("f"))
    pieces = struct.pack("<5iQ", len(_PIECES), 0, 2, 1, 3, len(text)) + ends.tobytes() + scores.tobytes() + text
    return pieces + struct.pack("<iI", 1, len(table)) + table
