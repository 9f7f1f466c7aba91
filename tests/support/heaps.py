"""Freed memory that an allocator keeps, and what of a process is resident."""

import ctypes
import resource
import sys
from pathlib import Path

import pytest

from qa.runtime.cores import trim_freed_memory

_BLOCK, _BLOCKS = 60_000, 1600  # bytes, fewer than are mapped for themselves
_KEPT_EACH = 16  # of 96 MB a sixteenth stays
FREED = _BLOCK * _BLOCKS * (_KEPT_EACH - 1) // _KEPT_EACH

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
on_glibc = pytest.mark.skipif(
    not hasattr(_libc, "gnu_get_libc_version"), reason="only glibc keeps what is freed, and is told not to"
)


def make_holes():
    """Allocate, and free all but some blocks between, so that the allocator cannot return the rest by itself."""
    _libc.malloc.restype, _libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [_libc.malloc(_BLOCK) for _ in range(_BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, _BLOCK)
    for at, block in enumerate(blocks):
        if at % _KEPT_EACH:
            _libc.free(block)
    return blocks[::_KEPT_EACH]


def fill_holes(kept):
    """Free the blocks between, too."""
    for block in kept:
        _libc.free(block)


def resident():
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def returned():
    """Give back what is freed between other blocks; return how many bytes that were."""
    before = resident()
    trim_freed_memory()
    return before - resident()
