"""Mail client configuration: what is said of servers, and the three formats, as their readers read them."""

import plistlib
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.wire.mailconfig import (
    INVALID,
    NO_PROVIDER,
    OUTLOOK,
    SCHEMAS,
    autoconfig,
    autodiscover,
    autodiscover_error,
    autodiscover_request,
    email,
    parameter,
    parse,
    profile,
)

LINE = "imap=mail.example.org:993 smtp=mail.example.org:465 domain=example.org,example.net"
EVIL = "a&b='\"<x>@example.org"


def servers(text):
    return [(one.kind, one.host, one.port, one.secure) for one in parse(text).servers]


@pytest.mark.parametrize("text, found", [
    (LINE, [("imap", "mail.example.org", 993, True), ("smtp", "mail.example.org", 465, True)]),
    ("pop3=a.example smtp=b.example:587", [("pop3", "a.example", 995, True), ("smtp", "b.example", 587, False)]),
    ("imap=a.example:143 pop3=a.example:110 smtp=a.example",
     [("imap", "a.example", 143, False), ("pop3", "a.example", 110, False), ("smtp", "a.example", 465, True)]),
    ("imap=a.example:1993/tls smtp=a.example:465/starttls", [("imap", "a.example", 1993, True),
                                                             ("smtp", "a.example", 465, False)]),
])
def test_servers(text, found):
    assert servers(text) == found


@pytest.mark.parametrize("text", [
    "", "imap=a.example", "smtp=a.example", "imap=a.example smtp=", "imap=a.example smtp=a b=c", "imap a.example",
    "imap=a.example smtp=a.example:99999", "imap=a.example smtp=a.example/ssl", "imap=a.example smtp=a.example domain=",
    "imap=a.example smtp=a.example domain=a:80", "imap=a.example smtp=a.example login=both", "imap=<a> smtp=a.example"])
def test_what_is_no_such_line(text):
    with pytest.raises(ValueError):
        parse(text)


@pytest.mark.parametrize("text, found", [
    ("alice@example.org", "alice@example.org"), (" alice@Example.ORG\n", "alice@example.org"),
    ("alice+tag@example.org", "alice+tag@example.org"), ("o'hara@example.org", "o'hara@example.org"),
    ("jürgen@example.org", "jürgen@example.org"), ("a@bücher.example", "a@xn--bcher-kva.example"),
    *((text, "") for text in ("", "alice", "@example.org", "alice@", ".a@example.org", "a..b@example.org", EVIL,
                              "a b@example.org", "a@exa mple.org", "a@b@example.org", "a\u202eb@example.org",
                              "a\0@b.example",
                              "a@example.org/x", f"{'a' * 250}@example.org", '"a b"@example.org', "a@[192.0.2.1]x"))])
def test_addresses(text, found):
    assert email(text) == found


@pytest.mark.parametrize("query, found", [
    ("email=a+b%40example.org", "a+b@example.org"), ("x=y&EMAIL=a@b", "a@b"), ("emailaddress=a", "a"), ("", ""),
    ("email", ""),
    ("x=email", ""), ("email=%c3%a9%ff", "\xe9\ufffd")])
def test_parameters(query, found):
    assert parameter(query, "email", "emailaddress") == found


# -- Thunderbird --


def test_autoconfig():
    root = ElementTree.fromstring(autoconfig(parse(f"{LINE} pop3=mail.example.org:110"), "www.example"))
    provider = root.find("emailProvider")
    assert (root.tag, root.get("version"), provider.get("id")) == ("clientConfig", "1.1", "example.org")
    assert [one.text for one in provider.findall("domain")] == ["example.org", "example.net"]
    assert provider.findtext("displayName") == "example.org"
    imap, pop3 = provider.findall("incomingServer")
    (smtp,) = provider.findall("outgoingServer")
    assert [one.get("type") for one in (imap, pop3, smtp)] == ["imap", "pop3", "smtp"]
    assert {one.tag: one.text for one in imap} == {
        "hostname": "mail.example.org", "port": "993", "socketType": "SSL", "authentication": "password-cleartext",
        "username": "%EMAILADDRESS%"}
    assert (pop3.findtext("port"), pop3.findtext("socketType"), smtp.findtext("port")) == ("110", "STARTTLS", "465")


def test_autoconfig_of_any_domain():
    settings = parse("imap=a.example smtp=a.example login=local")
    provider = ElementTree.fromstring(autoconfig(settings, "b&c.example")).find("emailProvider")
    assert (provider.get("id"), provider.findtext("domain")) == ("b&c.example", "b&c.example")
    assert provider.find("incomingServer").findtext("username") == "%EMAILLOCALPART%"


# -- Outlook --

REQUEST = (f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="{SCHEMAS}outlook/requestschema/2006"><Request>'
           "<EMailAddress>alice@example.org</EMailAddress>"
           f"<AcceptableResponseSchema>{SCHEMAS}{OUTLOOK}</AcceptableResponseSchema></Request></Autodiscover>")


