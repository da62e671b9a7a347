"""What were we given?  The kernel is asked, and what the environment says is doubted."""

import fcntl
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel import inherited
from daemons.kernel.inherited import (
    Nothing,
    forget_launcher,
    kind_of,
    listen_fds,
    listen_names,
    look,
    own,
    standard_input,
)
from daemons.kernel.listening import bound
from daemons.kernel.options import read
from daemons.kernel.service import Service
from tests.kernel.forked import everything, forked

SERVICE = Service("exampled", about="Be an example.", sockets=("stream", "dgram"))


@pytest.fixture(autouse=True)
def _own_state(monkeypatch):
    for name, value in (("manager", ""), ("standing", [])):
        monkeypatch.setattr(inherited, name, value)


def options(*arguments):
    return read(SERVICE, ["--config=/dev/null", *arguments], {})


def put(*fds):
    """Have exactly these at descriptors 3 and up, in a child; nothing follows them."""
    lifted = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 500) for fd in fds]
    os.closerange(3, 3 + len(fds) + 1)
    for place, fd in enumerate(lifted):
        os.dup2(fd, 3 + place, inheritable=True)
        os.close(fd)


def passed(environ, always="own", fds=()):
    """In a child: (what listen_fds returned or why not, the warnings)."""
    def there():
        put(*(sock.fileno() for sock in fds))
        warnings = []
        try:
            found = listen_fds({name: value.replace("OURS", str(os.getpid())) for name, value in environ.items()},
                               os.getpid(), always, warnings.append)
        except Nothing as nothing:
            found = str(nothing)
        return found, warnings, [os.get_inheritable(3 + place) for place in range(len(fds))]
    return forked(there)


# -- LISTEN_FDS --

def test_descriptors_that_are_meant_for_us_are_ours_and_nobody_elses():
    pair = socket.socketpair()
    assert passed({"LISTEN_FDS": "2", "LISTEN_PID": "OURS"}, fds=pair) == [[3, 4], [], [False, False]]


@pytest.mark.parametrize("count", ["", "0"])
def test_no_descriptors_are_none(count):
    assert passed({"LISTEN_FDS": count, "LISTEN_PID": "OURS"}) == [[], [], []]
    assert passed({}) == [[], [], []]


@pytest.mark.parametrize("count", ["x", "-1", "1.5", " 1", "1_0", "\u0663", "4096", "0x1",
                                   pytest.param("9" * 5000, id="digits")])
def test_a_number_of_descriptors_that_is_none_is_warned_of(count):
    found, warnings, _ = passed({"LISTEN_FDS": count, "LISTEN_PID": "OURS"}, fds=socket.socketpair())
    assert found == [] and "is not a number of descriptors" in warnings[0]


@pytest.mark.parametrize("foreign", ["1", "", "OURS0", "x", "\u0661"])
def test_descriptors_for_another_process_are_warned_of_with_both_ids(foreign):
    pair = socket.socketpair()
    found, (warning,), _ = passed({"LISTEN_FDS": "1", "LISTEN_PID": foreign}, fds=pair)
    assert found == [] and (foreign.replace("OURS", "") or "none named") in warning and "we are" in warning
    assert passed({"LISTEN_FDS": "1", "LISTEN_PID": foreign}, "always", pair)[:2] == [[3], []]


def test_a_process_that_has_our_number_and_is_another_is_told_apart():
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "OURS", "LISTEN_PIDFDID": "1"}
    found, (warning,), _ = passed(environ, fds=socket.socketpair())
    assert found == [] and "LISTEN_PIDFDID is 1" in warning


def test_a_descriptor_that_is_not_there_or_no_socket_stops_the_start():
    pair = socket.socketpair()
    assert passed({"LISTEN_FDS": "3", "LISTEN_PID": "OURS"}, fds=pair)[0] == \
        "LISTEN_FDS=3, but descriptor 5 is not open"
    with open("/dev/null", "rb") as null:
        assert "descriptor 3 is no socket but /dev/null" in \
            passed({"LISTEN_FDS": "1", "LISTEN_PID": "OURS"}, fds=[null])[0]


@pytest.mark.parametrize("text, names", [
    (None, ["unknown", "unknown"]), ("", ["unknown", "unknown"]), ("a", ["a", "unknown"]), ("a:b", ["a", "b"]),
    ("a:a", ["a", "a"]), ("a:b:c", ["a", "b"]), (":", ["", ""])])
def test_names_may_be_missing_too_few_or_twice_the_same(text, names):
    assert listen_names({} if text is None else {"LISTEN_FDNAMES": text}, 2) == names


