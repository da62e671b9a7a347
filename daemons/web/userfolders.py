"""Folders of users: /~NAME/ is the folder of a fixed name in her home, as long as that is hers."""

import os
import pwd
import stat

from daemons.stores.webtree import Root
from daemons.wire.httptarget import encoded

from . import files
from .sites import Site

FIRST, LAST = 1000, 59999       # uids of people (Debian policy, 9.2.2)
MOST = 200                      # users whose folders stay open


class UserFolders:
    """The sites of users; `name` is that of the folder in each home."""

    def __init__(self, name, like):
        self.name, self.like, self.sites = name, like, {}

    def answer(self, exchange):
        """Answer for a path that begins with ~NAME."""
        name = exchange.target.segments[0][1:].decode("utf-8", "surrogateescape")
        site = self.sites.get(name) or self._made(exchange, name)
        if len(exchange.target.segments) == 1:
            return exchange.redirect(301, f"{encoded(exchange.path)}/")
        exchange.target = exchange.target.below(1)
        files.answer(exchange, site)

    def _made(self, exchange, name):
        path, owner = self._folder(name)
        try:
            root = Root(path)
            if os.fstat(root.fd).st_uid != owner:
                raise PermissionError(f"{path} is somebody else's")
        except OSError as error:        # the same answer as for nobody: who has an account is not told
            exchange.refuse(404, str(error))
        if len(self.sites) >= MOST:
            self.sites.clear()
        like = self.like
        self.sites[name] = Site(root, listing=like.listing, index=like.index, siblings=like.siblings)
        return self.sites[name]

    def _folder(self, name):
        """(path, uid); a path that is not there for who is no person with an account."""
        try:
            entry = pwd.getpwnam(name)
        except (KeyError, ValueError):  # ValueError: NUL in it
            return "", -1
        if not FIRST <= entry.pw_uid <= LAST or stat.S_ISLNK(_mode(entry.pw_dir)):
            return "", -1
        return f"{entry.pw_dir}/{self.name}", entry.pw_uid


def _mode(path):
    try:
        return os.lstat(path).st_mode
    except OSError:
        return stat.S_IFLNK
