"""xmlrpcd: has programs call methods of this machine, by XML-RPC or JSON-RPC 2.0 over HTTP.

What is said on a connection is in web/keepalive.py, what is answered in web/calls.py, which methods there are in
web/offered.py.  Started by a web server as a CGI script, it answers that one request.
"""

import os
import sys
from functools import lru_cache

from daemons.kernel import undercgi
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import count, path, paths, seconds, size, switch, text, words
from daemons.web import keepalive
from daemons.web.calls import Server
from daemons.web.keepalive import BUSY
from daemons.wire import httporigin

PORT = 8080             # IANA has none for XML-RPC; this is its second one for HTTP, and needs no privilege


def modules(value):
    """Modules, and objects in them."""
    found = words(value)
    if not found:
        raise ValueError("name a module, or fd0 for our own methods")
    return found


def origins(value):
    """Origins of pages."""
    for word in words(value):
        httporigin.parse(word)
    return words(value)


modules.__name__, origins.__name__ = "module:object,...", "url,..."

DESCRIPTION = """
Offers methods to programs: to XML-RPC and JSON-RPC 2.0, which are told apart by the Content-Type of a request, at /RPC2
and /. A browser gets a page that tells of them, and /openrpc.json describes them to programs that make clients.

By default the methods are fd0.*, which tell about this machine and change nothing. With --methods they are the
functions of Python modules, found in --method-path: a module's METHODS or __all__ says which, else all whose names do
not begin with an underscore; an object offers its methods. Annotations are checked before a call, and a docstring is
what people read. Nothing else can be reached: a name is looked up in the list that was made at the start.

With --executables each executable file of a folder is a method. It reads its parameters as one line of JSON and prints
what it gives; NAME.help beside it tells what it is for. With --queries the queries of a database are methods.

Methods run in here, and are as closed in as xmlrpcd: what they shall read and write is named by --method-reads and
--method-writes, and --network=yes lets them call others. What a Python function takes in time is not limited; programs
and queries are. Octets go as base64, and XML-RPC's whole numbers have 32 bits and no None unless --extensions=yes.

With --users or --accounts every method wants a login, and --restrict says otherwise. Without TLS, passwords can be
read on the way. Pages of other hosts may not call, unless --origins names them. Each call is logged as an event.

# WHO MAY CALL WHAT

The file that --restrict names has lines of methods and users; of several about one method the last counts:

    # everybody who has logged in; everybody; these two; nobody
    *: +
    fd0.uptime fd0.load system.*: *
    backup.*: ann bob
    backup.erase:

# QUERIES

The file that --queries names tells the database, an SQLite file that is only read, and the queries. A query goes on in
lines that begin with a blank, and the comment above it is its help. Types are int, str, float, bool and bytes:

    database: /var/lib/shop/shop.db

    # The orders of a customer, newest first.
    orders.of(customer: str, most: int): SELECT id, placed, total FROM orders
        WHERE customer = :customer ORDER BY placed DESC LIMIT :most

# BEHIND A WEB SERVER

As a CGI script, xmlrpcd answers one request with the same methods. It takes its options from the same files, which the
web server must let it read. For httpd:

    cp /usr/local/lib/fd0/xmlrpcd /srv/www/cgi-bin/
    httpd --root=/srv/www --cgi=/cgi-bin --cgi-reads=/etc/fd0/common.conf,/etc/fd0/xmlrpcd.conf

Then calls go to /cgi-bin/xmlrpcd/RPC2, and whoever the web server has logged in counts for --restrict.
"""
SERVICE = Service(
    "xmlrpcd", port=PORT, model="thread", endings="crlf", alpn=("http/1.1",), protocol="xmlrpc", busy=BUSY, logins=True,
    about="Have programs call methods, by XML-RPC or JSON-RPC.",
    reads=("/proc/loadavg", "/proc/meminfo", "--log-file", "--method-path", "--method-reads", "--executables",
           "--users"),
    writes=("--method-writes", "--accounts"),
    needs=("network:--network", "network:--calling", "exec:--executables"),
    defaults=(("timeout", "30"), ("processes", "cores"), ("body", "4M")),
    options=(
        Option("methods", modules, "fd0", "modules whose functions are methods; fd0 is our own"),
        Option("method-path", paths, None, "folders where such modules are"),
        Option("method-reads", paths, None, "files and folders that methods may read"),
        Option("method-writes", paths, None, "files and folders that methods may write"),
        Option("network", switch, "no", "let methods call others; offer fd0.lookup and fd0.reverse"),
        Option("allow-none", switch, "no", "let Python's methods give None; has --extensions=yes with it"),
        Option("extensions", switch, "no", "speak XML-RPC's extensions i8 and nil"),
        Option("executables", path, None, "folder whose executable files are methods"),
        Option("executable-time", seconds, "10", "how long one may take"),
        Option("executable-most", size, "1M", "octets that it may print"),
        Option("queries", path, None, "file of queries that are methods"),
        Option("query-time", seconds, "5", "how long one may take"),
        Option("query-rows", count, "1000", "rows that it may find"),
        Option("users", path, None, "file of those who may log in (fd0 user add NAME --users=FILE)"),
        Option("accounts", text, None, "database of accounts that may log in (fd0 user): a path, or postgresql://..."),
        Option("restrict", path, None, "file that says who may call which methods"),
        Option("origins", origins, None, "pages that may call from a browser: https://www.example.org"),
        Option("log-file", path, None, "log that fd0.events looks into: /var/log/syslog"),
        Option("title", text, None, "heading of the page that tells of the methods"),
        Option("debug", switch, "no", "tell callers the errors of methods"),
        *keepalive.OPTIONS,
    ),
    events=(
        Event("call", "info", "session method user ms fault why", "a call, and its fault if it failed"),
        Event("rejected", "notice", "session status why", "a request that was none of ours"),
        Event("login", "notice", "session user result", "somebody could not log in"),
        # the same as httpd's, but calls are logged already
        Event("request", "debug", " ".join(keepalive.REQUEST.keys), keepalive.REQUEST.about),
    ),
    examples=("xmlrpcd --methods=fd0,backups:status --method-path=/srv/methods",
              "xmlrpcd --executables=/etc/fd0/methods --users=/etc/fd0/methods.users",
              "xmlrpcd --queries=/etc/fd0/shop.queries --extensions=yes"),
    description=DESCRIPTION)


@lru_cache(1)
def setup(options):
    """The methods, and who may call them; once, though `run` and the kernel both ask."""
    behind = undercgi.is_asked(os.environ)
    if behind and undercgi.has_words_of_a_client(os.environ, sys.argv[1:]):
        raise ValueError("options on the command line may be a client's, who sent a query that is one")
    return Server(options, behind)


def run(options, server):
    """Under a web server: one request, and its end.  None where the program shall serve."""
    if not undercgi.is_asked(os.environ):
        return None
    from daemons.web import cgiexchange
    return cgiexchange.answer(server.answer, options, os.environ)


def talk(stream, options, server):
    return keepalive.serve(stream, options, server.answer)


if __name__ == "__main__":
    main(SERVICE, talk, setup=setup, run=run)
