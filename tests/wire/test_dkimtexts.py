"""DKIM's bodies by the examples of RFC 6376, keys by those of RFC 8463, and lists of keys."""

import base64
import hashlib
import random

import pytest

from daemons.wire import dkimtexts
from daemons.wire.dkimtexts import Body


def form(octets, relaxed, size=None):
    """A body in its form, heard in pieces of this size."""
    body = Body(relaxed)
    size = size or len(octets) or 1
    pieces = [body.feed(octets[start:start + size]) for start in range(0, len(octets), size)]
    whole = b"".join([*pieces, body.end()])
    assert body.size == len(whole)
    return whole


@pytest.mark.parametrize("size", [None, 1, 2, 3])
@pytest.mark.parametrize("octets, relaxed, simple", [
    (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n", b" C \r\nD \t E\r\n"),          # RFC 6376, 3.4.5
    (b"", b"", b"\r\n"), (b"\r\n\r\n", b"", b"\r\n"), (b" \r\n\t\r\n", b"", b" \r\n\t\r\n"),
    (b"a", b"a\r\n", b"a\r\n"), (b"a\r\n\r\n b", b"a\r\n\r\n b\r\n", b"a\r\n\r\n b\r\n"),
    (b"a \t \r\n\r\n  \r\nb\r\n", b"a\r\n\r\n\r\nb\r\n", b"a \t \r\n\r\n  \r\nb\r\n")])
def test_forms(octets, relaxed, simple, size):
    assert form(octets, True, size) == relaxed
    assert form(octets, False, size) == simple


def test_forms_are_those_of_another():
    canonicalization = pytest.importorskip("dkim.canonicalization")
    chance = random.Random(1)
    for _ in range(300):
        octets = b"".join(chance.choices([b"\r\n", b" ", b"\t", b"a", b"bc"], k=chance.randrange(20))) + b"\r\n"
        for relaxed, other in ((True, canonicalization.Relaxed), (False, canonicalization.Simple)):
            assert form(octets, relaxed, chance.randrange(1, 5)) == other.canonicalize_body(octets)


def test_the_hash_of_rfc_8463():
    text = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
    digest = hashlib.sha256(form(text, True)).digest()
    assert base64.b64encode(digest) == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="


def test_keys():
    # RFC 8463, A.2
    secret = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    public = base64.b64decode("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(dkimtexts.BEFORE_SEED + secret) + \
        b"-----END PRIVATE KEY-----\n"
    assert dkimtexts.key_of(pem) == (dkimtexts.ED25519, secret)
    assert dkimtexts.record(dkimtexts.ED25519, public) == \
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    rsa = b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
    assert dkimtexts.key_of(rsa) == (dkimtexts.RSA, rsa)
    for wrong in (b"", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                  b"-----END PRIVATE KEY-----\n-----BEGIN PRIVATE KEY-----\n"):
        with pytest.raises(ValueError, match="not a private key"):
            dkimtexts.key_of(wrong)


def test_strings_of_a_zone():
    assert dkimtexts.strings("a" * 300) == f'"{"a" * 255}" "{"a" * 45}"'


def test_lines():
    found = dkimtexts.lines("# keys\nExample.org mail2026 /etc/a.key # new\n\nexample.org ed.b /etc/b.key\n")
    assert [(one.domain, one.selector, one.path) for one in found] == [
        ("example.org", "mail2026", "/etc/a.key"), ("example.org", "ed.b", "/etc/b.key")]


@pytest.mark.parametrize("line", ["example.org", "example.org s a.key", "exa$mple.org s /a", "example.org s! /a",
                                  "example.org s /a b"])
def test_lines_that_are_wrong(line):
    with pytest.raises(ValueError, match="line 2: "):
        dkimtexts.lines(f"\n{line}\n")


def test_what_is_signed():
    names = dkimtexts.signed_names(["received", "from", "to", "to", "list-id", "x-mine", "dkim-signature"])
    assert names.count(b"from") == 2 and names.count(b"to") == 3 and names.count(b"subject") == 1
    assert names.count(b"list-id") == 1 and not {b"received", b"x-mine", b"dkim-signature", b"sender"} & set(names)
