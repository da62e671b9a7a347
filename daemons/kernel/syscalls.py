"""System calls that Python's `os` has no name for, through libc's syscall(2), and their errors as OSError.

Landlock, seccomp, capabilities and no_new_privs all come through here.  By ctypes, not by a library: on PyPI `landlock`
is a pre-release that takes 19 ms to import, pyseccomp (of 2021) takes 24 ms and libseccomp beside it, and Debian
packages neither; its python3-seccomp is on no index.  What we need of them is in landlock.py and seccomp.py.

And by the part of ctypes that is written in C: the package around it takes 2 ms to import, 20 where libffi has to look
for a place where code may be written, this 0.5, and is 300 KiB that every fork would have to map.
Nobody imports this file before it is known that a sandbox is wanted.
"""

import _ctypes
import os

from .callnumbers import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 28, 38, 39        # linux/prctl.h
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 23, 24, 47, 4


class _Long(_ctypes._SimpleCData):      # type: ignore[type-arg]
    _type_ = "l"


class _Char(_ctypes._SimpleCData):      # type: ignore[type-arg]
    _type_ = "c"


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Long


_libc = _ctypes.dlopen(None, os.RTLD_NOW)          # type: ignore[arg-type]
_syscall: "Any" = _Function(_ctypes.dlsym(_libc, "syscall"))


class Memory:
    """Octets at an address that stays: for what the kernel writes, or what another structure points at."""

    def __init__(self, data: bytes) -> None:
        kind: Any = type("_Octets", (_ctypes.Array,), {"_type_": _Char, "_length_": len(data)})
        self.octets = kind()
        self.octets.raw = data
        self.address: int = _ctypes.addressof(self.octets)

    def read(self) -> bytes:
        """What is there now."""
        return bytes(self.octets.raw)


def call(name: str, *arguments: int | bytes | Memory | None) -> int:
    """Make a system call; octets are passed by their address, None as a null pointer.  Raises OSError."""
    words = [_Long(word) if isinstance(word, int) else word.octets if isinstance(word, Memory) else word
             for word in arguments]
    result: int = _syscall(_Long(number(name)), *words)
    if result < 0:
        code = _ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(option: int, *arguments: int) -> int:
    """prctl(2), with the arguments that it does not use as zeros."""
    return call("prctl", option, *arguments, *[0] * (4 - len(arguments)))
