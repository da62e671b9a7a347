"""httpd: shows files and runs scripts over HTTP/1.1 (RFC 9110, RFC 9112, RFC 3875).

What is said on a connection is in web/keepalive.py and web/exchange.py, files are in web/files.py, and what else may
answer for a path is loaded when somebody asks for it.
"""

from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice, path, paths, seconds, size, switch, text
from daemons.web import keepalive, places, sites
from daemons.web.keepalive import BUSY, REQUEST

WELCOME = b"Nothing is served here yet."


def prefixes(text):
    """Paths of URLs, separated by commas."""
    return paths(text)


SERVICE = Service(
    "httpd", port=80, rfcs=(9110, 9112, 3875), model="thread", endings="crlf", secure_port=443, alpn=("http/1.1",),
    about="Show files and run scripts over HTTP.", busy=BUSY, protocol="http", logins=True,
    reads=(sites.MEDIA_TYPES, "--root", "--vhosts", "--users", "--cgi-reads"),
    writes=("--access-log", "--cgi-writes"),
    needs=("exec:--cgi",),
    defaults=(("timeout", "30"), ("processes", "cores")),
    options=(
        Option("root", path, None, "folder whose files are shown"),
        Option("listing", switch, "no", "list folders that have no index"),
        Option("index", text, "index.html index.htm", "files that stand for their folder"),
        Option("cgi", prefixes, None, "paths below which files are programs to run: /cgi-bin"),
        Option("cgi-time", seconds, "60", "how long a program may take to answer"),
        Option("cgi-most", size, "1G", "octets of its answer"),
        Option("cgi-reads", paths, None, "files and folders that programs may read, beside the root and /usr"),
        Option("cgi-writes", paths, None, "files and folders that programs may write"),
        Option("users", path, None, "file of those who may log in (fd0 user add NAME --users=FILE)"),
        Option("login", choice("basic", "digest"), "basic", "how they do"),
        Option("vhosts", path, None, "file of sites: hosts, folders, rules for paths"),
        Option("siblings", switch, "yes", "send FILE.br, FILE.zst or FILE.gz for FILE where the client reads them"),
        Option("access-log", path, None, "write a line for each request here; moved away, it is begun anew"),
        Option("access-format", choice("common", "combined"), "combined", "which kind of line"),
        *keepalive.OPTIONS,
    ),
    events=(
        REQUEST,
        Event("script", "notice", "session file why", "a program that failed, or was not run"),
        Event("login", "notice", "session user result", "somebody could not log in"),
        Event("unlogged", "err", "text", "the access log cannot be written"),
    ),
    examples=("httpd --root=/srv/www --listing=yes", "httpd --root=/srv/www --cgi=/cgi-bin --users=/etc/fd0/web.users",
              "httpd --vhosts=/etc/fd0/sites --tls-cert=/etc/fd0/tls/www.pem"),
    description="")


def setup(options):
    """The sites, and the log of requests."""
    return places.Server(options)


def talk(stream, options, server):
    return keepalive.serve(stream, options, server.answer, server.written)


if __name__ == "__main__":
    main(SERVICE, talk, setup=setup)
