"""Places that other programs answer for: files that are run (CGI), and servers that are asked (SCGI, FastCGI)."""

from daemons.stores.webtree import Hidden, Missing

from . import scripts
from .files import answer_method

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"}
ALLOWED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def answer(exchange, site, place):
    """Have the program of this place answer."""
    if exchange.request.method not in METHODS:
        return answer_method(exchange, exchange.request.method, ALLOWED)
    if place.kind == "cgi":
        return _run(exchange, site)
    address, *words = place.made or _made(place)
    name = "/" + b"/".join(place.prefix).decode("utf-8", "surrogateescape") if place.prefix else ""
    root = words[0] if words else site.root.path if site.root is not None else ""
    ask = scripts.ask_scgi if place.kind == "scgi" else scripts.ask_fastcgi
    if place.kind == "fastcgi":         # an application such as php-fpm is told a file, and finds it itself
        return ask(exchange, address, exchange.path, "", root, site.scripts)
    ask(exchange, address, name, exchange.path[len(name):], root, site.scripts)


def _made(place):
    """Where the server of a place is, and what else was said of it."""
    where, *words = place.rest.split()
    if where.startswith("unix:"):
        place.made = where.removeprefix("unix:"), *words
    else:
        host, _, port = where.rpartition(":")
        place.made = (host.strip("[]"), int(port)), *words
    return place.made


def _run(exchange, site):
    """Find the program that a path names, with what follows its name, and run it (RFC 3875, 3.2)."""
    segments = exchange.target.segments
    try:
        with site.root.find(segments[:-1] if segments[-1] == b"" else segments) as found:
            if found.is_folder:
                raise Missing("a folder of programs")
            if not found.is_program:
                raise Hidden("not a program")
            walked, rest = _text(found.walked), _text(found.rest)
    except Missing as error:
        exchange.refuse(404, str(error))
    except Hidden as error:
        exchange.refuse(403, str(error))
    if segments[-1] == b"":
        rest += "/"
    scripts.run_cgi(exchange, site.root.path + walked, walked, rest, site.root.path, site.scripts)


def _text(segments):
    return b"".join(b"/" + part for part in segments).decode("utf-8", "surrogateescape")
