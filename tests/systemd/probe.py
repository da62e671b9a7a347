"""Started by a service's own unit in place of its program: what can be done from in there?  Prints one JSON object."""

import ctypes
import json
import os
import signal
import socket
import sys


def attempt(action):
    """True if it works, otherwise the error's name."""
    try:
        action()
    except OSError as error:
        return type(error).__name__ + f" {error.errno}"
    return True


def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as sock:
        sock.settimeout(2)
        sock.connect(address)
        sock.send(b"x")


def call(number, *arguments):
    if ctypes.CDLL(None, use_errno=True).syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "syscall")


def run_shell():
    pid = os.fork()
    if pid == 0:
        try:
            os.execv("/bin/sh", ["sh", "-c", "exit 0"])
        finally:
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        raise PermissionError(1, "exec")


def write(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def trace_a_child():
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        os.waitpid(pid, os.WUNTRACED)
        call(PTRACE, 16, pid, 0, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


PTRACE, MOUNT, UNSHARE = 101, 165, 272                  # x86_64
ATTEMPTS = {
    "read a file of the system": lambda: open("/usr/bin/env", "rb").close(),
    "read the shadow file": lambda: open("/etc/shadow", "rb").close(),
    "read root's home": lambda: os.listdir("/root"),
    "read a home": lambda: os.listdir("/home"),
    "write below /etc": lambda: write("/etc/fd0-was-here"),
    "write below /usr": lambda: write("/usr/fd0-was-here"),
    "write below /var": lambda: write("/var/fd0-was-here"),
    "become root": lambda: os.setuid(0),
    "connect by TCP": lambda: connect(socket.AF_INET, ("127.0.0.1", 7)),
    "connect by TCP over IPv6": lambda: connect(socket.AF_INET6, ("::1", 7)),
    "send by UDP": lambda: connect(socket.AF_INET, ("127.0.0.1", 7), socket.SOCK_DGRAM),
    "ask the kernel by netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
    "open a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(),
    "mount": lambda: call(MOUNT, b"none", b"/tmp", b"tmpfs", 0, 0),
    "make a user namespace": lambda: call(UNSHARE, 0x10000000),
    "trace another process": trace_a_child,
    "see other processes": lambda: open("/proc/1/status", "rb").close(),
    "log": lambda: connect(socket.AF_UNIX, "/dev/log", socket.SOCK_DGRAM),
    "run a shell": run_shell,
}

if __name__ == "__main__":
    found = {what: attempt(action) for what, action in ATTEMPTS.items()}
    found["capabilities"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")]
    found["no new privileges"] = "NoNewPrivs:\t1" in open("/proc/self/status").read()
    found["user"] = os.getuid()
    sys.stdout.write(json.dumps(found) + "\n")
