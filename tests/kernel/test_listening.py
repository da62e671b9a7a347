"""Sockets that we bind ourselves."""

import errno
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel.listening import bound, listen, shown

BOTH = socket.has_dualstack_ipv6()


@pytest.mark.parametrize("text, where", [
    ("127.0.0.1:7", ("127.0.0.1", 7)), ("[::1]:7", ("::1", 7)), (":7", ("", 7)), ("*:0", ("", 0)),
    ("localhost:65535", ("localhost", 65535)), ("unix:/run/x:y", ("/run/x:y", None))])
def test_where_to_listen(text, where):
    assert listen(text) == where
    assert listen(shown(where)) == where or "localhost" in text or where[0][:1] in "1/"


@pytest.mark.parametrize("text", ["", "7", "127.0.0.1", "::1:7", "a:", "a:-1", "a:65536", "a:7_0", "a:\u0667",
                                  "unix:x", "a:99999", pytest.param("a:" + "9" * 5000, id="digits")])
def test_where_nobody_can_listen(text):
    with pytest.raises(ValueError, match="write"):
        listen(text)


@given(st.text())
def test_any_text_is_a_place_or_a_value_error(text):
    try:
        host, port = listen(text)
    except ValueError:
        return
    assert host.startswith("/") if port is None else 0 <= port < 65536


def test_port_0_is_any_free_port():
    with bound(("127.0.0.1", 0), "stream") as one, bound(("127.0.0.1", 0), "stream") as other:
        assert 0 != one.getsockname()[1] != other.getsockname()[1] != 0
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


@pytest.mark.parametrize("family, reached", [(None, {4, 6} if BOTH else {4}), (4, {4}), *([(6, {6})] if BOTH else [])])
def test_no_host_is_every_address_of_the_families_that_were_asked_for(family, reached):
    with bound(("", 0), "stream", family=family) as listener:
        port = listener.getsockname()[1]
        for version, host in ((4, "127.0.0.1"), (6, "::1")):
            try:
                socket.create_connection((host, port), timeout=5).close()
            except OSError:
                assert version not in reached
            else:
                assert version in reached


def test_a_port_of_closing_connections_can_be_bound_again():
    with bound(("127.0.0.1", 0), "stream") as listener:
        where = listener.getsockname()
        with socket.create_connection(where):
            listener.accept()[0].close()        # the side that closes first keeps the port for a minute
    with pytest.raises(OSError, match="in use"):
        bound(where, "stream", reuse=False)
    bound(where, "stream").close()


def test_a_port_that_is_taken_is_named():
    with bound(("127.0.0.1", 0), "dgram") as taken:
        where = taken.getsockname()
        with pytest.raises(OSError, match=rf"cannot listen at \[127.0.0.1\]:{where[1]}: Address already") as wrong:
            bound(where, "dgram")
    assert wrong.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("sort", ["stream", "dgram"])
def test_a_stale_unix_socket_is_replaced(tmp_path, sort):
    where = str(tmp_path / "socket"), None
    bound(where, sort).close()
    assert os.path.exists(where[0])
    bound(where, sort).close()


@pytest.mark.parametrize("sort", ["stream", "dgram"])
def test_a_living_unix_socket_is_left_alone(tmp_path, sort):
    where = str(tmp_path / "socket"), None
    with bound(where, sort) as living:
        inode = os.stat(where[0]).st_ino
        with pytest.raises(OSError, match=f"cannot listen at unix:{where[0]}: Address already in use"):
            bound(where, sort)
        assert os.stat(where[0]).st_ino == inode and living.getsockname() == where[0]


def test_a_unix_socket_whose_queue_is_full_is_alive(tmp_path):
    where = str(tmp_path / "socket"), None
    with bound(where, "stream") as living:
        living.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(where[0])
            with pytest.raises(OSError, match="in use"):
                bound(where, "stream")


def test_a_file_at_that_path_is_not_removed(tmp_path):
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        bound((str(file), None), "stream")
    assert file.read_text() == "precious"


@pytest.mark.parametrize("where, why", [
    (("/" + "x" * 200, None), "too long"), (("/nonexistent/x", None), "No such file"),
    (("192.0.2.1", 0), "Cannot assign"), (("[", 0), "not known")])
def test_why_it_cannot_listen_is_said(where, why):
    with pytest.raises(OSError, match=why):
        bound(where, "stream")
