"""A Maildir that comes from Dovecot: to POP3 clients its messages are those that they know."""

import os
import poplib
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from daemons.stores import accounts
from daemons.stores.maildelivery import Delivery
from daemons.stores.maildir import Folder
from tests.live import machine, processes
from tests.serving import Serving

USER, PASSWORD = "alice@example.org", "secret"
OWNER = 64005                   # of the Maildir; Dovecot reads none as root
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
import_environment = LIVE_TEST_MARK
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{folder}/box
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner} home={folder}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
{more}
"""


class Dovecot:
    """`with Dovecot(folder) as server`: it serves the Maildir `box` in this folder to everybody, at `port`."""

    def __init__(self, folder, more=""):
        self.folder, self.place = folder, machine.Port()
        self.port = self.place.number
        (folder / "dovecot.conf").write_text(CONFIG.format(
            folder=folder, password=PASSWORD, owner=OWNER, port=self.port, more=more))

    def __enter__(self):
        with open(self.folder / "output", "wb") as output:
            self.processes = processes.Processes(
                [machine.program("dovecot", "dovecot-pop3d"), "-F", "-c", f"{self.folder}/dovecot.conf"],
                cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            machine.until(lambda: machine.listeners("stream", ("127.0.0.1", self.port))
                          or self.processes.first.poll() is not None, 20, "Dovecot")
            assert self.processes.first.poll() is None, (self.folder / "output").read_text()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind=None, *_):
        if kind:
            print((self.folder / "log").read_text())
        self.processes.first.send_signal(signal.SIGTERM)
        self.processes.first.wait(20)   # it ends its children
        self.processes.end()
        self.place.release()


@pytest.fixture
def old():
    """A folder with a Maildir of three messages, Dovecot's to be."""
    if os.geteuid() != 0:
        machine.unavailable("a Dovecot of our own needs root")
    folder = Path(processes.new_folder("dovecot"))
    for name in ("box", "box/tmp", "box/new", "box/cur"):
        (folder / name).mkdir()
    for name in ("cur/1.a.host,S=17:2,S", "new/2.b.host", "new/3.c.host"):
        (folder / "box" / name).write_text(f"Subject: {name[4]}\n\ntext\n")
    for path in (folder / "box", *(folder / "box").rglob("*")):
        os.chown(path, OWNER, OWNER)
    yield folder
    shutil.rmtree(folder)


def told(server):
    """What it answers to UIDL, and the subjects, as its clients put them together."""
    client = poplib.POP3("127.0.0.1", server.port, timeout=20)
    client.user(USER)
    client.pass_(PASSWORD)
    ids = [line.split()[1] for line in client.uidl()[1]]
    subjects = [next(line for line in client.retr(n)[1] if line.startswith(b"Subject: "))
                for n in range(1, len(ids) + 1)]
    client.quit()
    return dict(zip(ids, subjects))


SAVED = "protocol pop3 {\n  pop3_save_uidl = yes\n  pop3_uidl_format = %v-%u\n}"


@pytest.mark.parametrize("before, later", [("", ""), (SAVED, ""), (SAVED, SAVED)], ids=["usual", "mixed", "saved"])
def test_clients_of_dovecot_fetch_nothing_twice(old, tmp_path, before, later):
    """Whatever its format of unique ids was, as long as it was the usual one or they were saved."""
    with Dovecot(old, before) as server:
        first = told(server)
    (old / "box/new/4.d.host").write_text("Subject: 4\n\ntext\n")
    os.chown(old / "box/new/4.d.host", OWNER, OWNER)
    with Dovecot(old, later) as server:
        known = told(server)
    assert len(known) == 4 and first.items() < known.items()
    there = accounts.open(f"{tmp_path}/accounts.db", create=True)
    there.add_user(USER, PASSWORD.encode())
    there.store.close()
    shutil.copytree(old / "box", tmp_path / "mail/example.org/alice")
    with Serving("pop3d", f"--accounts={tmp_path}/accounts.db", f"--mail={tmp_path}/mail", "--plaintext=yes") as server:
        assert told(server) == known
        with Folder(f"{tmp_path}/mail/example.org/alice") as folder, Delivery(folder) as delivery:
            delivery.write(b"Subject: 5\r\n\r\ntext\r\n")
            delivery.keep()
        now = told(server)
    assert len(now) == 5 and known.items() < now.items()
