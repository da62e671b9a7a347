"""The web server: its sites, from options and from the file of sites, and what answers at places that are no files."""

from daemons.stores.webtree import Hidden, Missing
from daemons.wire import sitelines, weblogline

from .sites import Site, Sites, media_types, root_of
from .sites import read as read_sites
from .welcome import welcome

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}         # of programs, beside what CGI tells them


class Server:
    """What setup() makes once and each conversation asks: `answer(exchange)`, and `written(exchange)`.

    Raises ValueError and OSError for what the options name and cannot be had.
    """

    def __init__(self, options):
        self.options, self.types = options, media_types()
        self.nonces, self.passwords, self.settings = None, {}, None
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
        if site.digest and self.nonces is None and site.users is not None:
            from .login import Nonces
            self.nonces = Nonces()
        return site

    def users(self, path):
        """The passwords of a file, read once for all sites."""
        if path and path not in self.passwords:
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
        return getattr(self, f"_{place.kind}")(exchange, site, place)

    def _cgi(self, exchange, site, place):
        from . import scripts
        try:
            with site.root.find(part for part in exchange.target.segments if part) as found:
                if found.is_folder:
                    raise Missing("a folder of programs")
                path = f"{site.root.path}/{b'/'.join(found.walked).decode('utf-8', 'surrogateescape')}"
                rest = b"".join(b"/" + part for part in found.rest)
                if not found.status.st_mode & 0o111:
                    raise Hidden("not a program")
        except Missing as error:
            exchange.refuse(404, str(error))
        except Hidden as error:
            exchange.refuse(403, str(error))
        name = "/" + b"/".join(found.walked).decode("utf-8", "surrogateescape")
        info = rest.decode("utf-8", "surrogateescape")
        if exchange.target.segments[-1] == b"":
            info += "/"
        scripts.run_cgi(exchange, path, name, info, site.root.path, self.script_settings(scripts))

    def script_settings(self, scripts):
        """What programs may cost."""
        if self.settings is None:
            self.settings = scripts.Settings(self.options.cgi_time, self.options.cgi_most, ENVIRONMENT)
        return self.settings

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
