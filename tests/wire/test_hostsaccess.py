"""hosts_access(5), as libwrap has it, and stricter where libwrap would let somebody in by mistake."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.hostsaccess import PARANOID, UNKNOWN, Caller, parse, why_not

FILES = {"/etc/friends": ["192.0.2.7 .friends.example", "2001:db8::7"]}


def caller(daemon="in.fingerd", address="192.0.2.7", server="192.0.2.1", name="host.example.org", user="alice"):
    return Caller(daemon, address, server, name=lambda: name, user=lambda: user, patterns=FILES.__getitem__)


def matches(rule, **who):
    [one] = parse(rule)
    return one.matches(caller(**who)) and not one.fault


@pytest.mark.parametrize("rule, who, expected", [
    ("ALL: ALL", {}, True),
    ("in.fingerd: ALL", {}, True),
    ("IN.FINGERD: ALL", {}, True),
    ("sshd, in.fingerd: ALL", {}, True),
    ("sshd in.ftpd: ALL", {}, False),
    ("in.*d: ALL", {}, True),
    ("in.????erd: ALL", {}, True),
    ("in.[f]*: ALL", {}, False),
    ("in.fingerd@192.0.2.1: ALL", {}, True),
    ("in.fingerd@192.0.2.2: ALL", {}, False),
    ("ALL: 192.0.2.7", {}, True),
    ("ALL: 192.0.2.", {}, True),
    ("ALL: 192.0.", {"address": "192.0.33.1"}, True),
    ("ALL: 192.0.2", {}, False),
    ("ALL: 192.0.2.0/255.255.255.0", {}, True),
    ("ALL: 192.0.2.0/24", {}, True),
    ("ALL: 192.0.3.0/24", {}, False),
    ("ALL: [2001:db8::]/32", {"address": "2001:db8::7"}, True),
    ("ALL: [2001:db8::]/32", {}, False),
    ("ALL: [2001:0DB8::7]", {"address": "2001:db8::7"}, True),
    ("ALL: 192.0.2.0/24", {"address": "2001:db8::7"}, False),
    ("ALL: .example.org", {}, True),
    ("ALL: .EXAMPLE.org", {}, True),
    ("ALL: example.org", {}, False),
    ("ALL: host.example.org", {}, True),
    ("ALL: *.org", {}, True),
    ("ALL: LOCAL", {}, False),
    ("ALL: LOCAL", {"name": "gate"}, True),
    ("ALL: LOCAL", {"name": UNKNOWN}, False),
    ("ALL: LOCAL", {"name": PARANOID}, False),
    ("ALL: KNOWN", {}, True),
    ("ALL: KNOWN", {"name": UNKNOWN}, False),
    ("ALL: KNOWN", {"name": PARANOID}, False),
    ("ALL: UNKNOWN", {"name": UNKNOWN}, True),
    ("ALL: UNKNOWN", {}, False),
    ("ALL: PARANOID", {"name": PARANOID}, True),
    ("ALL: PARANOID", {"name": UNKNOWN}, False),
    ("ALL: alice@host.example.org", {}, True),
    ("ALL: bob@ALL", {}, False),
    ("ALL: KNOWN@ALL", {}, True),
    ("ALL: KNOWN@ALL", {"user": UNKNOWN}, False),
    ("ALL: UNKNOWN@ALL", {"user": UNKNOWN}, True),
    ("ALL: /etc/friends", {}, True),
    ("ALL: /etc/friends", {"address": "192.0.2.8"}, False),
    ("ALL: /etc/friends", {"address": "192.0.2.8", "name": "x.friends.example"}, True),
    ("ALL: .example.org EXCEPT host.example.org", {}, False),
    ("ALL: .example.org EXCEPT other.example.org", {}, True),
    ("ALL: ALL EXCEPT .example.org EXCEPT host.example.org", {}, True),
    ("ALL: ALL except .example.org", {}, False),
    ("ALL EXCEPT in.fingerd: ALL", {}, False),
    ("ALL EXCEPT sshd: ALL", {}, True),
    ("ALL: 192.0.2.8, 192.0.2.7 EXCEPT 192.0.2.7", {}, False),
])
def test_who_is_meant(rule, who, expected):
    assert matches(rule, **who) is expected


def test_names_are_looked_up_only_where_a_rule_asks_and_once():
    asked = []
    one = Caller("d", "192.0.2.7", "", name=lambda: asked.append("name") or "Host", user=lambda: "", patterns=list)
    rules = parse("d: 192.0.2.1 10.\nd: a b c\nd: host\n")
    assert [rule.matches(one) for rule in rules[:1]] == [False] and asked == []
    assert [rule.matches(one) for rule in rules] == [False, False, True] and asked == ["name"]


@pytest.mark.parametrize("allow, deny, why", [
    ("", "", ""),
    ("in.fingerd: ALL", "ALL: ALL", ""),
    ("sshd: ALL", "ALL: ALL", "hosts.deny:1"),
    ("", "sshd: ALL", ""),
    ("ALL: 192.0.2.7: deny\nALL: ALL", "", "hosts.allow:1"),
    ("ALL: 192.0.2.8: DENY\nALL: ALL", "ALL: ALL", ""),
    ("", "ALL: 192.0.2.: allow\nALL: ALL", ""),
    ("ALL: ALL: severity auth.info: allow", "ALL: ALL", ""),
    ("ALL: ALL: spawn (logger %a)", "", "hosts.allow:1: spawn is not done here, so that nobody is let in: use only "
                                        "allow and deny"),
    ("ALL: ALL: twist /bin/echo no", "", "hosts.allow:1: twist is not done here, so that nobody is let in: use only "
                                         "allow and deny"),
    ("ALL: ALL: allow: spawn x", "", ""),
    ("", "ALL: ALL: spawn x: allow", "hosts.deny:1: spawn is not done here, so that nobody is let in: use only allow "
                                     "and deny"),
    ("ALL: @friends", "", "hosts.allow:1: @friends is a netgroup, which is not asked here"),
    ("ALL", "", ""),
    ("ALL", "ALL", "hosts.deny:1: is not of the form daemons: clients"),
    ("", "# all is well\n\n  # really\nALL:\\\n ALL", "hosts.deny:4"),
    ("ALL: /etc/foes", "", "hosts.allow:1: '/etc/foes'"),
    ("ALL: 192.0.2.0/64", "", "hosts.allow:1: '192.0.2.0/64' does not appear to be an IPv4 or IPv6 network"),
    ("ALL: a\\:b: deny\nALL: ALL", "ALL: ALL", ""),
])
def test_the_first_rule_that_matches_decides(allow, deny, why):
    def missing(path):
        raise ValueError(repr(path))
    who = Caller("in.fingerd", "192.0.2.7", "", name=lambda: "host", user=lambda: "", patterns=missing)
    assert why_not(parse(allow), parse(deny), who) == why


WORDS = st.sampled_from(["ALL", "EXCEPT", "LOCAL", "KNOWN", "sshd", "in.fingerd", "192.0.2.", ".example.org", ":", "\\",
                         "@x", "/etc/friends", "spawn", "deny", "[", "]", "[::1]/64", "*", "\n", "10.0.0.0/8"])


@given(st.lists(WORDS, max_size=20))
def test_any_file_gives_an_answer(words):
    assert isinstance(why_not(parse(" ".join(words)), parse("".join(words)), caller()), str)


TCPDMATCH = shutil.which("tcpdmatch", path="/usr/sbin:/usr/bin")


@pytest.mark.skipif(not TCPDMATCH, reason="tcpdmatch (Debian package tcpd) is not installed")
@pytest.mark.parametrize("allow, deny", [
    ("", ""), ("", "ALL: ALL"), ("in.fingerd: 192.0.2.", "ALL: ALL"),
    ("in.fingerd: 192.0.2.0/255.255.255.0", "ALL: ALL"),
    ("ALL: ALL EXCEPT 192.0.2.7", "ALL: ALL"), ("ALL: 10. EXCEPT 10.1. EXCEPT 10.1.1.", "ALL: ALL"),
    ("ALL: KNOWN", "ALL: ALL"), ("ALL: LOCAL", "ALL: ALL"), ("", "ALL: UNKNOWN"),
    ("", "ALL: 192.0.2.: allow\nALL: ALL"),
    ("ALL: 192.0.2.7: deny\nALL: ALL", ""), ("ALL EXCEPT in.fingerd: ALL", "ALL: ALL"), ("ALL: *.2.7", "ALL: ALL"),
])
@pytest.mark.parametrize("address", ["192.0.2.7", "10.1.2.3", "10.1.1.3"])
def test_libwrap_says_the_same(tmp_path, allow, deny, address):
    (tmp_path / "hosts.allow").write_text(allow + "\n")
    (tmp_path / "hosts.deny").write_text(deny + "\n")
    (tmp_path / "inetd.conf").write_text("finger stream tcp nowait root /usr/sbin/tcpd in.fingerd\n")
    said = subprocess.run([TCPDMATCH, "-d", "-i", "inetd.conf", "in.fingerd", address], cwd=tmp_path, check=False,
                          capture_output=True, text=True, timeout=20).stdout
    granted = why_not(parse(allow), parse(deny), caller(address=address, name=UNKNOWN)) == ""
    assert ("access:   granted" in said, "access:   denied" in said) == (granted, not granted), said
