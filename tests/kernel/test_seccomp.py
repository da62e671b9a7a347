"""The filter, run here as the kernel would run it, for both architectures; and the numbers that it is made of."""

import re
import struct
from pathlib import Path

import pytest

from daemons.kernel import callnumbers, seccomp
from daemons.kernel.seccomp import ALLOW, ERRNO, KILL, Calls, program

MACHINES = ["x86_64", "aarch64"]
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38
HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}
machines = pytest.mark.parametrize("machine", MACHINES)


def verdict(filter_, number, *arguments, architecture):
    """What the filter returns for a call."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=iIQ6Q", number, architecture, 0, *words)
    accumulator, at = 0, 0
    code = list(struct.iter_unpack("HBBI", filter_))
    while True:
        operation, true, false, value = code[at]
        at += 1
        if operation == seccomp.LOAD:
            accumulator, = struct.unpack_from("=I", data, value)
        elif operation == seccomp.AND:
            accumulator &= value
        elif operation == seccomp.RETURN:
            return value
        else:
            met = {seccomp.EQUAL: accumulator == value, seccomp.GREATER: accumulator > value,
                   seccomp.ANY_BIT: bool(accumulator & value)}[operation]
            at += true if met else false


def ask(machine, name, *arguments, calls=None):
    return verdict(program(calls or Calls(), machine), callnumbers.number(name, machine), *arguments,
                   architecture=seccomp.ARCHITECTURES[machine])


@machines
def test_every_call_is_allowed_exactly_when_it_is_named(machine):
    calls = Calls()
    filter_, allowed = program(calls, machine), {callnumbers.of(name, machine) for name in calls.names()}
    checked = {callnumbers.number(name, machine) for name in calls.checked()}
    for number in range(callnumbers.LAST + 1):
        if number not in checked:
            said = verdict(filter_, number, architecture=seccomp.ARCHITECTURES[machine])
            assert said == (ALLOW if number in allowed else EPERM), number


@machines
def test_what_is_newer_than_the_table_is_not_there_and_another_architecture_is_killed(machine):
    filter_ = program(Calls(), machine)
    ours, x86_32 = seccomp.ARCHITECTURES[machine], 0x40000003
    for number in (callnumbers.LAST + 1, 0x40000000 | 39, 0x7fffffff):     # the second: x32's getpid
        assert verdict(filter_, number, architecture=ours) == ENOSYS
    others = {*seccomp.ARCHITECTURES.values(), x86_32} - {ours}
    assert {verdict(filter_, 0, architecture=other) for other in others} == {KILL}


@machines
@pytest.mark.parametrize("name, arguments, allowed", [
    ("socket", (1, 2), True), ("socket", (2, 1), False), ("socket", (10, 2), False), ("socket", (16, 3), False),
    ("socket", (17, 3), False), ("socket", (1 << 32 | 2, 1), False), ("socketpair", (1, 1), True),
    ("socketpair", (2, 1), False), ("clone", (0x1200011, 0), True), ("clone", (0x3d0f00, 0), True),
    ("clone", (0x10000000, 0), False), ("clone", (0x20000, 0), False), ("mmap", (0, 4096, 3), True),
    ("mmap", (0, 4096, 5), True), ("mmap", (0, 4096, 7), False), ("mmap", (0, 4096, 6), False),
    ("mprotect", (0, 4096, 3), True), ("mprotect", (0, 4096, 5), False), ("ioctl", (0, 0x5401), True),
    ("ioctl", (0, 0x5412), False), ("ioctl", (0, 0x541c), False), ("prctl", (15, 0), True), ("prctl", (8, 1), False),
    ("prlimit64", (0, 7), True), ("prlimit64", (1, 7), False)])
def test_arguments_are_looked_at(machine, name, arguments, allowed):
    assert ask(machine, name, *arguments) == (ALLOW if allowed else EPERM)


@machines
def test_clone3_is_not_there_so_that_libc_takes_clone(machine):
    assert ask(machine, "clone3") == ENOSYS


@machines
@pytest.mark.parametrize("attribute, value, name, arguments", [
    ("writes", True, "unlinkat", ()), ("runs", True, "execve", ()), ("calls", True, "bind", ()),
    ("listens", True, "listen", ()), ("datagrams", True, "socket", (2, 2)),
    ("datagrams", True, "socket", (10, 0x80802)),
    ("families", [2, 10], "socket", (10, 1)), ("families", [16], "socket", (16, 3))])
def test_a_need_opens_what_it_is_about(machine, attribute, value, name, arguments):
    calls = Calls()
    assert ask(machine, name, *arguments, calls=calls) == EPERM
    setattr(calls, attribute, value)
    assert ask(machine, name, *arguments, calls=calls) == ALLOW


@machines
def test_who_serves_datagrams_may_make_no_stream_socket(machine):
    calls = Calls()
    calls.datagrams = True
    assert ask(machine, "socket", 2, 1, calls=calls) == ask(machine, "socket", 10, 0x80801, calls=calls) == EPERM
    assert ask(machine, "socket", 1, 1, calls=calls) == ALLOW


@machines
def test_the_numbers_are_those_of_the_kernels_headers(machine):
    path = Path(HEADERS[machine])
    if not path.exists():
        pytest.skip(f"{path} is not there (Debian package linux-libc-dev)")
    known = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)\b", path.read_text()))
    if machine == "aarch64":            # names that stand for another call on architectures of 32 bits
        known |= dict(re.findall(r"#define __NR3264_(\w+)\s+(\d+)\b", path.read_text()))
        known["newfstatat"] = known.pop("fstatat")
    for row in callnumbers.TABLE.split():
        name = row.split(":")[0]
        found = callnumbers.of(name, machine)
        if found is None:
            assert name not in known, name
        else:
            assert str(found) == known[name], name


def test_another_architecture_is_told_of():
    with pytest.raises(OSError, match="no table of system calls for riscv64"):
        callnumbers.number("read", "riscv64")


def test_a_filter_is_short_enough():
    everything = Calls()
    everything.writes = everything.runs = everything.calls = everything.listens = everything.datagrams = True
    for machine in MACHINES:
        assert len(program(everything, machine)) // 8 < 4096        # BPF_MAXINSNS
