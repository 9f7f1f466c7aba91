"""A file of text -> its lines, whatever it is packed and encoded in."""

import gzip

import pytest

from tests.support.formats import TEXTS, failure
from tests.support.rows import write


@pytest.mark.parametrize("name", ["list", "lines", "csv"])
def test_a_wrong_encoding_says_the_line(tmp_path, name):
    first, rest = TEXTS[name].replace("\\u00fc", "ü").replace("\u2028", "").replace("😀", "").split("ü", 1)
    message = failure(write(tmp_path / "a", f"{first}ü{rest}".encode("latin-1")))
    assert f"a: line {first.count(chr(10)) + 1}, byte" in message
    assert "is not UTF-8" in message


def test_truncated_and_broken_gzip(tmp_path):
    packed = gzip.compress(TEXTS["lines"].encode() * 100, mtime=0)
    assert "cannot be read: EOFError" in failure(write(tmp_path / "a", packed[:-30]))
    assert "cannot be read: BadGzipFile" in failure(write(tmp_path / "b", packed[:-8] + b"12345678"))
