"""A real PostgreSQL for tests: a server of Debian's package in a folder of its own, at a Unix socket there.

    server = postgresql.server()                        # the one of this test run, started when first asked for
    dsn = server.schema()                               # a place of its own, empty
"""

import functools
import importlib.util
import itertools
import os
import pwd
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from tests.live import machine, processes

OWNER = "postgres"              # the server does not run as root
SETTINGS = ("listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=60", "autovacuum=off")
NO_LOCALE = {"PATH": machine.SYSTEM_PATH, "LC_ALL": "C.UTF-8"}
numbers = itertools.count()


class Server:
    """A running server; killed with the test run, if not before."""

    def __init__(self):
        self.programs = _programs()
        self.folder = Path(processes.new_folder("postgresql"))
        self.data = self.folder / "data"
        if os.geteuid() == 0:
            owner = pwd.getpwnam(OWNER)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        else:
            self.as_owner = {}
        subprocess.run([self.programs / "initdb", "--no-sync", "--auth=trust", f"--username={OWNER}", "--encoding=UTF8",
                        "-D", self.data], check=True, capture_output=True, timeout=120, cwd=self.folder, env=NO_LOCALE,
                       **self.as_owner)
        self.start()

    def start(self):
        """Start it, and wait until it answers."""
        with open(self.folder / "log", "ab") as log:
            self.processes = processes.Processes(
                [self.programs / "postgres", "-D", self.data, "-k", self.folder,
                 *(word for setting in SETTINGS for word in ("-c", setting))],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.as_owner)
        machine.until(lambda: self.answers() or self.processes.first.poll() is not None, 60, "PostgreSQL")
        if self.processes.first.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text())

    def answers(self):
        """Can one connect to it?"""
        return subprocess.run([self.programs / "pg_isready", "-q", "-h", self.folder], timeout=20).returncode == 0

    def stop(self):
        """End it at once, as for a reboot: connections are cut, nothing that was committed is lost."""
        self.processes.first.send_signal(signal.SIGQUIT)
        self.processes.first.wait(30)

    def schema(self):
        """The DSN of a schema that nobody else has."""
        name = f"fd0_{next(numbers)}"
        self.sql(f"CREATE SCHEMA {name}")
        return f"postgresql://{OWNER}@/postgres?host={quote(str(self.folder), safe='')}&options=-csearch_path%3D{name}"

    def sql(self, text):
        """Do a statement, by PostgreSQL's own client; returns its rows as it prints them."""
        done = subprocess.run([self.programs / "psql", "-qAtX", "-h", self.folder, "-U", OWNER, "-d", "postgres",
                               "-c", text], check=True, capture_output=True, text=True, timeout=60, env=NO_LOCALE)
        return done.stdout.splitlines()


@functools.cache
def server():
    """The server of this test run; without one, or without psycopg, the calling test is skipped (in CI: fails)."""
    if importlib.util.find_spec("psycopg") is None:
        machine.unavailable("psycopg is not installed (PyPI: psycopg[binary])")
    _programs()
    return Server()


def _programs():
    """Where the server's programs are, which are on nobody's PATH: of the newest version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else machine.unavailable("there is no PostgreSQL (Debian package postgresql)")