@given(st.text(), st.integers(0, 20))
def test_there_is_a_name_for_each_descriptor(text, count):
    assert len(listen_names({"LISTEN_FDNAMES": text}, count)) == count


def test_what_the_launcher_said_to_us_is_forgotten():
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a", "LISTEN_PIDFDID": "1", "PATH": "/bin",
               "NOTIFY_SOCKET": "/run/notify"}
    forget_launcher(environ)
    assert environ == {"PATH": "/bin"} and inherited.manager == "/run/notify"
    forget_launcher(environ)
    assert environ == {"PATH": "/bin"}


# -- what the kernel says --

def kinds():
    """Sockets of each kind and what they are."""
    listener = socket.create_server(("127.0.0.1", 0))
    yield listener, "listener"
    yield socket.create_connection(listener.getsockname()), "connection"
    yield bound(("", 0), "stream"), "listener"
    yield bound(("", 0), "dgram"), "datagrams"
    ours, theirs = socket.socketpair()
    yield ours, "connection"
    theirs.close()
    yield ours, "connection"            # gone already: still a conversation, which ends at once
    yield socket.socketpair(type=socket.SOCK_DGRAM)[0], "datagrams"
    yield socket.socketpair(type=socket.SOCK_SEQPACKET)[0], "connection"


def test_a_socket_is_what_the_kernel_says():
    for sock, kind in kinds():
        given = kind_of(sock, "web")
        assert (given.kind, given.name, given.ours, given.sock) == (kind, "web", False, sock)
        assert " named web" in str(given) and kind in str(given)
    assert not kind_of(ours_and_gone(), "").name


def ours_and_gone():
    """A connection whose peer left."""
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


def test_a_socket_on_descriptor_0_is_found_with_its_family_and_taken_away():
    def there():
        os.dup2(sock.fileno(), 0)
        given = standard_input()
        return given.kind, given.sock.family, os.readlink("/proc/self/fd/0"), os.get_inheritable(given.sock.fileno())

    for sock, kind in kinds():
        assert forked(there) == [kind, sock.family, "/dev/null", False]


def test_two_pipes_are_a_conversation():
    reader, writer = os.pipe()
    os.write(writer, b"hello")

    def there():
        os.dup2(reader, 0)
        os.dup2(writer, 1)
        given = standard_input()
        os.write(given.output, b" you")
        return (given.kind, os.read(given.input, 100).decode(), os.readlink("/proc/self/fd/0"),
                os.readlink("/proc/self/fd/1"), standard_input([("127.0.0.1", 0)]))

    assert forked(there) == ["pipes", "hello you", "/dev/null", "/dev/null", None]
    os.close(writer)
    assert everything(reader) == b""


def test_a_terminal_is_a_conversation():
    def there():
        os.dup2(terminal, 0)
        return standard_input().kind, standard_input([("", 7)])

    master, terminal = os.openpty()
    assert forked(there) == ["terminal", None]
    os.close(master)
    os.close(terminal)


@pytest.mark.parametrize("prepare", [lambda: os.close(0), lambda: os.dup2(os.open("/dev/null", os.O_RDWR), 0)],
                         ids=["closed", "null"])
def test_nothing_usable_is_said_with_what_was_there_and_what_to_do(prepare):
    def there():
        prepare()
        os.environ.pop("LISTEN_FDS", None)
        with pytest.raises(Nothing) as nothing:
            look(options(), print)
        return str(nothing.value)

    text = forked(there)
    assert "no socket on descriptor 0 but " in text and "--listen=" in text


def test_descriptors_of_systemd_go_before_descriptor_0():
    listener, other = socket.create_server(("127.0.0.1", 0)), socket.socketpair()[0]

    def there():
        os.dup2(other.fileno(), 0)
        put(listener.fileno())
        os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "web"}
        return [str(one) for one in look(options(), print)], "LISTEN_FDS" in os.environ

    port = listener.getsockname()[1]
    assert forked(there) == [[f"inet listener at [127.0.0.1]:{port} on descriptor 3 named web"], False]


# -- our own --

def test_both_kinds_get_the_same_port():
    one, other = own(options("--listen=127.0.0.1:0"))
    assert (one.kind, other.kind, one.ours, other.ours) == ("listener", "datagrams", True, True)
    assert one.sock.getsockname() == other.sock.getsockname()


def test_a_path_holds_one_socket(tmp_path):
    one, = own(options(f"--listen=unix:{tmp_path}/x"))
    assert (one.kind, one.sock.getsockname()) == ("listener", f"{tmp_path}/x")


def test_the_launcher_is_our_parent():
    with open("/proc/self/comm", encoding="ascii") as file:
        ours = file.read().strip()
    assert forked(inherited.launcher) == ours
