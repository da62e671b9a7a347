"""fd0 cert: what it makes works, is kept from others, and is not written over; what it shows is true."""

import os
import pwd
import re
import ssl
import subprocess
import sys

import pytest

from daemons.tools.__main__ import main
from tests.live import machine

KINDS = {"ec": "elliptic curve secp256r1", "rsa": "RSA, 3072 bits", "ed25519": "Ed25519"}


@pytest.fixture
def cert(tmp_path, capsys):
    """Run the command with --to; (exit status, what it printed, what it complained)."""
    def run(*arguments):
        try:
            status = main(["cert", f"--to={tmp_path}/tls", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()
    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tls"


def handshake(folder, name, server, client=None, asked=ssl.CERT_NONE):
    """Shake hands in memory with the files as a program and its client would load them; the client's end."""
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours.load_cert_chain(f"{folder}/{server}.pem", f"{folder}/{server}.key")
    ours.verify_mode = asked
    for context in (ours, theirs):
        context.load_verify_locations(f"{folder}/authority.pem")
    if client:
        theirs.load_cert_chain(f"{folder}/{client}.pem", f"{folder}/{client}.key")
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    us = ours.wrap_bio(to_us, to_them, server_side=True)
    them = theirs.wrap_bio(to_them, to_us, server_hostname=name)
    for side in (them, us, them, us):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return us, them


def test_the_first_use_makes_all_that_is_needed(cert, folder):
    status, said, complained = cert()
    assert (status, complained) == (0, "")
    for name in ("localhost", "127.0.0.1", "::1"):
        assert handshake(folder, name, "localhost")[1].version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(folder, "elsewhere.example", "localhost")
    assert f"--tls-cert={folder}/localhost.pem --tls-key={folder}/localhost.key" in said
    assert f"openssl s_client -connect localhost:PORT -CAfile {folder}/authority.pem" in said
    assert f"curl --cacert {folder}/authority.pem https://localhost:PORT/" in said


def test_keys_are_for_nobody_else(cert, folder):
    before = os.umask(0)
    try:
        cert("a.example")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o7777 for file in folder.iterdir()}
    assert modes == {"authority.key": 0o600, "authority.pem": 0o644, "a.example.key": 0o600, "a.example.pem": 0o644}
    assert folder.stat().st_mode & 0o022 == 0 or before == 0


def test_the_authority_is_made_once(cert, folder):
    cert("a.example")
    authority = (folder / "authority.pem").read_bytes(), (folder / "authority.key").read_bytes()
    cert("b.example")
    assert authority == ((folder / "authority.pem").read_bytes(), (folder / "authority.key").read_bytes())
    for name in ("a.example", "b.example"):
        handshake(folder, name, name)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key(cert, folder, kind):
    cert(f"--key={kind}", "*.a.example", "192.0.2.1", "--days=7")
    handshake(folder, "x.a.example", "wildcard.a.example")
    _, shown, _ = cert("--show", folder / "wildcard.a.example.pem")
    assert re.search(r"^  for +\*\.a\.example 192\.0\.2\.1$", shown, re.M) and "(6 days left)" in shown
    assert f" {KINDS[kind]}\n" in shown and re.search(r"^  use +server$", shown, re.M)
    _, shown, _ = cert("--show", folder / "wildcard.a.example.key")
    assert re.search(rf"^  private key +{KINDS[kind]}$", shown, re.M)


def test_openssl_agrees(cert, folder):
    openssl = machine.program("openssl", "openssl")
    cert("a.example")
    cert("--client", "alice@a.example")
    for name, purpose in (("a.example", "sslserver"), ("alice@a.example", "sslclient")):
        done = subprocess.run([openssl, "verify", "-x509_strict", "-purpose", purpose, "-CAfile",
                               folder / "authority.pem", folder / f"{name}.pem"], capture_output=True, text=True)
        assert done.stdout == f"{folder}/{name}.pem: OK\n", done.stderr


def test_a_clients_certificate_is_one_for_clients(cert, folder):
    cert("a.example")
    status, said, _ = cert("--client", "alice")
    assert status == 0 and f"--tls-ca={folder}/authority.pem --tls-clients=require" in said
    us, _ = handshake(folder, "a.example", "a.example", "alice", ssl.CERT_REQUIRED)
    assert us.getpeercert()["subject"] == ((("commonName", "alice"),),)
    with pytest.raises(ssl.SSLError):
        handshake(folder, "a.example", "a.example", "a.example", ssl.CERT_REQUIRED)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(folder, "alice", "alice")


def test_a_request_for_a_real_authority(cert, folder):
    openssl = machine.program("openssl", "openssl")
    status, said, _ = cert("--request", "mail.a.example", "imap.a.example")
    assert status == 0
    assert sorted(file.name for file in folder.iterdir()) == ["mail.a.example.csr", "mail.a.example.key"]
    assert f"send {folder}/mail.a.example.csr to your authority" in said
    done = subprocess.run([openssl, "req", "-verify", "-noout", "-text", "-in", folder / "mail.a.example.csr"],
                          capture_output=True, text=True)
    assert done.returncode == 0 and "DNS:mail.a.example, DNS:imap.a.example" in done.stdout
    assert re.search(r"^  for +mail.a.example imap.a.example$", cert("--show", folder / "mail.a.example.csr")[1], re.M)


def test_nothing_is_written_over_unless_told(cert, folder):
    cert("a.example")
    before = (folder / "a.example.key").read_bytes()
    status, _, complained = cert("a.example")
    assert status == 100 and complained == f"fd0 cert: {folder}/a.example.key is there already; " \
        "--force writes over it\n"
    assert (folder / "a.example.key").read_bytes() == before
    assert cert("a.example", "--force")[0] == 0 and (folder / "a.example.key").read_bytes() != before
    handshake(folder, "a.example", "a.example")


def test_a_certificate_does_not_outlive_its_authority(cert, folder):
    cert("a.example", "--days=30000")
    ends = re.findall(r"until +(\S+)", cert("--show", folder / "a.example.pem", folder / "authority.pem")[1])
    assert len(ends) == 2 and ends[0] == ends[1]


def test_show_tells_what_has_expired(cert, folder, tmp_path):
    from tests.certificates import Authority
    certificate, key = Authority(tmp_path).signed("old.example", days=-1)
    path = Authority(tmp_path, "new").write("both.pem", certificate, key)
    status, shown, _ = cert("--show", path)
    assert status == 0 and "(EXPIRED)" in shown and "private key" in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_can_give_the_key_to_the_programs_user(cert, folder):
    nobody = pwd.getpwnam("nobody")
    assert cert("a.example", "--owner=nobody")[0] == 0
    owners = {file.name: file.stat().st_uid for file in folder.iterdir()}
    assert owners == {"a.example.key": nobody.pw_uid, "a.example.pem": 0, "authority.key": 0, "authority.pem": 0}


@pytest.mark.parametrize("arguments, why", [
    (["a b"], "'a b' is neither a host name nor an address"), (["../a"], "neither a host name"),
    (["a..example"], "neither a host name"), (["*"], "neither a host name"), (["a" * 64 + ".example"], "neither"),
    (["--client"], "needs a name"), (["--client", "a/b"], "no name for a client"),
    (["--days=0", "a"], "number of days"), (["--key=dsa", "a"], "dsa"),
    (["--owner=nosuchuser", "a"], "there is no user nosuchuser"),
    (["--show"], "name the files"), (["--show", "/dev/null"], "must be a PEM file"),
    (["--sohw"], "did you mean --show")])
def test_what_is_wrong_is_told(cert, folder, arguments, why):
    status, _, complained = cert(*arguments)
    assert status == 100 and why in complained and not folder.exists()


def test_a_broken_authority_is_told_with_the_way_out(cert, folder):
    cert("a.example")
    (folder / "authority.key").write_text("nothing")
    status, _, complained = cert("b.example")
    assert status == 100 and "move them away" in complained and not (folder / "b.example.pem").exists()


def test_without_cryptography_it_says_what_to_install(tmp_path):
    """An interpreter without site-packages has none."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from daemons.tools.__main__ import main; sys.exit(main())"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run([sys.executable, "-IS", "-c", code, root, "cert", f"--to={tmp_path}"], capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 111 and "apt-get install python3-cryptography" in done.stderr and not done.stdout
