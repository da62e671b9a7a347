"""CGI messages: a request as meta-variables, and the head that a script answers with (RFC 3875, 4 and 6).

Names and values of variables are text whose octets above 127 stand as surrogateescape has them, as in os.environ;
header fields are latin-1 text, as in httpfields.
"""

from collections.abc import Iterable

from .httpfields import MOST, TOKEN, VALUE
from .numbers import number

GATEWAY = "CGI/1.1"
HEAD = 65536            # octets of a script's head
NAMES = "abcdefghijklmnopqrstuvwxyz0123456789-"         # what a field's name has if it becomes a variable's
SPOILT = "\r\n\0"
# dealt with by the server itself, or told under a name of its own; "proxy" would be read as the outgoing proxy's
# address by what a script calls (httpoxy)
WITHHELD = frozenset(("connection", "content-length", "content-type", "expect", "keep-alive", "proxy",
                      "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"))
CREDENTIALS = frozenset(("authorization", "proxy-authorization"))
# a script may say these, but neither the connection nor the server is its own
NOT_THEIRS = frozenset(("connection", "content-length", "date", "keep-alive", "server", "status", "te", "trailer",
                        "transfer-encoding", "upgrade"))
CGI_FIELDS = ("content-type", "location", "status")     # RFC 3875, 6.3: at least one of them, and each once
ONCE = (*CGI_FIELDS, "content-length")
NO_URI = b"\"<>\\^`{|}"         # printable, and yet in no URI (RFC 3986, 2)


def variables(method: str, version: str, fields: Iterable[tuple[str, str]], *, script_name: str, query: str,
              server_name: str, server_port: int, remote_addr: str, software: str, path_info: str = "",
              path_translated: str = "", length: int | None = None, remote_host: str = "", remote_port: int = 0,
              server_addr: str = "", user: str = "", auth_type: str = "", https: bool = False, root: str = "",
              script: str = "", target: str = "", pass_authorization: bool = False) -> dict[str, str]:
    """The meta-variables of a request (RFC 3875, 4.1), and those beside them that scripts have come to expect.

    fields      (name in lower case, value) of the request's head; they become HTTP_*
    length      octets of the body; None without one
    script_name, path_info            of the path, decoded
    script, path_translated, root     in the file system
    target      path and query as they came
    pass_authorization      let the script see passwords: for those that check them themselves

    Raises ValueError for a line break or NUL in what is no field; a field with one is left out.
    """
    found = {"GATEWAY_INTERFACE": GATEWAY, "SERVER_PROTOCOL": version, "SERVER_SOFTWARE": software,
             "REQUEST_METHOD": method, "SCRIPT_NAME": script_name, "QUERY_STRING": query,
             "SERVER_NAME": server_name, "SERVER_PORT": str(server_port), "REMOTE_ADDR": remote_addr,
             "REMOTE_HOST": remote_host or remote_addr, "REQUEST_SCHEME": "https" if https else "http",
             "REDIRECT_STATUS": "200"}          # without it php-cgi believes to have been asked for by its own name
    said = {"PATH_INFO": path_info, "PATH_TRANSLATED": path_translated if path_info else "",
            "REMOTE_PORT": str(remote_port or ""), "SERVER_ADDR": server_addr, "REMOTE_USER": user,
            "AUTH_TYPE": auth_type, "HTTPS": "on" if https else "", "DOCUMENT_ROOT": root, "SCRIPT_FILENAME": script,
            "REQUEST_URI": target}
    found.update((name, value) for name, value in said.items() if value)
    for name, value in found.items():
        if _is_spoilt(value):
            raise ValueError(f"a line break or NUL in {name}")
    if length is not None:
        found["CONTENT_LENGTH"] = str(length)
    found.update(_of_fields(fields, pass_authorization))
    return found


def _is_spoilt(value: str) -> bool:
    return any(sign in value for sign in SPOILT)


