"""Changes of a machine's files, told as they are made, and taken back when a later one fails.

The machine is this one, or a tree below --root that will be one, where nothing is run but what can work on a tree.
"""

import os
import shutil
import subprocess

from .programs import NotOurs

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NEW = ".fd0-new"                # launchers do not read a name with a dot


class Machine:
    """The machine to change; with `dry` nothing is done, and everything said."""

    def __init__(self, root=None, dry=False):
        self.root, self.dry, self.live = (root or "/").rstrip("/"), dry, root is None
        self._back = []

    def path(self, name):
        """Where a file of that machine lies here."""
        return self.root + name

    def read(self, name):
        """A file's text; None if there is no such file."""
        try:
            with open(self.path(name), encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def program(self, name):
        """The path of an installed program on that machine, or None."""
        for folder in SYSTEM_PATH.split(":"):
            if os.access(self.path(f"{folder}/{name}"), os.X_OK):
                return f"{folder}/{name}"
        return None

    # -- files --

    def write(self, name, text):
        """Have a file hold this text: the whole of it at once, or what it held before.  Says so."""
        before = self.read(name)
        if before == text:
            return
        self.say(f"{'write' if before is None else 'change'} {name}", text if before is None else None)
        if not self.dry:
            self._folder(os.path.dirname(name))
            self._back.append(lambda: self._undo(name, before))
            self._put(name, text)

    def remove(self, name):
        """Take a file away.  Says so."""
        before = self.read(name)
        if before is None:
            return
        self.say(f"remove {name}")
        if not self.dry:
            self._back.append(lambda: self._put(name, before))
            os.unlink(self.path(name))

    def remove_folder(self, name):
        """Take a directory away if nothing is in it."""
        if not self.dry and os.path.isdir(self.path(name)) and not os.listdir(self.path(name)):
            os.rmdir(self.path(name))

    def _put(self, name, text):
        path = os.path.realpath(self.path(name))        # a link stays a link
        mode, uid, gid = 0o644, os.geteuid(), os.getegid()
        if os.path.exists(path):
            status = os.stat(path)
            mode, uid, gid = status.st_mode & 0o7777, status.st_uid, status.st_gid
        with open(path + NEW, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(file.fileno(), mode)
            os.fchown(file.fileno(), uid, gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + NEW, path)

    def _undo(self, name, before):
        if before is None:
            os.unlink(self.path(name))
        else:
            self._put(name, before)

    def _folder(self, name):
        path = self.path(name)
        if not os.path.isdir(path):
            if name in ("", "/"):
                raise NotOurs(f"{path}: no such folder")
            self._folder(os.path.dirname(name))
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)
            self._back.append(lambda: os.rmdir(path))

    # -- what is run --

    def run(self, *command, undo=None):
        """Run a command; raises NotOurs with what it said if it fails.  `undo` is the command that takes it back."""
        self.say(f"run   {' '.join(command)}")
        if self.dry:
            return
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        if undo:
            self._back.append(lambda: subprocess.run(undo, capture_output=True, stdin=subprocess.DEVNULL))
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split()) or f"exit status {done.returncode}"
            raise NotOurs(f"{' '.join(command)}: {said}")

    def signal(self, pid, number, what):
        """Tell a process something."""
        self.say(what)
        if not self.dry:
            self._back.append(lambda: os.kill(pid, number))
            os.kill(pid, number)

    def take_back(self):
        """Undo everything, the last first."""
        while self._back:
            self._back.pop()()

    def say(self, what, text=None):
        """Tell the administrator what is done, or would be; for a trial also the text of a file."""
        print(f"  {'would ' if self.dry else ''}{what}")
        if self.dry and text is not None:
            print("".join(f"    | {line}\n" for line in text.splitlines()), end="")


def is_booted_by_systemd():
    """Is systemd in charge of this machine (sd_booted(3))?"""
    return os.path.isdir("/run/systemd/system") and shutil.which("systemctl", path=SYSTEM_PATH) is not None
