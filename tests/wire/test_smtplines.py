"""Command lines of SMTP: each parameter by its RFC, what is refused with which code, what our client says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.mailaddresses import Mailbox, mailbox
from daemons.wire.smtplines import (
    LONGEST,
    OF_MAIL,
    Mail,
    Rcpt,
    auth,
    bdat,
    client_name,
    from_unicode_xtext,
    from_xtext,
    mail,
    mail_line,
    original_of,
    original_value,
    rcpt,
    rcpt_line,
    unicode_xtext,
    xtext,
)
from daemons.wire.smtpreplies import Refused

ALL = dict.fromkeys([*OF_MAIL, "PIPELINING", "CHUNKING"])
NONE = ()


def told(command):
    """What was given, by name."""
    return {name: getattr(command, name) for name in command.__slots__
            if name not in ("sender", "mailbox") and not any(getattr(command, name) is one for one in (None, False))}


def refused(function, *arguments):
    with pytest.raises(Refused) as refusal:
        function(*arguments)
    return refusal.value.args[:2]


@pytest.mark.parametrize("rest, sender, given", [
    (b"FROM:<a@x>", "a@x", {}), (b"from:<a@x>", "a@x", {}), (b"FROM: <a@x> ", "a@x", {}), (b"FROM:<>", None, {}),
    (b"FROM:<a@x> SIZE=0", "a@x", {"size": 0}), (b"FROM:<a@x>  size=1000", "a@x", {"size": 1000}),
    (b"FROM:<a@x> SIZE=99999999999999999999", "a@x", {"size": 99999999999999999999}),       # RFC 1870, 3: 20 digits
    (b"FROM:<a@x> BODY=7BIT", "a@x", {"body": "7BIT"}), (b"FROM:<a@x> Body=8bitmime", "a@x", {"body": "8BITMIME"}),
    (b"FROM:<a@x> BODY=BINARYMIME", "a@x", {"body": "BINARYMIME"}), (b"FROM:<a@x> SMTPUTF8", "a@x", {"utf8": True}),
    ("FROM:<ü@x> SMTPUTF8".encode(), "ü@x", {"utf8": True}),
    ("FROM:<a@ü> SMTPUTF8".encode(), "a@xn--tda", {"utf8": True}),
    (b"FROM:<a@x> RET=HDRS ENVID=QQ314159", "a@x", {"ret": "HDRS", "envid": "QQ314159"}),        # RFC 3461, 5
    (b"FROM:<a@x> RET=full ENVID=a+2Bb+3Dc+20d", "a@x", {"ret": "FULL", "envid": "a+b=c d"}),
    (b"FROM:<a@x> AUTH=e+3Dmc2@example.com", "a@x", {"auth": mailbox('e=mc2@example.com')}),     # RFC 4954, 5
    (b"FROM:<a@x> AUTH=<>", "a@x", {}), (b"FROM:<a@x> REQUIRETLS", "a@x", {"requires_tls": True}),
    (b"FROM:<> BODY=8BITMIME SIZE=1 RET=FULL", None, {"body": "8BITMIME", "size": 1, "ret": "FULL"}),
])
def test_mail(rest, sender, given):
    command = mail(rest, ALL)
    assert (command.sender and str(command.sender), told(command)) == (sender, given)


@pytest.mark.parametrize("rest, codes", [
    (b"", (501, "5.5.4")), (b"TO:<a@x>", (501, "5.5.4")), (b"<a@x>", (501, "5.5.4")), (b"FROM <a@x>", (501, "5.5.4")),
    (b"FROM :<a@x>", (501, "5.5.4")), (b"FROM:", (501, "5.1.7")), (b"FROM:a@x", (501, "5.1.7")),
    (b"FROM:<a@x>SIZE=1", (501, "5.1.7")), (b"FROM:<a@x>\tSIZE=1", (501, "5.1.7")),
    # RFC 5321, 4.1.1.11
    (b"FROM:<a@x> XYZZY", (555, "5.5.4")), (b"FROM:<a@x> MT-PRIORITY=3", (555, "5.5.4")),
    (b"FROM:<a@x> NOTIFY=NEVER", (555, "5.5.4")),
    (b"FROM:<a@x> SIZE", (501, "5.5.4")), (b"FROM:<a@x> SIZE=", (501, "5.5.4")),
    (b"FROM:<a@x> SIZE=-1", (501, "5.5.4")), (b"FROM:<a@x> SIZE=1_0", (501, "5.5.4")),
    (b"FROM:<a@x> SIZE=" + b"9" * 21, (501, "5.5.4")),
    (b"FROM:<a@x> SIZE=\xd9\xa3", (501, "5.5.4")), (b"FROM:<a@x> SIZE=1 SIZE=1", (501, "5.5.4")),
    (b"FROM:<a@x> =1", (501, "5.5.4")), (b"FROM:<a@x> -X=1", (501, "5.5.4")), (b"FROM:<a@x> SIZE=1=2", (501, "5.5.4")),
    (b"FROM:<a@x> SIZE=1\0", (501, "5.5.4")), (b"FROM:<a@x> SIZE=1\r\nQUIT", (501, "5.5.4")),
    (b"FROM:<a@x> BODY", (501, "5.5.4")), (b"FROM:<a@x> BODY=9BIT", (501, "5.5.4")),
    (b"FROM:<a@x> SMTPUTF8=1", (501, "5.5.4")), (b"FROM:<a@x> RET=SOME", (501, "5.5.4")),
    (b"FROM:<a@x> ENVID=" + b"x" * 101, (501, "5.5.4")), (b"FROM:<a@x> ENVID=a+2b", (501, "5.5.4")),
    (b"FROM:<a@x> ENVID=a+2", (501, "5.5.4")), (b"FROM:<a@x> ENVID=+0D+0A", (501, "5.5.4")),
    (b"FROM:<a@x> ENVID=+FF", (501, "5.5.4")), (b"FROM:<a@x> AUTH=nobody", (501, "5.5.4")),
    (b"FROM:<a@x> AUTH=a+0Db@x", (501, "5.5.4")), (b"FROM:<a@x> REQUIRETLS=1", (501, "5.5.4")),
    (b"FROM:<a@x>" + b" SIZE=1" * 17, (501, "5.5.4")),
    ("FROM:<ü@x>".encode(), (553, "5.6.7")), ("FROM:<a@ü>".encode(), (553, "5.6.7")),
])
def test_what_is_no_mail_command(rest, codes):
    assert refused(mail, rest, ALL) == codes


@pytest.mark.parametrize("word, keyword", [
    (b"SIZE=1", "SIZE"), (b"BODY=8BITMIME", "8BITMIME"), (b"SMTPUTF8", "SMTPUTF8"), (b"AUTH=<>", "AUTH"),
    (b"RET=HDRS", "DSN"), (b"ENVID=x", "DSN"), (b"REQUIRETLS", "REQUIRETLS"), (b"BODY=BINARYMIME", "BINARYMIME"),
])
def test_a_parameter_needs_its_keyword(word, keyword):
    rest = b"FROM:<a@x> " + word
    assert mail(rest, {keyword}).sender == mailbox("a@x")
    assert refused(mail, rest, NONE) == (555, "5.5.4")
    others = set(ALL) - {keyword} - ({"BINARYMIME"} if keyword == "8BITMIME" else set())
    assert refused(mail, rest, others) == (555, "5.5.4")


@pytest.mark.parametrize("rest, recipient, given", [
    (b"TO:<b@y>", "b@y", {}), (b"to: <b@y>", "b@y", {}), (b"TO:<Postmaster>", "Postmaster", {}),
    (b"TO:<b@y> NOTIFY=NEVER", "b@y", {"notify": ("NEVER",)}),
    (b"TO:<b@y> NOTIFY=success,FAILURE,Delay", "b@y", {"notify": ("SUCCESS", "FAILURE", "DELAY")}),
    (b"TO:<Dana@Ivory.EDU> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@Ivory.EDU", "Dana@ivory.edu",
     {"notify": ("SUCCESS", "FAILURE"), "original": ("rfc822", "Dana@Ivory.EDU")}),         # RFC 3461, 10.1
    (b"TO:<b@y> ORCPT=RFC822;a+2Bb@y", "b@y", {"original": ("rfc822", "a+b@y")}),
    (b"TO:<b@y> ORCPT=x400;/S+3Dx/", "b@y", {"original": ("x400", "/S=x/")}),
    (b"TO:<b@y> ORCPT=utf-8;j\\x{FC}@y", "b@y", {"original": ("utf-8", "jü@y")}),              # RFC 6533, 3
    ("TO:<b@y> ORCPT=utf-8;jü@y".encode(), "b@y", {"original": ("utf-8", "jü@y")}),
])
def test_rcpt(rest, recipient, given):
    command = rcpt(rest, {"DSN"}, utf8=True)
    assert (str(command.mailbox), told(command)) == (recipient, given)


@pytest.mark.parametrize("rest, codes", [
    (b"FROM:<b@y>", (501, "5.5.4")), (b"TO:", (501, "5.1.3")), (b"TO:<>", (501, "5.1.3")), (b"TO:<b>", (501, "5.1.3")),
    (b"TO:<b@y> SIZE=1", (555, "5.5.4")), (b"TO:<b@y> NOTIFY", (501, "5.5.4")), (b"TO:<b@y> NOTIFY=", (501, "5.5.4")),
    (b"TO:<b@y> NOTIFY=NEVER,DELAY", (501, "5.5.4")), (b"TO:<b@y> NOTIFY=DELAY,DELAY", (501, "5.5.4")),
    (b"TO:<b@y> NOTIFY=DELAY,", (501, "5.5.4")), (b"TO:<b@y> NOTIFY=X", (501, "5.5.4")),
    (b"TO:<b@y> ORCPT=b@y", (501, "5.5.4")), (b"TO:<b@y> ORCPT=rfc822;", (501, "5.5.4")),
    (b"TO:<b@y> ORCPT=;b@y", (501, "5.5.4")), (b"TO:<b@y> ORCPT=rfc822;" + b"x" * 494, (501, "5.5.4")),
    (b"TO:<b@y> ORCPT=rfc822;\xc3\xbc@y", (501, "5.5.4")), (b"TO:<b@y> ORCPT=rfc822;+0A", (501, "5.5.4")),
    (b"TO:<b@y> ORCPT=utf-8;\\x{D800}", (501, "5.5.4")), (b"TO:<b@y> ORCPT=utf-8;\\x{110000}", (501, "5.5.4")),
    (b"TO:<b@y> ORCPT=utf-8;\\x{0A}", (501, "5.5.4")), (b"TO:<b@y> ORCPT=utf-8;\\x{fc}", (501, "5.5.4")),
    (b"TO:<b@y> ORCPT=utf-8;a\\b", (501, "5.5.4")), (b"TO:<b@y> ORCPT=utf-8;\\x{FC", (501, "5.5.4")),
    (b"TO:<b@y> ORCPT=utf-8;a+2Bb", (501, "5.5.4")), (b"TO:<b@y> ORCPT=utf-8;\xff", (501, "5.5.4")),
    ("TO:<ü@y>".encode(), (553, "5.6.7")), ("TO:<b@y> ORCPT=utf-8;ü@y".encode(), (501, "5.5.4")),
])
def test_what_is_no_rcpt_command(rest, codes):
    assert refused(rcpt, rest, {"DSN"}) == codes


def test_nothing_is_taken_after_helo():
    assert refused(rcpt, b"TO:<b@y> NOTIFY=NEVER", NONE) == (555, "5.5.4")
    assert refused(mail, "FROM:<ü@x> SMTPUTF8".encode(), NONE) == (553, "5.6.7")


@pytest.mark.parametrize("rest, chunk", [(b"1000", (1000, False)), (b"86 LAST", (86, True)), (b"0 last", (0, True)),
                                         (b"9223372036854775807", (2**63 - 1, False))])
def test_bdat(rest, chunk):
    """RFC 3030, 2 and 4."""
    assert bdat(rest) == chunk


@pytest.mark.parametrize("rest", [b"", b"LAST", b"-1", b"+1", b"1 FIRST", b"1 LAST LAST", b"1LAST", b"1e3", b"0x10",
                                  b"9223372036854775808", b"1\tLAST", b"99999999999999999999999999", b"\xb2"])
def test_what_is_no_chunk(rest):
    assert refused(bdat, rest) == (501, "5.5.4")


@pytest.mark.parametrize("rest, parts", [
    (b"PLAIN", ("PLAIN", None)), (b"plain =", ("PLAIN", b"")), (b"PLAIN AGEAYg==", ("PLAIN", b"\0a\0b")),
    (b"scram-sha-256-plus", ("SCRAM-SHA-256-PLUS", None)), (b"LOGIN ", ("LOGIN", None)),
])
def test_auth(rest, parts):
    """RFC 4954, 4."""
    assert auth(rest) == parts


@pytest.mark.parametrize("rest, codes", [
    (b"", (501, "5.5.4")), (b"PLAIN a b", (501, "5.5.4")), (b"PL\0AIN", (501, "5.5.4")), (b"X" * 21, (501, "5.5.4")),
    (b"PL.AIN", (501, "5.5.4")), (b"PLAIN *", (501, "5.5.2")), (b"PLAIN AGEAYg", (501, "5.5.2")),
    (b"PLAIN AGEAYg==x", (501, "5.5.2")), (b"PLAIN ==", (501, "5.5.2")), (b"PLAIN " + b"A" * 12292, (501, "5.5.2")),
])
def test_what_is_no_auth_command(rest, codes):
    assert refused(auth, rest) == codes


@pytest.mark.parametrize("rest, name", [(b"example.org", "example.org"), (b"[192.0.2.1]", "[192.0.2.1]"),
                                        (b" DESKTOP_1 ", "DESKTOP_1"), (b"x=y", "x=y"), (b"h" * 255, "h" * 255)])
def test_what_a_client_calls_itself(rest, name):
    assert client_name(rest) == name


@pytest.mark.parametrize("rest", [b"", b" ", b"a b", b"a\tb", b"a\0", "ü".encode(), b"h" * 256, b"a\r\nMAIL"])
def test_what_it_may_not(rest):
    assert refused(client_name, rest) == (501, "5.5.4")


@pytest.mark.parametrize("text, octets", [("QQ314159", b"QQ314159"), ("a+b=c d", b"a+2Bb+3Dc+20d"), ("", b""),
                                          ("ü", b"+C3+BC")])
def test_xtext(text, octets):
    """RFC 3461, 4."""
    assert xtext(text) == octets
    assert not text.isascii() or from_xtext(octets) == text


@pytest.mark.parametrize("text, octets", [
    ("jü+b=c\\@y z", b"j\\x{FC}\\x{2B}b\\x{3D}c\\x{5C}@y\\x{20}z"), ("用", b"\\x{7528}"),
    ("\U0001f4e7", b"\\x{1F4E7}"),
])
def test_unicode_xtext(text, octets):
    """RFC 6533, 3."""
    assert unicode_xtext(text) == octets and from_unicode_xtext(octets.decode()) == text


def test_a_client_says_what_the_server_offers():
    command = Mail(mailbox("ü@x"), size=10, body="8BITMIME", utf8=True, auth=mailbox("a@x"), ret="FULL", envid="a b",
                   requires_tls=True)
    assert mail_line(command, ALL) == \
        "MAIL FROM:<ü@x> SIZE=10 BODY=8BITMIME SMTPUTF8 AUTH=a@x RET=FULL ENVID=a+20b REQUIRETLS".encode()
    assert mail_line(command, {"SIZE": ["5"]}) == "MAIL FROM:<ü@x> SIZE=10".encode()
    assert mail_line(Mail(None), ALL) == b"MAIL FROM:<>"
    to = Rcpt(mailbox("b@y"), ("SUCCESS", "DELAY"), ("rfc822", "a+b@y"))
    assert rcpt_line(to, {"DSN": []}) == b"RCPT TO:<b@y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@y"
    assert rcpt_line(to, {}) == b"RCPT TO:<b@y>"


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)
boxes = st.builds(Mailbox, st.text("ab+= é\"@", min_size=1, max_size=9),
                  st.sampled_from(["x.org", "[192.0.2.1]", "xn--tda"]))
ascii_boxes = boxes.filter(lambda box: box.is_ascii)


@given(st.none() | boxes, st.none() | st.integers(0, 10**20 - 1),
       st.sampled_from([None, "7BIT", "8BITMIME", "BINARYMIME"]), st.none() | ascii_boxes,
       st.sampled_from([None, "FULL", "HDRS"]), st.none() | printable, st.booleans())
def test_what_a_client_says_is_heard(sender, size, body, submitter, ret, envid, requires_tls):
    command = Mail(sender, size=size, body=body, utf8=True, auth=submitter, ret=ret, envid=envid,
                   requires_tls=requires_tls)
    line = mail_line(command, ALL)
    heard = mail(line.removeprefix(b"MAIL "), ALL)
    assert len(line) < LONGEST and all(getattr(heard, name) == getattr(command, name) for name in Mail.__slots__)


@given(boxes, st.sampled_from([None, ("NEVER",), ("FAILURE",), ("DELAY", "SUCCESS")]),
       st.none() | st.tuples(st.just("rfc822"), printable)
       | st.tuples(st.just("utf-8"), st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)))
def test_what_a_client_says_of_recipients_is_heard(recipient, notify, original):
    heard = rcpt(rcpt_line(Rcpt(recipient, notify, original), ALL).removeprefix(b"RCPT "), ALL, utf8=True)
    assert (heard.mailbox, heard.notify, heard.original) == (recipient, notify, original)
    assert original is None or original_of(original_value(original)) == original


words = st.sampled_from([b"FROM:", b"TO:", b"<a@x>", b"<>", b" ", b"SIZE=", b"1", b"BODY=", b"8BITMIME", b"SMTPUTF8",
                         b"=", b"NOTIFY=", b"NEVER", b",", b"ORCPT=", b"utf-8;", b"rfc822;", b"\\x{", b"FC", b"}",
                         b"+2", b"B", b"ENVID=", b"AUTH=", b"\xc3\xbc", b"\0", b"\r\n", b"RET=", b"LAST"]) \
    | st.binary(max_size=3)


@given(st.lists(words, max_size=14).map(b"".join), st.booleans())
def test_any_line_is_a_command_or_refused(rest, utf8):
    for function in (lambda: mail(rest, ALL), lambda: mail(b"FROM:<a@x> " + rest, ALL), lambda: rcpt(rest, ALL, utf8),
                     lambda: rcpt(b"TO:<a@x> " + rest, ALL, utf8), lambda: bdat(rest), lambda: auth(rest),
                     lambda: client_name(rest)):
        try:
            function()
        except Refused as refusal:
            assert refusal.code in (501, 553, 555) and refusal.text
