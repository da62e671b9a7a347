"""The paths where mail programs ask how mail is fetched and sent."""

import plistlib
from xml.etree import ElementTree

import pytest

from daemons.kernel import log
from daemons.stores.webtree import Root
from daemons.web import keepalive, mailconfig
from daemons.web.sites import Place, Site
from daemons.wire.mailconfig import OUTLOOK, SCHEMAS

from .behind import hold
from .browsing import replies, request

LINE = "imap=mail.example.org:993 smtp=mail.example.org:465"
OURS = f"{LINE} domain=example.org"
WELL_KNOWN = "/.well-known/autoconfig/mail/config-v1.1.xml"


@pytest.fixture(autouse=True)
def unlogged():
    """There is a log, and nobody reads it."""
    log.start("httpd", target="/nonexistent", events=(keepalive.REQUEST,))
    yield
    log.start("httpd", target="/nonexistent")


def ask(line, method, target, *fields, host="autoconfig.example.org", body=b"", root=None, prefix="/"):
    """The only reply to a request."""
    place, site = Place("mailconfig", prefix, line), Site(Root(str(root)) if root else None)
    octets = request(method, target, *fields, host=host, body=body)
    said = hold(lambda exchange: mailconfig.answer(exchange, site, place), octets)
    (reply,) = replies(said.octets, [method])
    assert reply.status != 500
    return reply


@pytest.mark.parametrize("target", ["/mail/config-v1.1.xml", "/mail/config-v1.1.xml?emailaddress=fred%40example.org",
                                    WELL_KNOWN, "/Mail/Config-V1.1.XML?emailaddress=fred@EXAMPLE.ORG"])
def test_thunderbird(target):
    reply = ask(OURS, "GET", target)
    assert (reply.status, reply["content-type"]) == (200, "text/xml; charset=utf-8")
    assert ElementTree.fromstring(reply.body).find("emailProvider").get("id") == "example.org"


@pytest.mark.parametrize("host, domain", [
    ("autoconfig.example.net", "example.net"), ("example.net", "example.net"), ("mail.example.net:8080", "example.net"),
    ("autoconfig.net", "autoconfig.net"), ("mail.net", "mail.net")])
def test_the_domain_of_a_host(host, domain):
    reply = ask(LINE, "GET", "/mail/config-v1.1.xml", host=host)
    assert ElementTree.fromstring(reply.body).findtext("emailProvider/domain") == domain
    reply = ask(LINE, "GET", "/mail/config-v1.1.xml?emailaddress=a@b.example", host=host)
    assert ElementTree.fromstring(reply.body).findtext("emailProvider/domain") == "b.example"


def test_methods():
    assert ask(OURS, "HEAD", WELL_KNOWN).status == 200
    assert ask(OURS, "POST", WELL_KNOWN, body=b"x").status == 405
    assert ask(OURS, "DELETE", "/email.mobileconfig").status == 405
    reply = ask(OURS, "GET", "/autodiscover/autodiscover.xml")
    assert (reply.status, reply["allow"]) == (405, "OPTIONS, POST")
    assert ask(OURS, "OPTIONS", "/autodiscover/autodiscover.xml").status == 204


def asked(address="alice@example.org", schema=OUTLOOK):
    return (f'<Autodiscover xmlns="{SCHEMAS}outlook/requestschema/2006"><Request><EMailAddress>{address}</EMailAddress>'
            f"<AcceptableResponseSchema>{SCHEMAS}{schema}</AcceptableResponseSchema></Request></Autodiscover>").encode()


@pytest.mark.parametrize("target", ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml",
                                    "/AutoDiscover/AutoDiscover.XML"])
def test_outlook(target):
    reply = ask(OURS, "POST", target, "Content-Type: text/xml", body=asked())
    assert (reply.status, reply["content-type"]) == (200, "text/xml; charset=utf-8")
    root = ElementTree.fromstring(reply.body)
    assert [one.text for one in root.findall(".//{*}LoginName")] == ["alice@example.org"] * 2


@pytest.mark.parametrize("body, code", [
    (b"", "600"), (b"<a", "600"), (b'<!DOCTYPE a [<!ENTITY b "c">]>' + asked(), "600"), (b" " * 100_000, "600"),
    (asked(schema="mobilesync/responseschema/2006"), "601"), (asked("alice@example.net"), "500"),
    (asked("alice"), "500")])
def test_errors_that_outlook_reads(body, code):
    reply = ask(OURS, "POST", "/autodiscover/autodiscover.xml", body=body)
    assert reply.status == 200 and ElementTree.fromstring(reply.body).findtext(".//{*}ErrorCode") == code


def test_apple():
    reply = ask(OURS, "GET", "/email.mobileconfig?email=alice+x@example.org")
    assert (reply.status, reply["content-type"]) == (200, "application/x-apple-aspen-config")
    assert plistlib.loads(reply.body)["PayloadContent"][0]["EmailAddress"] == "alice+x@example.org"


@pytest.mark.parametrize("target, status", [
    ("/email.mobileconfig", 400), ("/email.mobileconfig?email=<script>", 400),
    ("/email.mobileconfig?email=alice@example.net", 404), ("/email.mobileconfig?email=%", 400),
    ("/mail/config-v1.1.xml?emailaddress=alice@example.net", 404), ("/", 404), ("/mail/", 404)])
def test_what_is_not_told(target, status):
    assert ask(OURS, "GET", target).status == status


def test_everything_else_is_files(tmp_path):
    (tmp_path / "index.html").write_text("hello")
    assert ask(OURS, "GET", "/", root=tmp_path).body == b"hello"
    assert ask(OURS, "GET", WELL_KNOWN, root=tmp_path).status == 200
    assert ask(OURS, "GET", "/x/mail/config-v1.1.xml", root=tmp_path, prefix="/x/").status == 200
