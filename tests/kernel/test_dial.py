"""Calling others."""

import socket

import pytest

from daemons.kernel import dial


def test_where_a_sandbox_forbids_sockets_nobody_is_reached(monkeypatch):
    def forbidden(*_):
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", forbidden)
    with pytest.raises(dial.NotReached, match=r"\[127.0.0.1\]:79 Address family not supported"):
        dial.call("127.0.0.1", 79)