@pytest.mark.parametrize("data", [
    REQUEST.encode(), REQUEST.replace("utf-8", "utf-16").encode("utf-16"),
    REQUEST.replace("alice@", "<![CDATA[alice@]]>").replace("><", "> \n <").encode(),
    REQUEST.replace("<Request>", "<Request><x>y</x>").encode()])
def test_what_outlook_asks(data):
    asked = autodiscover_request(data)
    assert (asked.email, asked.schema) == ("alice@example.org", SCHEMAS + OUTLOOK)


@pytest.mark.parametrize("data", [
    b"", b"email=alice", b"<Autodiscover/>", b"<Autodiscover>", REQUEST.replace("EMailAddress", "LegacyDN").encode(),
    REQUEST.replace("<Autodiscover", '<!DOCTYPE a [<!ENTITY b "c">]><Autodiscover').encode(),
    b"<a>" * 10000, b" " * 20000 + REQUEST.encode(), REQUEST.replace("Request>", "Other>").encode(), b"\xff\xfe\0"])
def test_what_nobody_asks(data):
    with pytest.raises(ValueError):
        autodiscover_request(data)


def protocols(data):
    """The settings by kind, as Outlook reads them."""
    root = ElementTree.fromstring(data)
    assert root.tag == f"{{{SCHEMAS}responseschema/2006}}Autodiscover"
    space = f"{{{SCHEMAS}{OUTLOOK}}}"
    account = root.find(f"{space}Response/{space}Account")
    assert (account.findtext(f"{space}AccountType"), account.findtext(f"{space}Action")) == ("email", "settings")
    rows = [{one.tag.removeprefix(space): one.text for one in protocol}
            for protocol in account.findall(f"{space}Protocol")]
    return {row.pop("Type"): row for row in rows}


def test_what_outlook_is_answered():
    found = protocols(autodiscover(parse("imap=a.example:143 smtp=b.example login=local"), "alice@example.org"))
    assert found["IMAP"] == {"Server": "a.example", "Port": "143", "DomainRequired": "off", "LoginName": "alice",
                             "SPA": "off", "SSL": "off", "Encryption": "TLS", "AuthRequired": "on"}
    assert {name: found["SMTP"][name] for name in ("Port", "SSL", "Encryption", "UsePOPAuth", "SMTPLast")} == {
        "Port": "465", "SSL": "on", "Encryption": "SSL", "UsePOPAuth": "off", "SMTPLast": "off"}


@pytest.mark.parametrize("code", [INVALID, NO_PROVIDER])
def test_errors_of_outlook(code):
    error = ElementTree.fromstring(autodiscover_error(code, "12:34:56")).find(".//{*}Error")
    assert (error.get("Time"), error.findtext("{*}ErrorCode")) == ("12:34:56.0000000", str(code))
    assert error.findtext("{*}Message")


# -- Apple --


def test_profile():
    found = plistlib.loads(profile(parse(LINE), "alice@example.org"))
    (account,) = found["PayloadContent"]
    assert (found["PayloadType"], found["PayloadVersion"], found["PayloadIdentifier"]) == \
        ("Configuration", 1, "org.example.mail")
    assert account["PayloadType"] == "com.apple.mail.managed" and account["EmailAccountType"] == "EmailTypeIMAP"
    assert {account[key] for key in ("EmailAddress", "IncomingMailServerUsername", "OutgoingMailServerUsername")} == \
        {"alice@example.org"}
    assert [account[f"{side}MailServer{key}"] for side in ("Incoming", "Outgoing")
            for key in ("HostName", "PortNumber", "UseSSL", "Authentication")] == \
        ["mail.example.org", 993, True, "EmailAuthPassword", "mail.example.org", 465, True, "EmailAuthPassword"]
    assert len({found["PayloadUUID"], account["PayloadUUID"]}) == 2


def test_a_profile_takes_the_place_of_the_one_before():
    settings = parse("pop3=a.example smtp=a.example login=local")
    one, again, other = (plistlib.loads(profile(settings, f"{name}@b.example")) for name in ("a", "a", "b"))
    assert one == again and one["PayloadUUID"] != other["PayloadUUID"]
    assert one["PayloadContent"][0]["EmailAccountType"] == "EmailTypePOP"
    assert one["PayloadContent"][0]["IncomingMailServerUsername"] == "a"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"])))
def test_no_address_breaks_the_markup(text):
    settings = parse("imap=a.example smtp=a.example")
    assert (protocols(autodiscover(settings, text))["IMAP"]["LoginName"] or "") == text
    assert plistlib.loads(profile(settings, text))["PayloadContent"][0]["EmailAddress"] == text
    assert ElementTree.fromstring(autoconfig(settings, text)).find("emailProvider").get("id") == text


@given(st.binary())
def test_no_request_does_harm(data):
    try:
        autodiscover_request(data)
    except ValueError as error:
        assert str(error)
