"""Whose address counts behind proxies: the right-most that no proxy of ours vouches for."""

import types

import pytest

from daemons.kernel.access import networks
from daemons.kernel.addresses import Address
from daemons.web.clients import client_of, is_trusted
from daemons.wire.httpfields import parse

OURS = networks("10.0.0.0/8 2001:db8:1::/48 127.0.0.1")
PEER = "10.0.0.1"


def found(*lines, peer=PEER, among=OURS):
    fields = parse("".join(f"{line}\r\n" for line in lines).encode("latin-1"))
    stream = types.SimpleNamespace(peer=Address(peer, 4711, "" if peer else "unix:"))
    return client_of(types.SimpleNamespace(stream=stream, request=types.SimpleNamespace(fields=fields)), among)


@pytest.mark.parametrize("lines, host", [
    (["X-Forwarded-For: 192.0.2.7"], "192.0.2.7"), (["X-Forwarded-For: 192.0.2.7:4711"], "192.0.2.7"),
    (["X-Forwarded-For: 198.51.100.1, 192.0.2.7"], "192.0.2.7"),                # the first is made up
    (["X-Forwarded-For: 192.0.2.7, 10.0.0.2, 10.0.0.3"], "192.0.2.7"),
    (["X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
    (["X-Forwarded-For: 10.0.0.9, 10.0.0.2"], "10.0.0.9"),                      # one of ours asks
    (["X-Forwarded-For: 2001:DB8:2::7, 2001:db8:1::1"], "2001:db8:2::7"),
    (["X-Forwarded-For: ::ffff:192.0.2.7, ::ffff:10.0.0.2"], "192.0.2.7"),
    (["X-Forwarded-For: 192.0.2.7, unknown, 10.0.0.2"], "10.0.0.2"),            # nobody vouches for what is left of it
    (["Forwarded: for=192.0.2.7"], "192.0.2.7"),
    (['Forwarded: for="[2001:db8:2::7]:80", for=10.0.0.2'], "2001:db8:2::7"),
    (["X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7;proto=https"], "192.0.2.7"),
])
def test_who_is_believed(lines, host):
    assert found(*lines) == (host, "forwarded")


@pytest.mark.parametrize("lines", [
    [], ["X-Forwarded-For:"], ["X-Forwarded-For: unknown"], ["X-Forwarded-For: 192.0.2.7, evil"],
    ["X-Forwarded-For: 192.0.2.300"], ["X-Forwarded-For: 192.0.2.7,"], ["Forwarded: for=_hidden"],
    ['Forwarded: for="', "Forwarded: for=192.0.2.7"], ["X-Forwarded-For: 192.0.2.7", "Forwarded: for=198.51.100.1"],
    ["X-Forwarded-For: 192.0.2.7", "Forwarded: for=_hidden"], ["X-Real-IP: 192.0.2.7"]])
def test_who_is_not(lines):
    assert found(*lines) == (PEER, "peer")


def test_strangers_speak_for_nobody():
    assert found("X-Forwarded-For: 198.51.100.1", peer="192.0.2.7") == ("192.0.2.7", "peer")
    assert found("X-Forwarded-For: 198.51.100.1", among=None) == (PEER, "peer")
    assert found("X-Forwarded-For: 198.51.100.1", among=[]) == (PEER, "peer")


def test_a_unix_socket_is_ours_where_anybody_is():
    assert found("X-Forwarded-For: 192.0.2.7", peer="") == ("192.0.2.7", "forwarded")
    assert found("X-Forwarded-For: 192.0.2.7", peer="", among=None) == ("", "peer")


def test_names_are_not_looked_up(monkeypatch):
    monkeypatch.setattr("daemons.kernel.access.name_of", lambda host: pytest.fail("looked up"))
    assert not is_trusted("192.0.2.7", networks("proxy.example .example.org"))
