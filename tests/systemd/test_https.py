"""httpd on port 443 with a certificate of an authority and a script, by the commands of its manual page."""

import re

import pytest

from daemons import httpd
from tests.live import machine

HOST = "www.example.org"
SCRIPT = """#!/bin/sh
printf 'Content-Type: text/plain\\n\\n%s %s %s\\n' "$REQUEST_METHOD" "$HTTPS" "$PATH_INFO"
echo "seen on standard error" >&2
"""


def commands():
    """What the manual page says to type, a line each, without its remarks."""
    section = httpd.DESCRIPTION.partition("# HTTPS WITH A CERTIFICATE")[2].partition("\n# ")[0]
    lines = re.findall(r"^    (.*)$", section.replace("\\\n", " "), re.MULTILINE)
    return [line.partition("#")[0].strip() for line in lines]


@pytest.fixture(scope="module")
def site(box):
    """The folder that the manual page names, as an administrator fills it."""
    folder = box.root / "srv/www"
    (folder / "cgi-bin").mkdir(parents=True)
    (folder / "index.html").write_text("<title>Home</title>\n")
    script = folder / "cgi-bin/hello"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    box.run("chmod", "-R", "a+rX", "/srv/www")
    return folder


@pytest.fixture(scope="module")
def signed(box):
    """The first command makes a request; an authority that is not ours signs it."""
    machine.program("openssl", "openssl")
    first, _ = commands()
    box.run("sh", "-c", first)
    tls = "/etc/fd0/tls"
    box.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=An authority", "-days", "30",
            "-keyout", "/root/authority.key", "-out", "/root/authority.pem")
    (box.root / "root/names").write_text(f"subjectAltName=DNS:{HOST}\n")
    request = next(path for path in (box.root / tls[1:]).iterdir() if path.suffix in (".csr", ".req")).name
    box.run("openssl", "x509", "-req", "-in", f"{tls}/{request}", "-CA", "/root/authority.pem", "-CAkey",
            "/root/authority.key", "-CAcreateserial", "-days", "30", "-extfile", "/root/names",
            "-out", f"{tls}/{HOST}.pem")
    return "/root/authority.pem"


@pytest.fixture(scope="module")
def enabled(box, site, signed):
    box.run("sh", "-c", commands()[1])
    yield
    box.run("fd0", "disable", "httpd")


def curl(box, authority, path, *options):
    machine.program("curl", "curl")
    return box.run("curl", "-sS", "--cacert", authority, "--resolve", f"{HOST}:443:127.0.0.1", *options,
                   f"https://{HOST}{path}").stdout


def test_the_manual_page_has_two_commands():
    assert [line.split()[:2] for line in commands()] == [["fd0", "cert"], ["fd0", "enable"]]


def test_a_page_comes_over_https_and_says_what_it_is(box, enabled, signed):
    assert curl(box, signed, "/") == "<title>Home</title>\n"
    assert re.search("^HTTP/1.1 200 OK\r?$", curl(box, signed, "/index.html", "-I"), re.MULTILINE)
    assert box.run("systemctl", "is-enabled", "fd0-httpd.socket").stdout == "enabled\n"


def test_a_script_runs_and_its_complaints_are_in_the_journal(box, enabled, signed):
    assert curl(box, signed, "/cgi-bin/hello/there") == "GET on /there\n"
    assert curl(box, signed, "/cgi-bin/hello", "--data", "x=1") == "POST on \n"
    for what in "seen on standard error", "target=/cgi-bin/hello/there ":
        machine.until(lambda what=what: [line for line in box.journal("-t", "httpd") if what in line], what=what)


def test_a_new_certificate_is_taken_without_a_restart(box, enabled, signed):
    before = box.run("systemctl", "show", "-P", "MainPID", "fd0-httpd.service").stdout
    box.run("fd0", "cert", "--force", HOST)         # as for a trial: signed by the local authority
    authority = "/etc/fd0/tls/authority.pem"
    machine.until(lambda: "Home" in box.run("curl", "-s", "--cacert", authority, "--resolve",
                                            f"{HOST}:443:127.0.0.1", f"https://{HOST}/", check=False).stdout,
                  what="the new certificate")
    assert box.run("systemctl", "show", "-P", "MainPID", "fd0-httpd.service").stdout == before != "0\n"
