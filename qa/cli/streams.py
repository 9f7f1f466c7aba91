"""The standard streams of a command: open, with any letter, and what is done where the output cannot be written."""

import errno
import io
import os
import sys

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


def open_streams() -> None:
    """Make the standard streams what a command expects.

    A stream that was closed is empty, or takes everything. Letters are escaped that a console's code page, such as
    cp1252, lacks: most of them.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_of_output(error: OSError) -> bool:
    """Return whether an error says that standard output cannot be written."""
    if isinstance(error, BrokenPipeError):
        return True
    try:
        sys.stdout.flush()
    except OSError:
        return True
    # A buffer would hold what was not written.
    is_buffered = isinstance(getattr(sys.stdout, "buffer", None), io.BufferedWriter)
    return not is_buffered and error.filename is None and error.errno in _FULL


def flushed(status: int) -> int:
    """Write what standard output still holds; return the status, 1 where that was 0 and it cannot be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return status or give_up_output(error)
    return status


def give_up_output(error: OSError) -> int:
    """Say that standard output cannot be written, unless its reader has seen enough, as `head` has; return 1.

    What cannot be written is dropped, else Python tries again at its end, with a traceback and a status of its own.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        print(f"error: cannot write standard output: {error.strerror}", file=sys.stderr)  # noqa: T201
    return 1
