"""escaped: tries on command what an intruder would try from inside a conversation.  Only tests start it.

A line names an attempt and what it is about; the answer is `done`, or `refused` and the error's name.
"""

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket

from daemons.kernel import callnumbers
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Service

SERVICE = Service("escaped", about="Try to get out.", sockets=("stream",),
                  events=(Event("tried", "info", "session what result", "an attempt that cost us the conversation"),))

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUTS, CLONE_NEWUSER, MS_BIND, PTRACE_SEIZE = 0x04000000, 0x10000000, 4096, 0x4206
# calls that no program needs: their numbers on x86_64 and aarch64, and arguments that do no harm
NEEDLESS = {"io_uring_setup": (425, 425, 1, 0), "keyctl": (250, 219, 0, -3, 0),
            "perf_event_open": (298, 241, 0, 0, -1, -1, 0),
            "process_vm_readv": (310, 270, 1, 0, 0, 0, 0, 0), "bpf": (321, 280, 99, 0, 0), "userfaultfd": (323, 282, 0),
            "memfd_create": (319, 279, b"x", 0), "setns": (308, 268, -1, 0), "add_key": (248, 217, 0, 0, 0, 0, 0),
            "init_module": (175, 105, 0, 0, 0), "kexec_load": (246, 104, 0, 99, 0, 1 << 40), "swapon": (167, 224, 0, 0),
            "open_by_handle_at": (304, 265, -1, 0, 0), "pivot_root": (155, 41, 0, 0), "settimeofday": (164, 170, 1, 1)}


def checked(result):
    """What a function of libc returned; raises OSError."""
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def opens_to_write(path):
    os.close(os.open(path, os.O_WRONLY))


def reads(path):
    with open(path, "rb") as file:
        file.read(1)


def lists(path):
    os.listdir(path)


def makes(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def removes(path):
    os.unlink(path)


def truncates(path):
    os.truncate(path, 0)


def links(path):
    os.link(path, f"{path}.link")


def changes_mode(path):
    os.chmod(path, 0o4755)


def changes_owner(path):
    os.chown(path, 1, 1)


def executes(path):
    pid = os.posix_spawn(path, [path, "-c", "exit 7"], {})
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def in_a_child(function):
    """The attempt made by a forked child, which it may change for good; raises the OSError that the child met."""
    def attempt(about):
        pid = os.fork()
        if pid == 0:
            try:
                function(about)
            except OSError as error:
                os._exit(error.errno)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise OSError(status, "")
    attempt.__name__ = function.__name__
    return attempt


@in_a_child
def becomes_another(path):
    os.execv(path, [path, "-c", "exit 0"])


def calls_by_tcp(port):
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", int(port)))


def calls_by_udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"out", ("127.0.0.1", int(port)))


def calls_abstract(name):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"\0{name}")


def listens(_):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()


def binds_abstract(name):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"\0{name}")


def makes_a_socket(family):
    kind = socket.SOCK_RAW if family in ("16", "17") else socket.SOCK_STREAM        # AF_NETLINK, AF_PACKET
    socket.socket(int(family), kind).close()


def becomes_root(_):
    os.setresuid(0, 0, 0)


def changes_groups(_):
    os.setgroups([0])


@in_a_child
def changes_root(path):
    os.chroot(path)


@in_a_child
def traces(pid):
    checked(LIBC.ptrace(PTRACE_SEIZE, int(pid), None, None))


def mounts(path):
    checked(LIBC.mount(path.encode(), path.encode(), None, MS_BIND, None))
    checked(LIBC.umount2(path.encode(), 0))


@in_a_child
def unshares(_):
    checked(LIBC.unshare(CLONE_NEWUTS))


def clones_a_user_namespace(_):
    pid = checked(LIBC.syscall(callnumbers.number("clone"), CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def kills(pid):
    os.kill(int(pid), signal.SIGCONT)


def limits_another(pid):
    resource.prlimit(int(pid), resource.RLIMIT_CORE, (0, 0))


def writes_code(_):
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC):
        pass


def turns_data_into_code(_):
    memory = mmap.mmap(-1, 4096)
    at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    checked(LIBC.mprotect(ctypes.c_void_p(at), 4096, mmap.PROT_READ | mmap.PROT_EXEC))


def does_the_needless(name):
    x86, arm, *arguments = NEEDLESS[name]
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    checked(LIBC.syscall(ctypes.c_long(x86 if os.uname().machine == "x86_64" else arm), *words))


ATTEMPTS = {one.__name__: one for one in (
    opens_to_write, reads, lists, makes, removes, truncates, links, changes_mode, changes_owner, executes,
    becomes_another, calls_by_tcp, calls_by_udp, calls_abstract, listens, binds_abstract, makes_a_socket, becomes_root,
    changes_groups, changes_root, traces, mounts, unshares, clones_a_user_namespace, kills, limits_another, writes_code,
    turns_data_into_code, does_the_needless)}


def outcome(attempt, about):
    """The answer to one line."""
    try:
        attempt(about)
    except OSError as error:
        return f"refused {errno.errorcode.get(error.errno, error.errno)}"
    return "done"


def calls_from_here(stream, port):
    """Take the peer's own connection, dissolve it, and call somebody else with its socket."""
    fd = stream.transport.fileno()
    checked(LIBC.connect(fd, bytes(16), 16))            # AF_UNSPEC
    there = socket.AF_INET.to_bytes(2, "little") + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    checked(LIBC.connect(fd, there, 16))


def talk(stream, options):
    while True:
        what, _, about = stream.line(4096).decode().partition(" ")
        if what == "quit":
            return "quit"
        if what == "calls_from_here":
            result = outcome(lambda port: calls_from_here(stream, int(port)), about)
            stream.log("tried", what=what, result=result)
            return "quit"
        stream.say(outcome(ATTEMPTS[what], about))


if __name__ == "__main__":
    main(SERVICE, talk)
