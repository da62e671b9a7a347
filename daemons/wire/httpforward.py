"""Requests passed on to a server behind us, and its responses back: heads made anew from what was understood.

    proxy /app/ http://127.0.0.1:8080/base/             in the file of sites: what follows /app/ follows /base/
    proxy /app/ http://unix:/run/app.sock:/base/        the server listens at a Unix socket
    proxy /app/ https://app.example/ ca=/etc/app.pem    checked against these authorities (default: the system's)
        host=client     the server is told the host that the client asked for (default: its own)
        time=300        seconds that it may be silent (default: 60)

No octet of a head is copied: fields that belong to one connection end here (RFC 9110, 7.6.1), and what says where a
message ends is said by who sends it.
"""

from collections.abc import Iterable

from . import forwarded, httptarget
from .forwarded import Element
from .httpfields import Fields, tokens
from .httpstatus import REASONS, Refused
from .httptarget import KEPT, authority, encoded
from .numbers import number

PSEUDONYM = "fd0"       # in Via fields
PASSED = 10             # times that a request may pass through us: more is a loop
PATIENCE, LONGEST = 60, 86400
PORTS = {"http": 80, "https": 443}
UNIX = "unix:"
PATH = KEPT + b"%/"
NAMES = "abcdefghijklmnopqrstuvwxyz0123456789-"
# of one connection (RFC 9110, 7.6.1), of one exchange with a proxy (11.7), and what Connection lists beside them
HOP = frozenset(("connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
                 "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"))
# said anew for the server; "proxy" would be read as the outgoing proxy's address by what it calls (httpoxy)
OURS = frozenset(("content-length", "expect", "forwarded", "host", "max-forwards", "proxy", "via"))
# what servers take a proxy's word for: nobody else may say it
VOUCHED = ("x-forwarded-", "x-real-ip", "x-original-url", "x-rewrite-url")
SPOKEN = frozenset(("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"))
# said anew for the client
ANSWERED = frozenset(("content-length", "date", "server", "via"))
PLACES = frozenset(("location", "content-location"))

Rows = list[tuple[str, str]]


class Upstream:
    """The server behind a place.

    host, port, path    where it is called; `path` of a Unix socket, or ""
    secure              under TLS; `authorities` are a PEM file of those who may have signed its certificate, or None
    authority           its host and port as its own Host field has them
    base                what stands there for the place
    keeps_host          whether it is told the client's Host field
    patience            seconds that it may be silent
    """

    __slots__ = ("authorities", "authority", "base", "host", "keeps_host", "path", "patience", "port", "secure")

    def __init__(self, secure: bool, host: str, port: int, path: str, named: str, base: str) -> None:
        self.secure, self.host, self.port, self.path = secure, host, port, path
        self.authority, self.base = named, base
        self.keeps_host, self.patience = False, PATIENCE
        self.authorities: str | None = None

    def __str__(self) -> str:
        return self.path or f"{'https' if self.secure else 'http'}://{self.authority}"


def upstream(text: str) -> Upstream:
    """What a line of the file of sites says behind the path; raises ValueError."""
    url, *words = text.split() or [""]
    made = _server(url)
    for word in words:
        name, _, value = word.partition("=")
        if name == "host" and value in ("client", "own"):
            made.keeps_host = value == "client"
        elif name == "time":
            made.patience = number(value, 1, LONGEST)
        elif name == "ca" and value.startswith("/") and made.secure:
            made.authorities = value
        else:
            raise ValueError(f"not host=client, time=SECONDS, nor ca=/PATH beside https: {word}")
    return made


def _server(url: str) -> Upstream:
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in PORTS:
        raise ValueError(f"needs a URL of http or https, not {url}")
    if rest.startswith(UNIX):
        path, _, base = rest.removeprefix(UNIX).partition(":")
        if not path.startswith("/") or scheme != "http":
            raise ValueError(f"needs http://unix:/PATH, not {url}")
        return Upstream(False, "", 0, path, "localhost", _base(base or "/"))
    named, slash, base = rest.partition("/")
    try:
        host, port = authority(named)
    except Refused:
        host, port = "", None
    if not host:
        raise ValueError(f"not a host in {url}")
    full = host if port in (None, PORTS[scheme]) else f"{host}:{port}"
    return Upstream(scheme == "https", host.strip("[]"), port or PORTS[scheme], "", full, _base(slash + base or "/"))


def _base(path: str) -> str:
    if not path.isascii() or path.encode("ascii").translate(None, PATH) or not path.startswith("/"):
        raise ValueError(f"not a path: {path}")
    if any(part in (".", "..") for part in path.split("/")):
        raise ValueError(f"a path that has to be resolved: {path}")
    return path


# -- requests --


def target(base: str, raw: str, count: int, query: str | None) -> str:
    """The target for the server: `base` in the place of the first `count` segments of the path `raw`.

    "." and ".." are resolved, for they might lead out of what we let through; everything else stays as it came, in
    whatever way it is encoded.
    """
    words: list[str] = []
    parts = raw.split("/")[1:]
    for word in parts:
        part = httptarget.decoded(word.encode("ascii"))
        if part == b"..":
            words = words[:-1]
        elif part not in (b"", b"."):
            words.append(word)
    is_folder = httptarget.decoded(parts[-1].encode("ascii")) in (b"", b".", b"..")
    rest = words[count:]
    path = "/".join(rest) + ("/" if rest and is_folder else "")
    path = "".join(sign if ord(sign) in PATH else f"%{ord(sign):02X}" for sign in path)
    if not path:
        path = base if base.endswith("/") or not is_folder else f"{base}/"
    else:
        path = f"{base.removesuffix('/')}/{path}"
    return path if query is None else f"{path}?{query}"


