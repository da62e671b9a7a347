"""Sites: which hosts are served from where, and what holds for which of their paths."""

from functools import cache

from daemons.stores.webtree import Hidden, Missing, Root
from daemons.wire import mediatypes
from daemons.wire.httpstatus import Refused
from daemons.wire.httptarget import encoded
from daemons.wire.pathpatterns import matches

from . import files

INDEX = (b"index.html", b"index.htm")
MEDIA_TYPES = "/etc/mime.types"
PERMANENT = 301
REALM = "Members only"


class Place:
    """A path that something else than files answers for: `kind` is the word for it, `rest` what was said after it."""

    __slots__ = ("kind", "made", "prefix", "rest")

    def __init__(self, kind, prefix, rest):
        self.kind, self.rest, self.made = kind, rest, None
        self.prefix = tuple(part for part in prefix.encode("utf-8", "surrogateescape").split(b"/") if part)

    def holds(self, segments):
        """Is this path at the place, or below it?"""
        return segments[:len(self.prefix)] == self.prefix


class Site:
    """What is shown to those who ask for some hosts.

    root        the folder (webtree.Root), or None: then nothing is served but what `places` say
    folders     those of users (userfolders.py), or None
    listing, index, siblings    folders are listed; files that stand for them; compressed files beside files are used
    users       who may log in (a Passwords), or None; `protected` are patterns where one must, with their realms
    """

    def __init__(self, root, *, listing=False, users=None, index=INDEX, siblings=True):
        self.root, self.listing, self.users, self.index, self.siblings = root, listing, users, index, siblings
        self.types = mediatypes.BUILTIN
        self.headers, self.redirects, self.rewrites, self.protected, self.places = [], [], [], [], []
        self.errors, self.folders = {}, None
        self.digest, self.nonces, self.hsts = False, None, None
        self.scripts = None             # what programs may cost, where there are some
        self.memory = {}                # small files (files.py), by where they are

    def kind_of(self, name):
        """The media type of a file: from our own table, or for what that does not know from the system's."""
        text = name.decode("latin-1")
        kind = mediatypes.of(text, self.types)
        return kind if kind != mediatypes.UNKNOWN else mediatypes.of(text, media_types())

    def obey(self, section):
        """Have what a section of the file of sites says hold here, too."""
        single = section.single
        if "listing" in single:
            self.listing = single["listing"] == "yes"
        if "index" in single:
            self.index = tuple(name.encode("utf-8") for name in single["index"].split())
        self.digest = single.get("login", "digest" if self.digest else "basic") == "digest"
        self.hsts = single.get("hsts", self.hsts)
        for word, pattern, rest in section.rules:
            self._rule(word, pattern, rest)

    def _rule(self, word, pattern, rest):
        if word == "header":
            name, _, value = rest.partition(":")
            self.headers.append((pattern, name.strip(), _latin(value.strip())))
        elif word == "cache":
            self.headers.append((pattern, "Cache-Control", _latin(rest)))
        elif word == "redirect":
            status, _, target = rest.rpartition(" ")
            self.redirects.append((pattern, int(status or PERMANENT), target))
        elif word == "rewrite":
            self.rewrites.append((pattern, rest))
        elif word == "gone":
            self.redirects.append((pattern, 410, ""))
        elif word == "type":
            self.types = {**self.types, pattern[1:].lower(): rest}
        elif word == "error":
            self.errors[int(pattern)] = tuple(part.encode("utf-8") for part in rest.split("/") if part)
        elif word == "protect":
            self.protected.append((pattern, rest))
        else:
            self.add_place(word, pattern, rest)

    def add_place(self, kind, prefix, rest=""):
        """Have something else than files answer at a path; the longest prefix counts."""
        self.places.append(Place(kind, prefix, rest))
        self.places.sort(key=lambda place: -len(place.prefix))

    # -- answering --

    def answer(self, exchange, server):
        """Answer; `server` knows what answers at places, and the nonces of logins."""
        if self.errors:
            exchange.error_page = self.error_page
        path = exchange.path
        self.add_fields(exchange, path)
        for pattern, status, target in self.redirects:
            if matches(pattern, path):
                return self._redirect(exchange, pattern, status, target)
        for pattern, target in self.rewrites:
            if matches(pattern, path):
                self._rewrite(exchange, pattern, target)
                break
        self._admit(exchange, path)
        if path != exchange.path:
            self._admit(exchange, exchange.path)
        if self.folders is not None and exchange.target.segments[0][:1] == b"~":
            return self.folders.answer(exchange)
        for place in self.places:
            if place.holds(exchange.target.segments):
                return server.place(exchange, self, place)
        if self.root is None:
            exchange.refuse(404, "nothing is served here")
        files.answer(exchange, self)

    def add_fields(self, exchange, path):
        """Have the reply carry the fields that rules add for a path."""
        if self.headers:
            rows = {}
            for pattern, name, value in self.headers:
                if matches(pattern, path):
                    rows[name.lower()] = name, value
            exchange.always = list(rows.values())
        if self.hsts is not None and exchange.stream.secure:        # RFC 6797, 7.2: under TLS alone
            exchange.always = [*exchange.always, ("Strict-Transport-Security", f"max-age={self.hsts}")]

    def _redirect(self, exchange, pattern, status, target):
        """What follows a path that ends in a slash follows its new place as well."""
        if status == 410:
            exchange.refuse(410, "gone, as the file of sites says")
        if target.endswith("/") and pattern.endswith("/") and not pattern.startswith("*"):
            target += encoded(exchange.path)[len(encoded(pattern)):]
        query = f"?{exchange.query}" if exchange.target.has_query and "?" not in target else ""
        exchange.redirect(status, target + query)

    def _rewrite(self, exchange, pattern, target):
        """Take another path for what is asked for, with the query as it came."""
        if target.endswith("/") and pattern.endswith("/") and not pattern.startswith("*"):
            target += encoded(exchange.path)[len(encoded(pattern)):]
        exchange.aim(target + (f"?{exchange.query}" if exchange.target.has_query else ""))

    def _admit(self, exchange, path):
        """Where one must log in, see to it; a folder may be answered for by its index, so rules for that count."""
        if self.users is None:
            return
        paths = [path, *(path + name.decode("utf-8") for name in self.index)] if path.endswith("/") else [path]
        realm = next((realm for pattern, realm in self.protected if any(matches(pattern, one) for one in paths)), None)
        if realm is not None or not self.protected:
            from . import login
            login.demand(exchange, self.users, realm or REALM, self.nonces)

    def error_page(self, status):
        """(media type, octets) of the site's own page for an error, as it is now; None without one."""
        segments = self.errors.get(status)
        if segments is None or self.root is None:
            return None
        try:
            with self.root.find(segments) as found, open(found.open(), "rb") as file:
                return self.kind_of(found.name), file.read()
        except (Missing, Hidden):       # then ours
            return None


