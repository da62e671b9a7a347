"""httpd: shows files and runs scripts over HTTP/1.1 (RFC 9110, RFC 9112, RFC 3875).

What is said on a connection is in web/keepalive.py and web/exchange.py, files are in web/files.py, and what else may
answer for a path is loaded when somebody asks for it.
"""

from daemons.kernel.options import networks
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice, path, paths, seconds, size, switch, text
from daemons.web import keepalive, places, sites
from daemons.web.keepalive import BUSY, REQUEST


def folder(text):
    """The name of a folder."""
    if not text or "/" in text or text.startswith("."):
        raise ValueError(f"not the name of a folder: {text!r}")
    return text


def prefixes(text):
    """Paths of URLs, separated by commas."""
    return paths(text)


DESCRIPTION = """
Shows the files below --root: whole, in ranges, if they have changed, compressed where a file FILE.br, FILE.zst or
FILE.gz lies beside them. A folder is shown by its index, or with --listing=yes as a list, which is JSON for who asks
for that. Names that begin with a dot are not there, but for .well-known at the top; links are followed as long as
they stay below the root.

Below the paths of --cgi, executable files are run (CGI/1.1, RFC 3875). They find their request in the environment and
on standard input; what they write to standard error is logged. They are as closed in as httpd: what they shall read
and write besides is named by --cgi-reads and --cgi-writes (git http-backend reads /etc/gitconfig, too). HTTP/2 and
HTTP/3 are left to a front end.

With --users or --accounts everybody must log in, or where the file of sites has protect lines, those who ask for the
paths named there. Accounts are those of mail and all else (fd0 user add NAME@DOMAIN), as far as their scope has http.
Without TLS, passwords of --login=basic can be read on the way; --login=digest wants users that were added for that
realm:

    fd0 user add ann --users=/etc/fd0/web.users --digest="Members only"

# THE FILE OF SITES

The file that --vhosts names has a line for each thing that is to hold for a host, or for all of them:

    # before the first host: for every host
    header   *            Referrer-Policy: same-origin
    host     www.example.org example.org
    root     /srv/www/example
    listing  yes
    cache    *.css        max-age=86400
    redirect /old/        /new/
    cgi      /cgi-bin/
    protect  /members/    Members only
    error    404          /missing.html
    host     *.example.net
    root     /srv/www/net

Who asks for a host that is not named gets --root, or 404 without one. Under TLS, whoever asks for another host than
the certificate was chosen for gets 421. A pattern is a path with all that is below it, * for everything, or * with the
end of a name. What follows a path that ends in a slash is carried over by redirect and rewrite.

    root FOLDER             listing yes|no            index NAME ...
    users FILE              login basic|digest        protect PATTERN [REALM]
    header PATTERN NAME: VALUE                        cache PATTERN VALUE
    redirect PATTERN [301|302|303|307|308] TARGET     gone PATTERN
    rewrite PATTERN PATH
    error STATUS PATH       type .EXTENSION TYPE      hsts SECONDS
    cgi PATH                wsgi PATH MODULE:OBJECT [FOLDER]
    scgi PATH ADDRESS       fastcgi PATH ADDRESS [FOLDER]
    proxy PATH URL [host=client] [time=SECONDS] [ca=FILE]
    dav PATH [read|write]   mailconfig PATH imap=HOST:PORT smtp=HOST:PORT

An ADDRESS is host:port or unix:/path. WSGI applications find only Python's own modules and those in FOLDER, and read
and write what --cgi-reads and --cgi-writes name. A place that is written to (dav PATH write, --cgi-writes) needs
ReadWritePaths= in the systemd unit, and one that calls others (proxy, scgi, fastcgi) what
"PrivateNetwork=no" and its kin give back: see systemctl edit fd0-httpd.service.

# HTTPS WITH A CERTIFICATE

    fd0 cert --request www.example.org       # and have it signed; or for a trial: fd0 cert www.example.org
    fd0 enable httpd --with=systemd --port=443 \\
        --set root=/srv/www --set cgi=/cgi-bin \\
        --set tls-cert=/etc/fd0/tls/www.example.org.pem --set tls-key=/etc/fd0/tls/www.example.org.key
"""
# also what is refused is rehearsed
REHEARSAL = (b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"
             b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /. HTTP/1.0\r\n\r\n")
SERVICE = Service(
    "httpd", port=80, rfcs=(9110, 9112, 3875), model="thread", endings="crlf", secure_port=443, alpn=("http/1.1",),
    about="Show files and run scripts over HTTP.", busy=BUSY, protocol="http", logins=True,
    rehearsal=REHEARSAL,
    reads=(sites.MEDIA_TYPES, "--root", "--vhosts", "--users", "--cgi-reads"),
    writes=("--access-log", "--cgi-writes", "--spool", "--accounts"),
    needs=("exec:--cgi", "exec:--running", "network:--calling", "homes:--user-folders"),
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
        Option("spool", path, None, "folder for long request bodies on their way to programs [memory]"),
        Option("users", path, None, "file of those who may log in (fd0 user add NAME --users=FILE)"),
        Option("accounts", text, None, "database of accounts that may log in (fd0 user): a path, or postgresql://..."),
        Option("login", choice("basic", "digest"), "basic", "how they do"),
        Option("upload", size, "4G", "octets of the longest file that a place of the kind dav takes"),
        Option("forwarders", networks, None, "proxies before us, whose X-Forwarded-For and Forwarded are believed"),
        Option("vhosts", path, None, "file of sites: hosts, folders, rules for paths"),
        Option("siblings", switch, "yes", "send FILE.br, FILE.zst or FILE.gz for FILE where the client reads them"),
        Option("user-folders", folder, None, "answer for /~NAME/ with this folder in her home: public_html"),
        Option("access-log", path, None, "write a line for each request here; moved away, it is begun anew"),
        Option("access-format", choice("common", "combined"), "combined", "which kind of line"),
        *keepalive.OPTIONS,
    ),
    events=(
        REQUEST,
        Event("script", "notice", "session file why", "a program that failed, or was not run"),
        Event("upstream", "notice", "session to why", "a server behind us that failed, or was not reached"),
        Event("login", "notice", "session user result", "somebody could not log in"),
        Event("unlogged", "err", "session text", "the access log cannot be written"),
    ),
    examples=("httpd --root=/srv/www --listing=yes", "httpd --root=/srv/www --cgi=/cgi-bin --users=/etc/fd0/web.users",
              "httpd --vhosts=/etc/fd0/sites --tls-cert=/etc/fd0/tls/www.pem"),
    description=DESCRIPTION)


def setup(options):
    """The sites, and the log of requests."""
    return places.Server(options)


def talk(stream, options, server):
    return keepalive.serve(stream, options, server.answer, server.written)


if __name__ == "__main__":
    main(SERVICE, talk, setup=setup)