def request_head(method: str, goal: str, rows: Iterable[tuple[str, str]]) -> bytes:
    """The head of a request for the server; the connection ends with the response unless `rows` say otherwise."""
    lines = [f"{method} {goal} HTTP/1.1", *(f"{name}: {value}" for name, value in rows), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def passed_on(fields: Fields, trusted: bool, authorized: bool) -> Rows:
    """The fields of a request that go on to the server.

    trusted     whoever sent it may say for whom he speaks
    authorized  the client logged in here, so that his password is none of the server's business

    A name with an underscore would become the same variable there as one with a hyphen, which we may vouch for.
    """
    ended = HOP.union(tokens(fields.get("connection") or ""))
    return [(name.title(), value) for name, value in fields.items()
            if name not in ended and name not in OURS and not name.strip(NAMES)
            and (trusted or not name.startswith(VOUCHED)) and name not in SPOKEN
            and not (authorized and name in ("authorization", "x-forwarded-user"))]


def spoken_for(fields: Fields, trusted: bool, heard: Element) -> Rows:
    """The fields that say for whom we speak: after what was said before, where that can be believed."""
    if not trusted:
        fields = Fields([])
    rows = [("X-Forwarded-For", forwarded.with_address(fields.get("x-forwarded-for"), heard.host)),
            ("X-Forwarded-Host", fields.get("x-forwarded-host") or heard.named),
            ("X-Forwarded-Proto", fields.get("x-forwarded-proto") or heard.proto),
            ("Forwarded", forwarded.with_element(fields.get("forwarded"), heard))]
    return [row for row in rows if row[1]]


def via(fields: Fields, minor: int) -> str:
    """The Via field with us in it, who heard HTTP/1.minor (RFC 9110, 7.6.3)."""
    before, own = fields.get("via"), f"1.{minor} {PSEUDONYM}"
    return f"{before}, {own}" if before else own


def is_loop(fields: Fields) -> bool:
    """Has this request passed through us too often?"""
    return sum(one.endswith(f" {PSEUDONYM}") for one in tokens(fields.get("via") or "")) >= PASSED


# -- responses --


def answered(rows: Iterable[tuple[str, str]], fields: Fields, said: Iterable[str] = ()) -> Rows:
    """The fields of a response that go on to the client, without those that are `said` already."""
    ended = HOP.union(ANSWERED, tokens(fields.get("connection") or ""), (name.lower() for name in said))
    return [(name, value) for name, value in rows if name.lower() not in ended]


def relocated(rows: Rows, server: Upstream, host: str, prefix: tuple[bytes, ...]) -> Rows:
    """The same with Location and Content-Location as the client must have them."""
    return [(name, location(value, server, host, prefix) if name.lower() in PLACES else value)
            for name, value in rows]


def location(value: str, server: Upstream, host: str, prefix: tuple[bytes, ...]) -> str:
    """A reference as the client must have it, where it names the server, or the `host` that the client asked for.

    The path is one of the server's and becomes one of ours, unless it lies below the place already: then the server
    knows where it stands.
    """
    scheme, mark, rest = value.partition("://")
    scheme = scheme.lower()
    if mark and scheme in PORTS:
        pass
    elif value.startswith("//"):
        scheme, rest = "https" if server.secure else "http", value[2:]
    elif value.startswith("/"):
        return _moved(value, server.base, prefix) or value
    else:
        return value
    end = _first(rest, "/?#")
    named, rest = rest[:end], rest[end:] if rest[end:].startswith("/") else f"/{rest[end:]}"
    where = _place(named, scheme)
    own = _place(server.authority, "https" if server.secure else "http")
    if where is None or where not in (own, _place(host, scheme)):
        return value
    moved = _moved(rest, server.base, prefix)
    # that a client is to come back under TLS must be left to it
    return f"https://{named}{moved}" if moved and where != own and scheme == "https" else moved or value


def _first(text: str, signs: str) -> int:
    """Where the first of these signs is, or the end."""
    return min((at for sign in signs if (at := text.find(sign)) >= 0), default=len(text))


def _place(named: str, scheme: str) -> tuple[str, int] | None:
    """Host and port; None for what is none."""
    try:
        host, port = authority(named)
    except Refused:
        return None
    return (host, port or PORTS[scheme]) if host else None


def _moved(reference: str, base: str, prefix: tuple[bytes, ...]) -> str:
    """A path of the server's, with what follows it, as one of ours; "" if it is not below the base."""
    end = _first(reference, "?#")
    path, tail = reference[:end], reference[end:]
    own = encoded("/" + b"/".join(prefix).decode("utf-8", "surrogateescape")) if prefix else ""
    if own and (path == own or path.startswith(f"{own}/")):
        return reference
    stem = base.removesuffix("/")
    if path != stem and not path.startswith(f"{stem}/"):
        return ""
    rest = path[len(stem):]
    if rest:
        rest = "/" + rest.lstrip("/")           # a second slash in front would name another host
    return (f"{own}{rest}" or "/") + tail


def response_head(status: int, reason: str, rows: Iterable[tuple[str, str]]) -> bytes:
    """A head as it is, for responses that are not the last word (1xx)."""
    lines = [f"HTTP/1.1 {status} {reason or REASONS.get(status, '')}", *(f"{name}: {value}" for name, value in rows)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