def _of_fields(fields: Iterable[tuple[str, str]], pass_authorization: bool) -> dict[str, str]:
    """HTTP_* and CONTENT_TYPE.

    A name with an underscore would become the same variable as one with a hyphen, which a proxy may have vouched for;
    other signs are no part of a variable's name.  What `Connection` lists stays: we pass nothing on to another
    server, and a client could make what its proxy says disappear.
    """
    found: dict[str, str] = {}
    for name, value in fields:
        if name == "content-type":
            variable = "CONTENT_TYPE"
        elif name in WITHHELD or (name in CREDENTIALS and not pass_authorization) or name.strip(NAMES):
            continue
        else:
            variable = "HTTP_" + name.upper().replace("-", "_")
        if _is_spoilt(value):
            continue
        value = value.encode("latin-1").decode("utf-8", "surrogateescape")
        between = "; " if name == "cookie" else ", "            # RFC 9110, 5.3, and RFC 6265, 5.4
        found[variable] = f"{found[variable]}{between}{value}" if variable in found else value
    return found


class Head:
    """What a script says before its document.

    status, reason      of the response; the reason is "" where the script gave none
    fields              (name, value) of the response, without what the server says itself
    length              octets of the document, as the script has it; None where it does not say
    local               the path and query to answer for in its place (RFC 3875, 6.2.2), or None
    size                octets of the head itself
    """

    __slots__ = ("fields", "length", "local", "reason", "size", "status")

    def __init__(self, size: int, status: int, reason: str, fields: list[tuple[str, str]], length: int | None,
                 local: str | None) -> None:
        self.size, self.status, self.reason, self.fields = size, status, reason, fields
        self.length, self.local = length, local


def parse_head(data: bytes) -> Head | None:
    """The head at the beginning of a script's output; None while it is not whole.  Raises ValueError for a bad one."""
    size = _size(data)
    if not size or size > HEAD:
        if len(data) > HEAD:
            raise ValueError(f"a head over {HEAD} octets")
        return None
    rows = [_field(line.removesuffix(b"\r")) for line in data[:size].split(b"\n")[:-2]]
    if len(rows) > MOST:
        raise ValueError(f"more than {MOST} header fields")
    once = _once(rows)
    status, reason = _status(once["status"]) if "status" in once else (302 if "location" in once else 200, "")
    length = number(once["content-length"]) if "content-length" in once else None
    location = _uri(once["location"]) if "location" in once else ""
    # with a status or anything else beside it, it is the client who is sent there
    local = len(rows) == 1 and location.startswith("/") and not location.startswith("//")
    fields = [(name, location if name.lower() == "location" else value) for name, value in rows if _is_theirs(name)]
    return Head(size, status, reason, fields, length, location.partition("#")[0] if local else None)


def _size(data: bytes) -> int:
    """Octets up to the end of the first empty line; 0 when there is none yet."""
    if data.startswith((b"\n", b"\r\n")):
        raise ValueError("a head without fields")
    ends = [place + len(end) for end in (b"\n\n", b"\n\r\n") if (place := data.find(end)) >= 0]
    return min(ends, default=0)


def _field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if line.startswith((b" ", b"\t")):
        raise ValueError("a folded header line")
    if not colon or not name or name.translate(None, TOKEN):
        raise ValueError(f"not a header field: {line[:40]!r}")
    if value.translate(None, VALUE):
        raise ValueError(f"a control character in {name[:40].decode()}")
    return name.decode("ascii"), value.strip(b" \t").decode("latin-1")


def _once(rows: list[tuple[str, str]]) -> dict[str, str]:
    """The fields that may be there once, by their names in lower case."""
    found: dict[str, str] = {}
    for name, value in rows:
        low = name.lower()
        if low in ONCE:
            if low in found:
                raise ValueError(f"two {name} fields")
            if not value:
                raise ValueError(f"an empty {name}")
            found[low] = value
    if not any(name in found for name in CGI_FIELDS):
        raise ValueError("neither Content-Type nor Location nor Status")
    return found


def _status(value: str) -> tuple[int, str]:
    """Three digits and a reason; 1xx could only be followed by another response."""
    digits, _, reason = value.partition(" ")
    if len(digits) != 3:
        raise ValueError(f"not a status: {value[:40]!r}")
    return number(digits, 200, 599), reason.strip(" \t")


def _uri(value: str) -> str:
    """A reference with what cannot stand in a URI percent-encoded."""
    return "".join(chr(octet) if 32 < octet < 127 and octet not in NO_URI else f"%{octet:02X}"
                   for octet in value.encode("latin-1"))


def _is_theirs(name: str) -> bool:
    """Is this field the script's to say to the client?  X-CGI-* are for servers that know them (RFC 3875, 6.3.5)."""
    low = name.lower()
    return not (low in NOT_THEIRS or low.startswith(("proxy-", "x-cgi-")))
