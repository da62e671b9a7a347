"""Socket options that somebody chose, on the sockets that they suit."""

import socket

import pytest

from daemons.kernel.options import read
from daemons.kernel.service import Service
from daemons.kernel.sockopts import ROWS, apply, chosen, named

SERVICE = Service("exampled", about="Be an example.")
KINDS = {"tcp": (socket.AF_INET, socket.SOCK_STREAM), "udp": (socket.AF_INET, socket.SOCK_DGRAM),
         "unix": (socket.AF_UNIX, socket.SOCK_STREAM)}


def options(*arguments):
    return read(SERVICE, ["--config=/dev/null", *arguments], {})


def test_who_sets_nothing_changes_nothing():
    assert chosen(options()) == []


@pytest.mark.parametrize("name, suits", [
    ("keepalive", ["tcp", "unix"]), ("nodelay", ["tcp"]), ("oobinline", ["tcp", "unix"]), ("broadcast", ["udp"]),
    ("dontroute", ["tcp", "udp", "unix"])])
def test_a_switch_is_set_where_it_suits(name, suits):
    row, = [row for row in ROWS if row[0] == name]
    for kind, (family, type_) in KINDS.items():
        with socket.socket(family, type_) as sock:
            apply(sock, chosen(options(f"--{name}")))
            if kind in suits:
                assert sock.getsockopt(row[4], row[5])
            elif row[4] == socket.SOL_SOCKET:
                assert not sock.getsockopt(row[4], row[5])


def test_no_is_set_as_well():
    with socket.socket() as sock:
        apply(sock, named(["keepalive", "nodelay"]))
        apply(sock, chosen(options("--nodelay=no")))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0


@pytest.mark.parametrize("name, option", [("send-buffer", socket.SO_SNDBUF), ("receive-buffer", socket.SO_RCVBUF)])
def test_buffers(name, option):
    with socket.socket() as sock:
        apply(sock, chosen(options(f"--{name}=16K")))
        assert sock.getsockopt(socket.SOL_SOCKET, option) == 2 * 16384      # socket(7): the kernel doubles it


def test_what_the_kernel_refuses_is_named():
    with socket.socket() as sock, pytest.raises(OSError, match="--bind-to-device: No such device"):
        apply(sock, chosen(options("--bind-to-device=nosuch0")))


def test_every_row_is_an_option():
    assert {row[0] for row, _ in chosen(options(*(f"--{row[0]}={'x' if row[0] == 'bind-to-device' else 'no'}"
                                                  for row in ROWS if row[1].__name__ != "size")))} \
        == {row[0] for row in ROWS if row[1].__name__ != "size"}
