"""SentencePiece's table of normal forms (`nmt_nfkc`) for some characters, as the `Precompiled` normaliser reads it.

The table is a trie of UTF-8 bytes in a double array (darts-clone), followed by the texts that its leaves point to.
"""

import itertools
import struct
import unicodedata

_BLOCK = 256
_REMOVED = [*range(0x1, 0x9), 0xB, *range(0xE, 0x20), 0x7F, 0x8F, 0x9F]
_SPACES = [0x9, 0xA, 0xC, 0xD, *range(0x200B, 0x2010), 0x2028, 0x2029, 0x3000, 0xA0, 0xFEFF]
_COMPOSED = [*range(0xC0, 0x250), *range(0x1E00, 0x1F00), *range(0xAC00, 0xAC00 + 600), *map(ord, "한국각시")]
_COMPATIBLE = [0xAA, 0xBA, 0xB2, 0x2026, 0x33A5, *range(0xFB00, 0xFB07), *range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF5B)]


def rules():
    """What becomes of some characters, and of their decomposed forms."""
    found = dict.fromkeys(map(chr, _REMOVED), "") | dict.fromkeys(map(chr, _SPACES), " ")
    found |= {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in _COMPATIBLE}
    for code in _COMPOSED:
        parts = unicodedata.normalize("NFD", chr(code))
        for length in range(2, len(parts) + 1):  # also what is half composed
            half = unicodedata.normalize("NFC", parts[: length - 1])
            for key in (parts[:length], half + parts[length - 1]):
                if len(value := unicodedata.normalize("NFC", key)) == 1:
                    found[key] = value
    return found


def charsmap(table):
    """Pack rules as the normaliser's bytes."""
    values, places = bytearray(), {}
    for text in dict.fromkeys(table.values()):
        places[text] = len(values)
        values += text.encode() + b"\0"
    children, leaves = [{}], [None]
    for key, text in table.items():
        at = 0
        for byte in key.encode():
            if byte not in children[at]:
                children[at][byte] = len(children)
                children.append({})
                leaves.append(None)
            at = children[at][byte]
        leaves[at] = places[text]
    assert len(children) < 8000, "offsets have 21 bits"
    units = [0] * (_BLOCK * (len(children) + 1))
    units[0] = _BLOCK << 10
    for node, known in enumerate(children):
        for byte, child in known.items():
            place, block = _begin(node) ^ byte, _begin(child)
            units[place] = (place ^ block) << 10 | (leaves[child] is not None) << 8 | byte
            if leaves[child] is not None:
                units[block] = 1 << 31 | leaves[child]
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + bytes(values)


def _begin(node):
    return _BLOCK * (node + 1)


def normalized(text, table):
    """What SentencePiece makes of a text: the longest rule at each place."""
    longest, found, at = max(map(len, table)), [], 0
    while at < len(text):
        length = next((n for n in range(longest, 0, -1) if text[at : at + n] in table), None)
        found.append(text[at] if length is None else table[text[at : at + length]])
        at += length or 1
    return "".join(itertools.chain.from_iterable(found))
