"""Kill a function at each of its system calls in turn, by ptrace: no moment is left out, Rust's and C's included."""

import ctypes
import os
import signal
import sys
import traceback

_TRACEME, _SYSCALL, _SETOPTIONS, _EXITKILL, _SYSGOOD = 0, 24, 0x4200, 0x100000, 1
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def killed_at(function, number):
    """Run `function` in a fork, killed at the entry of its system call `number`; False if it ended before."""
    child = os.fork()
    if child == 0:
        try:
            _libc.ptrace(_TRACEME, 0, None, None)
            os.kill(os.getpid(), signal.SIGSTOP)
            function()
            os._exit(0)
        except BaseException:  # noqa: BLE001
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSTOPPED(status), "ptrace is not allowed here"
    _libc.ptrace(_SETOPTIONS, child, None, _EXITKILL | _SYSGOOD)
    stops, passed_on = 0, 0
    while True:
        _libc.ptrace(_SYSCALL, child, None, passed_on)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            assert status == 0, f"the function itself failed: {status}"
            return False
        is_call = os.WSTOPSIG(status) == signal.SIGTRAP | 0x80
        passed_on = 0 if is_call else os.WSTOPSIG(status)
        stops += is_call
        if is_call and stops == 2 * number + 1:  # each call stops twice: before and after
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True


def every_kill(function, *, prepare):
    """Prepare, kill at call 0, 1, 2, …, yield each time; ends when the function comes to its end."""
    number = 0
    while True:
        prepare()
        if not killed_at(function, number):
            return
        yield number
        number += 1