class Sites:
    """All of them, by the names that they answer to."""

    def __init__(self, default):
        self.default = default          # for hosts that nobody named; None: there is no such site
        self.named, self.below = {}, []

    def add(self, host, site):
        """Have a site answer for a host, or with *.NAME for all hosts below it."""
        if host.startswith("*."):
            self.below.append((host[1:], site))
            self.below.sort(key=lambda row: -len(row[0]))
        else:
            self.named[host] = site

    def by_name(self, host):
        """The site that a host's name was given to, in lower case; None without one."""
        site = self.named.get(host)
        if site is None and self.below:
            site = next((site for suffix, site in self.below if host.endswith(suffix)), None)
        return site

    def of(self, host):
        """The site for a host's name, whoever has it; None without one."""
        return self.by_name(host) or self.default

    def chosen(self, exchange):
        """The site that a request is for: by its host, and under TLS not another than the handshake was for."""
        if self.default is not None and not self.named and not self.below:
            return self.default
        host = exchange.host[0]
        tls = exchange.stream.tls
        asked = tls.name.lower() if tls is not None else ""
        site = self.of(host or asked)
        meant = self.by_name(asked) if asked and host else None
        if meant is not None and site is not meant:
            raise Refused(421, "another host than the handshake was for")      # RFC 9110, 15.5.20
        if site is None:
            raise Refused(404, "nobody here answers for that host")
        return site


def _latin(text):
    """A field's value from a file in UTF-8, as the octets that it is sent in."""
    return text.encode("utf-8").decode("latin-1")


@cache
def media_types():
    """The system's table of media types; empty where there is none."""
    try:
        with open(MEDIA_TYPES, encoding="utf-8", errors="replace") as file:
            return mediatypes.parse(file.read())
    except OSError:
        return {}


def read(path, make):
    """The Sites of a file; `make(section, common)` makes a Site of a section and the one about all hosts.

    Raises ValueError with the file and line, and OSError.
    """
    from daemons.wire import sitelines
    with open(path, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: line {line}: not UTF-8") from None
    try:
        common, *sections = sitelines.parse(text)
        sites = Sites(None)
        for section in sections:
            site = make(section, common)
            for host in section.hosts:
                sites.add(host, site)
        return sites, common
    except sitelines.Wrong as error:
        raise ValueError(f"{path}: {error}") from None


def root_of(path):
    """The Root of a folder; raises OSError that names it."""
    return Root(path)
