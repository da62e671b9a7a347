"""The web server: its sites, from options and from the file of sites, and what answers at places that are no files."""

from .files import answer_method
from .sites import Site, Sites, read, root_of

GATEWAYS = {"cgi", "scgi", "fastcgi"}
CALLING = {"scgi", "fastcgi", "proxy"}
STACK = 8 << 20         # for code of others, which may recurse as deep as in a process of its own
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}         # of programs, beside what CGI tells them


class Server:
    """What setup() makes once and each conversation asks: `answer(exchange)`, and `written(exchange)`.

    Raises ValueError and OSError for what the options name and cannot be had.
    """

    def __init__(self, options):
        self.options = options
        self.nonces, self.passwords, self.settings, self.modules = None, {}, None, {}
        self.sites, common, self.written = Sites(None), None, None
        if options.vhosts:
            self.sites, common = read(options.vhosts, self.site)
        if options.root or not options.vhosts:
            self.sites.default = self.site(None, common)
        if options.access_log:
            from .accesslog import AccessLog
            self.written = AccessLog(options.access_log, options.access_format).written

    # -- sites --

    def site(self, section, common):
        """A Site: from the options, over them the section for all hosts, over that its own; None where one is not."""
        options, single = self.options, {}
        for one in filter(None, (common, section)):
            single.update(one.single)
        path = single.get("root") or options.root
        site = Site(root_of(path) if path else None, listing=options.listing, siblings=options.siblings,
                    index=tuple(name.encode() for name in options.index.split()),
                    users=self.users(single.get("users")))
        for prefix in options.cgi or ():
            site.add_place("cgi", prefix)
        site.digest = options.login == "digest"
        for one in filter(None, (common, section)):
            site.obey(one)
        if path:
            options.learnt.append(path)
            options.written += [f"{path}/{b'/'.join(place.prefix).decode('utf-8', 'surrogateescape')}"
                                for place in site.places if (place.kind, place.rest) == ("dav", "write")]
        if not path and any(place.kind in ("cgi", "dav") for place in site.places):
            raise ValueError("cgi and dav need a folder: say --root, or root in the file of sites")
        self.load(site)
        if options.user_folders and site.root is not None:
            from .userfolders import UserFolders
            site.folders = UserFolders(options.user_folders, site)
        if site.digest and site.users is not None:
            from .login import Nonces
            if options.accounts and "users" not in single:
                raise ValueError("accounts know no Digest; say --login=basic, or --users=FILE")
            self.nonces = site.nonces = self.nonces or Nonces()
        return site

    def load(self, site):
        """Load what a site needs beside files, now: below a new root there will be nothing to load."""
        for place in site.places:
            if place.kind not in self.modules:
                self.modules[place.kind] = _module(place.kind)
            prepare = getattr(self.modules[place.kind], "prepare", None)
            if prepare is not None:
                self.options.learnt += prepare(place)
            if place.kind == "wsgi":
                self.options.stack = STACK
            # what the sandbox then must leave
            if place.kind in CALLING:
                self.options.calling = True
            if place.kind == "cgi":
                self.options.running = True
        if any(place.kind in GATEWAYS or place.kind == "wsgi" for place in site.places):
            if self.settings is None:
                from .scripts import Settings
                options = self.options
                self.settings = Settings(options.cgi_time, options.cgi_most, ENVIRONMENT, spool=options.spool)
            site.scripts = self.settings
        if site.users is not None:
            from . import login  # noqa: F401

    def users(self, path):
        """Those who may log in: of this file, or of the options; they are looked for once for all sites."""
        if path not in self.passwords and (path or self.options.users or self.options.accounts):
            from . import login
            self.passwords[path] = login.passwords(path) if path else login.users_of(self.options)
            if path:
                self.options.learnt.append(path)
        return self.passwords.get(path)

    # -- answering --

    def answer(self, exchange):
        """Answer a request."""
        site = self.sites.chosen(exchange)
        if site.root is None and not site.places and exchange.path == "/" and not self.options.vhosts:
            from .welcome import welcome
            return welcome(exchange) if exchange.request.method in ("GET", "HEAD") else \
                answer_method(exchange, exchange.request.method)
        site.answer(exchange, self)

    def place(self, exchange, site, place):
        """Answer for a path that is no file's."""
        self.modules[place.kind].answer(exchange, site, place)


def _module(kind):
    """Who answers at a kind of place; loaded only where there is one."""
    if kind in GATEWAYS:
        from . import gateways as found
    elif kind == "wsgi":
        from . import wsgi as found
    elif kind == "proxy":
        from . import upstream as found
    elif kind == "dav":
        from . import dav as found
    else:
        from . import mailconfig as found
    return found
