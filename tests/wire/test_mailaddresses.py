"""Mail addresses: the grammar of RFC 5321, 4.1.2, one row for each of its rules, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.mailaddresses import (
    LETTERS,
    Mailbox,
    NotAscii,
    domain,
    forward_path,
    literal,
    mailbox,
    path,
    place,
    quoted,
    reverse_path,
    split_tag,
)
from daemons.wire.smtpreplies import Refused

LOCAL64, LABEL63 = b"l" * 64, b"d" * 63


@pytest.mark.parametrize("octets, local, where", [
    (b"<fred@example.org>", "fred", "example.org"), (b"<Fred@EXAMPLE.Org>", "Fred", "example.org"),
    (b"<a.b.c@x>", "a.b.c", "x"), (b"<!#$%&'*+-/=?^_`{|}~@x>", "!#$%&'*+-/=?^_`{|}~", "x"),
    (b'<"a b"@x>', "a b", "x"), (b'<"a\\"b\\\\c"@x>', 'a"b\\c', "x"), (b'<"fred"@x>', "fred", "x"),
    (b'<"a@b>c"@x>', "a@b>c", "x"), (b'<".a..b."@x>', ".a..b.", "x"), (b'<"\\a\\ "@x>', "a ", "x"),
    (b"<a@[192.0.2.1]>", "a", "[192.0.2.1]"), (b"<a@[IPv6:2001:DB8:0::1]>", "a", "[IPv6:2001:db8::1]"),
    (b"<a@[ipv6:::1]>", "a", "[IPv6:::1]"), (b"<a@xn--mnchen-3ya.de>", "a", "xn--mnchen-3ya.de"),
    # a source route is accepted and ignored (RFC 5321, 4.1.1.3 and appendix C)
    (b"<@r.org:a@x>", "a", "x"), (b"<@r.org,@s.org:a@x>", "a", "x"), (b'<@r:"a:b"@x>', "a:b", "x"),
    (b"<@us.example:user@ext.example>", "user", "ext.example"), (b"<user%ext.example@us>", "user%ext.example", "us"),
    (b'<"user@ext.example"@us>', "user@ext.example", "us"), (b"<a@x_y.org>", "a", "x_y.org"),
    (b"<a@1.2.3>", "a", "1.2.3"),
    (b"<%b@x>" % LOCAL64, "l" * 64, "x"), (b"<a@%b.x>" % LABEL63, "a", f"{'d' * 63}.x"),
])
def test_paths(octets, local, where):
    for found, rest in (forward_path(octets), reverse_path(octets), forward_path(b"  " + octets + b" ")):
        assert (found.local, found.domain, rest) == (local, where, b"")


@pytest.mark.parametrize("octets", [
    b"", b"<", b">", b"fred@example.org", b"<fred>", b"<@x>", b"<a@>", b"<a@@x>", b"<a@b@c>", b"<a b@x>", b"<a@x y>",
    b"< a@x>", b"<a@x >", b"<a@x", b"<a@x>y", b"<a@x>\t", b"<.a@x>", b"<a.@x>", b"<a..b@x>", b"<a,b@x>", b"<(c)a@x>",
    b"<a@x.>", b"<a@.x>", b"<a@x..y>", b"<a@-x>", b"<a@x->", b"<a@x!y>", b"<a@%b>" % (LABEL63 + b"d"),
    b'<"a@x>', b'<"a"b@x>', b'<a"b"@x>', b'<"a\\"@x>', b'<""@x>', b'<"a\x01"@x>', b'<"a\\\x01"@x>', b'<"a\tb"@x>',
    b'<"\\', b"<\x7f@x>", b"<a\0@x>", b"<a@x\0>", b"<a\r\n@x>", b'<"a\r\nRCPT"@x>', b'<"a\x7f"@x>',
    b"<%bl@x>" % LOCAL64, b"<a@%b>" % b".".join([LABEL63] * 4), b"<a@[]>", b"<a@[1.2.3]>", b"<a@[1.2.3.256]>",
    b"<a@[01.2.3.4]>", b"<a@[IPv6:1.2.3.4]>", b"<a@[IPv6:fe80::1%eth0]>", b"<a@[IPv6:]>", b"<a@[x400:y]>",
    b"<a@[1.2.3.4>", b"<a@[1.2.3.4]x>", b"<a@[ 1.2.3.4]>",
    b"<@r a@x>", b"<@r,s:a@x>", b"<@:a@x>", b"<@r,:a@x>", b"<<a@x>>", b"<a@x>>",
    b"<;cmd;>", b"<|/bin/sh@x y>", b'<"%b"@x>' % (b"q" * 63), b'<"%b"@x>' % (b"\\" * 64), b"<>x", b"<postmaster>x",
])
def test_what_is_no_path(octets):
    with pytest.raises(Refused) as refusal:
        forward_path(octets)
    assert refusal.value.args[:2] == (501, "5.1.3")
    with pytest.raises(Refused) as refusal:
        reverse_path(octets)
    assert refusal.value.args[:2] == (501, "5.1.7")


def test_the_limit_of_a_path():
    """RFC 5321, 4.5.3.1.3: 256 octets with the brackets."""
    tail = b".".join([LABEL63, LABEL63, LABEL63])
    exact = b"<a@%b.%b>" % (tail, b"e" * (256 - len(tail) - 5))
    assert len(exact) == 256 and forward_path(exact)[0].local == "a"
    with pytest.raises(Refused, match="254 octets"):
        forward_path(exact.replace(b"<a@", b"<ab@"))
    with pytest.raises(Refused, match=r"5\.1\.3"):
        forward_path(b"<" + b"a" * 100000 + b"@x>")


def test_the_null_path():
    """RFC 5321, 4.5.5: of a sender alone."""
    assert reverse_path(b"<>") == (None, b"") and reverse_path(b" <> SIZE=1") == (None, b"SIZE=1")
    with pytest.raises(Refused, match=r"501 5\.1\.3"):
        forward_path(b"<>")
    assert path(None) == b"<>"


@pytest.mark.parametrize("octets", [b"<postmaster>", b"<Postmaster>", b"<POSTMASTER> NOTIFY=NEVER"])
def test_postmaster_needs_no_domain(octets):
    """RFC 5321, 4.1.1.3 and 4.5.1."""
    found, _ = forward_path(octets)
    assert found.is_postmaster and found.domain == "" and found == Mailbox("postmaster", "")
    assert path(found).lower() == b"<postmaster>"
    with pytest.raises(Refused, match=r"5\.1\.7"):
        reverse_path(octets)


def test_what_follows_a_path_is_left():
    assert reverse_path(b'<"> SIZE=1"@x> SIZE=2  BODY=7BIT ') == (Mailbox("> SIZE=1", "x"), b"SIZE=2  BODY=7BIT")


@pytest.mark.parametrize("octets, local, where", [
    ("<jürgen@example.org>", "jürgen", "example.org"), ("<用户@例子.广告>", "用户", "xn--fsqu00a.xn--4rr70v"),
    ('<"jürgen b"@x>', "jürgen b", "x"), ("<a@MÜNCHEN.de>", "a", "xn--mnchen-3ya.de"), ("<a@x。y>", "a", "x.y"),
    (f"<{'ü' * 32}@x>", "ü" * 32, "x"),
])
def test_addresses_of_smtputf8(octets, local, where):
    """RFC 6531, 3.3."""
    found, _ = forward_path(octets.encode(), utf8=True)
    assert (found.local, found.domain, found.is_ascii) == (local, where, local.isascii())
    for read, enhanced in ((forward_path, "5.6.7"), (reverse_path, "5.6.7")):
        with pytest.raises(Refused) as refusal:
            read(octets.encode())
        assert refusal.value.args[:2] == (553, enhanced)        # RFC 6531, 3.5


@pytest.mark.parametrize("octets", [
    b"<\xff@x>", b"<a\xc3@x>", b"<a@\xff>", "<a\x85b@x>".encode(), "<a@x\u2100y>".encode(), "<a@faß.de>".encode(),
    "<a@\u200dx>".encode(), f"<{'ü' * 33}@x>".encode(), f"<a@{'ü' * 63}>".encode(), f"<a@{'ü.' * 90}x>".encode(),
    "<a@.ü>".encode(), b"<a@\xed\xa0\x80>", "<a@ü\u2024>".encode(), "<a@\uff0f>".encode(),
])
def test_what_is_none_even_so(octets):
    with pytest.raises(Refused, match=r"501 5\.1\.3"):
        forward_path(octets, utf8=True)


def test_equality():
    """RFC 5321, 2.4: domains are of any case, local parts are their host's business."""
    assert mailbox("a@X.org") == mailbox("a@x.ORG") != mailbox("A@x.org")
    assert mailbox('"a"@x') == mailbox("a@x") and mailbox("a@bücher.de") == mailbox("a@XN--bcher-KVA.de")
    assert mailbox("PostMaster@x") == mailbox("postmaster@x") != mailbox("postmaster@y")
    assert len({mailbox("a@X"), mailbox('"a"@x'), mailbox("a@y")}) == 2 and mailbox("a@x") != "a@x"
    assert mailbox("A.B@x").folded() == mailbox("a.b@x") and mailbox("JÜ@x").folded() == mailbox("ju\u0308@x").folded()
    assert repr(mailbox("a@x")) == "<a@x>" and mailbox("a@[192.0.2.1]").is_literal and not mailbox("a@x").is_literal


