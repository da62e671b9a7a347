"""Accounts that several processes change and ask at once, and that a process without rights opens."""

import os
import subprocess
import sys

import pytest

from daemons.stores import accounts
from tests.live import processes
from tests.sources import ROOT
from tests.stores.places import Place

ADDING = """
import sys
from daemons.stores import accounts
from daemons.wire import passwordlines
passwordlines.COST = 10, 8, 1
dsn, me, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
there = accounts.open(dsn, create=True)
for number in range(many):
    name = there.add_user(f"{me}-{number}@example.org", f"secret {me} {number}".encode())
    there.add_alias(f"all-{number}@example.org", name)
    if not there.check(name, f"secret {me} {number}".encode(), "imap") or there.check(name, b"wrong", "imap"):
        sys.exit(f"{name} cannot log in")
    if name not in there.resolve(f"all-{number}@example.org"):
        sys.exit(f"{name} has no alias")
    there.set_password(name, b"another")
    if there.check(name, f"secret {me} {number}".encode(), "imap") or not there.check(name, b"another", "imap"):
        sys.exit(f"{name} has an old password")
    try:
        there.add_user(f"shared-{number}@example.org", me.encode())
    except accounts.Conflict:
        pass                            # another was quicker
"""
AS_NOBODY = """
import os, sys, tempfile
from daemons.stores import accounts

def use(path):
    there = accounts.open(path, create=True)
    there.add_user("alice@example.org", b"secret")
    return bool(there.check("alice@example.org", b"secret", "imap")), oct(os.stat(path).st_mode & 0o777)

with tempfile.TemporaryDirectory() as folder:           # as root, who can load all that it needs
    use(f"{folder}/x.db")
os.setgroups([])
os.setresgid(*3 * [int(sys.argv[2])])
os.setresuid(*3 * [int(sys.argv[2])])
print(*use(sys.argv[1]))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_four_processes_add_and_check(kind, tmp_path):
    place, many = Place(kind, tmp_path), 15
    started = [subprocess.Popen([sys.executable, "-c", ADDING, place.dsn, f"p{number}", str(many)], cwd=ROOT,
                                stderr=subprocess.PIPE, text=True) for number in range(4)]
    assert [one.communicate(timeout=120)[1] for one in started] == [""] * 4
    there = place.open()
    names = {user.name for user in there.list_users()}
    assert names == {f"p{one}-{number}@example.org" for one in range(4) for number in range(many)} | {
        f"shared-{number}@example.org" for number in range(many)}
    for number in range(many):
        assert len(there.resolve(f"all-{number}@example.org")) == 4
        shared = f"shared-{number}@example.org"
        assert sum(bool(there.check(shared, f"p{one}".encode(), "imap")) for one in range(4)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_without_rights_and_under_any_uid():
    uid, folder = 60000 + os.getpid() % 5000, processes.new_folder("accounts")
    os.chown(folder, uid, uid)
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, f"{folder}/accounts.db", str(uid)], cwd=ROOT, timeout=60,
                          capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True 0o600\n", "")
    assert accounts.open(f"{folder}/accounts.db").check("alice@example.org", b"secret", "imap"), "root may as well"
    assert {os.stat(f"{folder}/{name}").st_uid for name in os.listdir(folder)} == {uid}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_who_may_not_write_is_told_which(tmp_path):
    folder = processes.new_folder("accounts")
    accounts.open(f"{folder}/accounts.db", create=True)
    os.chmod(f"{folder}/accounts.db", 0o640)
    os.seteuid(65534)
    try:
        with pytest.raises(PermissionError) as error:
            accounts.open(f"{folder}/accounts.db")
        assert error.value.filename == f"{folder}/accounts.db"
        with pytest.raises(PermissionError):
            accounts.open(f"{folder}/other.db", create=True)
    finally:
        os.seteuid(0)
