"""The web server: its sites, from options and from the file of sites, and what answers at places that are no files."""

import importlib

from daemons.wire import sitelines, weblogline

from .sites import Site, Sites, media_types, root_of
from .sites import read as read_sites
from .welcome import welcome

# who answers at which kind of place
MODULES = {"cgi": "gateways", "scgi": "gateways", "fastcgi": "gateways", "wsgi": "wsgi", "proxy": "upstream",
           "dav": "dav", "mailconfig": "mailconfig"}
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}         # of programs, beside what CGI tells them


class Server:
    """What setup() makes once and each conversation asks: `answer(exchange)`, and `written(exchange)`.

    Raises ValueError and OSError for what the options name and cannot be had.
    """

    def __init__(self, options):
        self.options, self.types = options, media_types()
        self.nonces, self.passwords, self.settings, self.modules = None, {}, None, {}
        self.log, self.logs = None, weblogline.combined if options.access_format == "combined" else weblogline.common
        common = sitelines.Section((), 0)
        self.sites = Sites(None)
        if options.vhosts:
            self.sites, common = read_sites(options.vhosts, self.site)
        if options.root or not options.vhosts:
            self.sites.default = self.site(sitelines.Section((), 0), common)
        if options.access_log:
            from daemons.stores.weblog import WebLog
            self.log = WebLog(options.access_log)
        self.written = self.write if self.log is not None else None

    # -- sites --

    def site(self, section, common):
        """A Site: from the options, over them the sections for all hosts, over that its own."""
        options = self.options
        single = {**common.single, **section.single}
        path = single.get("root") or options.root
        site = Site(root_of(path) if path else None, listing=options.listing, siblings=options.siblings,
                    index=tuple(name.encode() for name in options.index.split()), types=self.types,
                    users=self.users(single.get("users") or options.users))
        for prefix in options.cgi or ():
            site.add_place("cgi", prefix)
        site.digest = options.login == "digest"
        site.obey(common)
        site.obey(section)
        if path:
            options.learnt.append(path)
        self.load(site)
        if site.digest and self.nonces is None and site.users is not None:
            from .login import Nonces
            self.nonces = Nonces()
        return site

    def load(self, site):
        """Load what a site needs beside files, now: below a new root there will be nothing to load."""
        for place in site.places:
            if place.kind not in self.modules:
                self.modules[place.kind] = importlib.import_module(f"daemons.web.{MODULES[place.kind]}")
        if any(MODULES[place.kind] == "gateways" for place in site.places):
            if self.settings is None:
                from .scripts import Settings
                self.settings = Settings(self.options.cgi_time, self.options.cgi_most, ENVIRONMENT)
            site.scripts = self.settings
        if site.users is not None:
            from . import login  # noqa: F401

    def users(self, path):
        """The passwords of a file, read once for all sites."""
        if path and path not in self.passwords:
            import hashlib  # noqa: F401
            import hmac  # noqa: F401
            import unicodedata  # noqa: F401

            from daemons.stores.passwords import Passwords
            self.passwords[path] = Passwords(path)
            self.options.learnt.append(path)
        return self.passwords.get(path)

    # -- answering --

    def answer(self, exchange):
        """Answer a request."""
        site = self.sites.chosen(exchange)
        if site.root is None and not site.places and exchange.path == "/" and not self.options.vhosts:
            return welcome(exchange)
        site.answer(exchange, self)

    def place(self, exchange, site, place):
        """Answer for a path that is no file's."""
        self.modules[place.kind].answer(exchange, site, place)

    # -- the log of requests --

    def write(self, exchange):
        """Write a line for a request that was answered."""
        request, stream = exchange.request, exchange.stream
        now = stream.time()
        line = request.line.decode("latin-1") if request is not None else None
        given = [stream.peer.host or "-", None, exchange.user or None, now, self.log.offset(now), line, exchange.status,
                 exchange.sent]
        if self.logs is weblogline.combined:
            fields = request.fields if request is not None else None
            given += [fields and fields.get("referer"), fields and fields.get("user-agent")]
        try:
            self.log.write(self.logs(*given))
        except OSError as error:
            stream.log("unlogged", text=f"{self.log.path}: {error.strerror}")