@pytest.mark.parametrize("local, parts", [
    ("fred+news", ("fred", "news")), ("fred", ("fred", None)), ("fred+", ("fred", "")), ("+news", ("+news", None)),
    ("fred+a+b", ("fred", "a+b")), ("fred-news", ("fred-news", None)),
])
def test_sub_addresses(local, parts):
    """RFC 5233, 4."""
    assert split_tag(local) == parts


def test_another_separator():
    assert split_tag("fred-news-x", "-") == ("fred", "news-x")


@pytest.mark.parametrize("text", ["", "a", "a@x ", "<a@x>", "a@x,b@x", "a@x\n", "\ud800@x", "a@\ud800", "postmaster"])
def test_what_is_no_mailbox(text):
    with pytest.raises(ValueError):
        mailbox(text)


def test_a_tool_is_told_what_is_missing():
    with pytest.raises(NotAscii):
        mailbox("ü@x", utf8=False)


@pytest.mark.parametrize("octets, text", [(b"Example.ORG", "example.org"), (b"[192.0.2.1]", "[192.0.2.1]"),
                                          (b"[IPv6:::1]", "[IPv6:::1]"), (b"localhost", "localhost")])
def test_names_of_a_client(octets, text):
    assert place(octets) == text


@pytest.mark.parametrize("local, text", [("a b", '"a b"'), ('"', '"\\""'), ("\\", '"\\\\"'), ("a.", '"a."'), ("", '""'),
                                         ("a.b", "a.b"), ("ü", "ü"), ("a@b", '"a@b"')])
