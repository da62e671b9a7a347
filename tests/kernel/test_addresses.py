"""Ends of a conversation, as logged and as counted."""

import os
import socket

import pytest

from daemons.kernel.addresses import Address, address, local_of, peer_of


@pytest.mark.parametrize("name, written, source", [
    (("192.0.2.1", 25), "[192.0.2.1]:25", "192.0.2.1"),
    (("::ffff:192.0.2.1", 25, 0, 0), "[192.0.2.1]:25", "192.0.2.1"),
    (("2001:db8:1:2:3::4", 25, 0, 0), "[2001:db8:1:2:3::4]:25", "2001:db8:1:2::/64"),
    (("2001:db8:1:2::", 1, 0, 0), "[2001:db8:1:2::]:1", "2001:db8:1:2::/64"),
    (("fe80::1%lo", 9, 0, 1), "[fe80::1%lo]:9", "fe80::/64"),
    (("::ffff:0:1", 9, 0, 0), "[::ffff:0:1]:9", "::/64"),
    (("::1", 9, 0, 0), "[::1]:9", "::/64"),
    ("/run/fd0/x", "unix:/run/fd0/x", "unix:/run/fd0/x"),
    (b"\0x\0y", "unix:@x\0y", "unix:@x\0y"),
    (b"\0\xff", "unix:@\\xff", "unix:@\\xff"),
    ("", "unix:", "unix:"),
])
def test_names_from_the_kernel(name, written, source):
    found = address(name)
    assert (str(found), found.source) == (written, source)


def test_what_is_not_on_the_internet_has_no_host():
    assert [address("/x").host, Address(word="pipes").host, str(Address(word="pipes")), str(Address())] == \
        ["", "", "pipes", "unknown"]


def test_neighbours_in_a_64_count_as_one_and_others_do_not():
    one, two, other = (Address(host).source for host in ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"))
    assert one == two != other


def test_both_ends_of_a_connection():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    ours, _ = listener.accept()
    assert str(peer_of(ours)) == str(local_of(client)) == "[127.0.0.1]:%d" % client.getsockname()[1]


def test_a_peer_behind_a_unix_socket_is_known_by_its_user():
    ours, _theirs = socket.socketpair()
    assert str(peer_of(ours)) == f"unix:uid={os.getuid()}"


def test_a_peer_that_is_gone_is_none():
    assert peer_of(socket.socket()) is None


def test_a_socket_that_is_closed_has_no_address():
    closed = socket.socket()
    closed.close()
    assert str(local_of(closed)) == "unknown"
