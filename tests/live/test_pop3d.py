"""pop3d as its clients see it: poplib, curl, fetchmail and mpop, in the clear, by STLS and under TLS."""

import os
import poplib
import re
import socket
import ssl
import struct
import subprocess

import pytest

from daemons.stores import accounts
from daemons.stores.maildelivery import Delivery
from daemons.stores.maildir import Folder
from tests.certificates import Authority
from tests.live import machine
from tests.serving import Serving

USER, PASSWORD = "alice@example.org", "a secret"
MANY = 300
SECONDS = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accounts")
    there = accounts.open(f"{folder}/accounts.db", create=True)
    there.add_user(USER, PASSWORD.encode(), secret=True)
    there.store.close()
    return f"--accounts={folder}/accounts.db"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def box(tmp_path):
    """A mailbox with many messages; the last has lines of dots."""
    path = tmp_path / "mail/example.org/alice"
    with Folder(str(path)) as folder:
        folder.create()
        for at in range(MANY):
            with Delivery(folder) as delivery:
                delivery.write(f"From: bob@example.org\r\nMessage-ID: <{at}@x>\r\nSubject: {at}\r\n\r\n.\r\n..{at}\r\n"
                               .encode())
                delivery.keep()
    return path


@pytest.fixture
def serving(made, box, authority, tmp_path):
    """A function that starts pop3d with options."""
    certificate, key = authority.pair("localhost", "127.0.0.1")

    def started(*options):
        return Serving("pop3d", made, f"--mail={tmp_path}/mail", f"--tls-cert={certificate}", f"--tls-key={key}",
                       *options)
    return started


def names(box):
    return sorted(os.listdir(f"{box}/new") + os.listdir(f"{box}/cur"))


def logged_in(server, authority):
    """poplib, after STLS and a login."""
    client = poplib.POP3("127.0.0.1", server.port, timeout=10)
    client.stls(authority.client())
    client.user(USER)
    client.pass_(PASSWORD)
    return client


def test_poplib_fetches_all_by_stls_and_ids_stay(serving, authority, box):
    with serving() as server:
        client = logged_in(server, authority)
        count, octets = client.stat()
        ids = client.uidl()[1]
        sizes = [int(line.split()[1]) for line in client.list()[1]]
        assert count == MANY == len(set(ids)) and sum(sizes) == octets
        for n in range(1, MANY + 1):
            lines = client.retr(n)[1]
            assert lines[2:] == [b"Subject: %d" % (n - 1), b"", b".", b"..%d" % (n - 1)]
            assert sum(len(line) + 2 for line in lines) == sizes[n - 1]
        assert client.top(7, 1)[1][-1] == b"."
        client.dele(1)
        client.quit()
        again = logged_in(server, authority)
        assert [line.split()[1] for line in again.uidl()[1]] == [line.split()[1] for line in ids[1:]]
        again.quit()
    assert len(names(box)) == MANY - 1
    assert re.search(r"messages=300 octets=\d+ retrieved=300 deleted=1", server.events("maildrop")[0])


def test_a_reset_connection_removes_nothing_and_frees_the_lock(serving, authority, box):
    with serving() as server:
        client = logged_in(server, authority)
        client.dele(1)
        with pytest.raises(poplib.error_proto, match=r"\[IN-USE\]"):
            logged_in(server, authority)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.file.close()
        client.sock.close()

        def free():
            try:
                return logged_in(server, authority)
            except poplib.error_proto as error:
                assert b"IN-USE" in error.args[0]
                return None
        again = machine.until(free)
        assert again.stat()[0] == MANY
        again.quit()
    assert len(names(box)) == MANY


def test_poplib_by_apop_and_under_tls(serving, authority):
    with serving("--apop=yes") as server:
        client = poplib.POP3("127.0.0.1", server.port, timeout=10)
        client.apop(USER, PASSWORD)
        assert client.stat()[0] == MANY
        client.quit()
    with serving("--tls=implicit") as server:
        client = poplib.POP3_SSL("127.0.0.1", server.port, timeout=10, context=authority.client())
        client.user(USER)
        with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
            client.pass_("wrong")
        client.close()
        assert isinstance(client.sock, ssl.SSLSocket | type(None))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_curl(serving, authority, mechanism):
    with serving() as server:
        done = subprocess.run([machine.program("curl", "curl"), "-sS", "--ssl-reqd", "--cacert", authority.path,
                               "--user", f"{USER}:{PASSWORD}", "--login-options", f"AUTH={mechanism}",
                               f"pop3://localhost:{server.port}/3"], capture_output=True, timeout=SECONDS)
    assert done.stdout.endswith(b"Subject: 2\r\n\r\n.\r\n..2\r\n"), done.stderr
    assert f"mechanism={mechanism}" in server.events("login")[0]


def test_fetchmail_empties_the_mailbox(serving, authority, box, tmp_path):
    config = tmp_path / "fetchmailrc"
    with serving() as server:
        config.write_text(f'poll localhost proto pop3 port {server.port} user "{USER}" password "{PASSWORD}"\n'
                          f'  sslproto "TLS1.2+" sslcertck sslcertfile "{authority.path}"\n'
                          f'  mda "cat >> {tmp_path}/got" fetchall no keep\n')
        config.chmod(0o600)
        done = subprocess.run([machine.program("fetchmail", "fetchmail"), "-f", config, "--nosyslog", "-N", "-d0",
                               "--pidfile", f"{tmp_path}/pid", "-i", f"{tmp_path}/ids"], capture_output=True,
                              timeout=SECONDS, env={**os.environ, "FETCHMAILHOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "got").read_bytes().count(b"Subject: ") == MANY and names(box) == []


def test_mpop_by_scram_keeps_the_mail_and_knows_it_again(serving, authority, box, tmp_path):
    (tmp_path / "got").mkdir()
    for each in ("new", "cur", "tmp"):
        (tmp_path / "got" / each).mkdir()
    with serving() as server:
        command = [machine.program("mpop", "mpop"), "--file=/dev/null", "--host=localhost", f"--port={server.port}",
                   f"--user={USER}", f"--passwordeval=echo {PASSWORD}", "--auth=scram-sha-256", "--tls=on",
                   "--tls-starttls=on", f"--tls-trust-file={authority.path}", "--keep=on",
                   f"--delivery=maildir,{tmp_path}/got",
                   f"--uidls-file={tmp_path}/ids"]
        for _ in range(2):
            done = subprocess.run(command, capture_output=True, timeout=SECONDS)
            assert done.returncode == 0, done.stdout + done.stderr
    assert len(os.listdir(tmp_path / "got/new")) == MANY == len(names(box))
    assert all("mechanism=SCRAM-SHA-256" in line for line in server.events("login"))