def test_quoting(local, text):
    assert quoted(local) == text


atoms = st.text("abcXYZ019!#+-/=_~é用", min_size=1, max_size=8)
locals_ = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cc", "Cs"]),
                  min_size=1, max_size=12)
domains = st.lists(st.text("abcXYZ019", min_size=1, max_size=9), min_size=1, max_size=4).map(".".join)
literals = st.ip_addresses().map(lambda one: f"[{'IPv6:' if one.version == 6 else ''}{one}]")


@given(atoms | locals_, domains | literals)
def test_what_is_written_is_read(local, where):
    box = Mailbox(local, place(where.encode()))
    assert forward_path(path(box) + b" X=1", utf8=True) == (box, b"X=1")
    assert mailbox(str(box)) == box and str(mailbox(str(box))) == str(box)
    assert box.folded() == box.folded().folded()


@given(st.binary(max_size=80) | st.text("<>@a.\"\\[]:,+ é\0", max_size=40).map(str.encode))
def test_any_octets_are_a_path_or_refused(octets):
    for read in (forward_path, reverse_path):
        for utf8 in (False, True):
            try:
                found, rest = read(octets, utf8)
            except Refused as refusal:
                assert refusal.code in (501, 553)
            else:
                told = path(found)
                assert len(told) <= 256 and b"\r" not in told and b"\n" not in told and b"\0" not in told
                assert rest in octets and read(told, utf8) == (found, b"")


@given(st.text(max_size=40) | st.text("a.-@[]:xn", max_size=20))
def test_any_text_is_a_domain_or_not(text):
    octets = text.encode("utf-8", "surrogatepass")
    try:
        found = domain(octets, utf8=True)
    except ValueError:
        return
    assert domain(found.encode()) == found and not found.encode().translate(None, LETTERS + b"-_.")


@given(st.binary(max_size=30).map(lambda octets: b"[" + octets + b"]"))
def test_any_octets_are_a_literal_or_not(octets):
    try:
        assert literal(literal(octets).encode()) == literal(octets)
    except ValueError as error:
        assert str(error) == "not an address literal"
