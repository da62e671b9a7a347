"""System calls that Python's `os` has no name for, through libc's syscall(2), and their errors as OSError.

Landlock, seccomp, capabilities and no_new_privs all come through here.  By ctypes, not by a library: on PyPI `landlock`
is a pre-release that takes 19 ms to import, pyseccomp (of 2021) takes 24 ms and libseccomp beside it, and Debian
packages neither; its python3-seccomp is on no index.  What we need of them is below and in landlock.py and
seccomp.py.  ctypes itself costs 2 ms, so nobody imports this file before it is known that a sandbox is wanted.
"""

import ctypes
import os

from .callnumbers import number

PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 28, 38, 39        # linux/prctl.h
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 23, 24, 47, 4

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call; octets are passed by their address, None as a null pointer.  Raises OSError."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result: int = _syscall(ctypes.c_long(number(name)), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(option: int, *arguments: int) -> int:
    """prctl(2), with the arguments that it does not use as zeros."""
    return call("prctl", option, *arguments, *[0] * (4 - len(arguments)))


def buffer(data: bytes) -> "ctypes.Array[ctypes.c_char]":
    """Memory that the kernel may write to, or that another structure points at."""
    return ctypes.create_string_buffer(data, len(data))


def address(memory: "ctypes.Array[ctypes.c_char]") -> int:
    """Where such memory is; it must live on for as long as anybody looks there."""
    return ctypes.addressof(memory)
