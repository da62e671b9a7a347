"""A browser on paper: requests to httpd as octets, and its replies taken apart, strictly, as RFC 9112 has them.

    web = Web(f"--root={folder}")
    web.get("/a.txt", "Range: bytes=0-4")       a Reply: status, fields, body
    web.outcome(octets)                         what play() tells of a whole connection; replies(octets) parts it
"""

import time

from daemons import httpd
from daemons.kernel import log
from tests.play import options_of, play

HOST = "www.example.org"
BODILESS = {204, 304}


class Reply:
    """One reply: `status`, `fields` as (name in lower case, value), `body`, and whether the connection ends with it."""

    def __init__(self, version, status, fields, body):
        self.version, self.status, self.fields, self.body = version, status, fields, body

    def all(self, name):
        """The values of the fields of this name."""
        return [value for known, value in self.fields if known == name.lower()]

    def __getitem__(self, name):
        """The value of the only field of this name; None without one."""
        found = self.all(name)
        assert len(found) < 2, f"{name} comes {len(found)} times"
        return found[0] if found else None

    @property
    def closes(self):
        """Does it say that the connection ends?"""
        return self["connection"] == "close"

    def __repr__(self):
        return f"<Reply {self.status} {self.fields} {self.body[:200]!r}>"


class Torn(Exception):
    """The octets end before the reply does; `reply` is what there was."""

    def __init__(self, reply):
        super().__init__(repr(reply))
        self.reply = reply


def replies(octets, methods=()):
    """The replies that these octets are, to requests with these methods (GET where there are no more); raises Torn."""
    found, methods = [], list(methods)
    while octets:
        head, end, rest = octets.partition(b"\r\n\r\n")
        assert end, f"no whole head: {octets[:200]!r}"
        line, *lines = head.split(b"\r\n")
        version, status, _ = line.decode("ascii").split(" ", 2)
        assert version == "HTTP/1.1" and len(status) == 3 and status.isdigit()
        fields = [(name.lower(), value.strip(" ")) for name, value in
                  (one.decode("latin-1").split(":", 1) for one in lines)]
        assert all("\r" not in value and "\n" not in value and "\0" not in value for _, value in fields)
        reply = Reply(version, int(status), fields, b"")
        if reply.status >= 200:
            method = methods.pop(0) if methods else "GET"
            reply.body, rest = _body(reply, method, rest)
        found.append(reply)
        octets = rest
    return found


def _body(reply, method, rest):
    """(the body, what follows it)."""
    if method == "HEAD" or reply.status in BODILESS:
        return b"", rest
    if reply["transfer-encoding"]:
        assert reply["transfer-encoding"] == "chunked" and reply["content-length"] is None
        return _chunked(reply, rest)
    if reply["content-length"] is None:
        assert reply.closes, "nobody knows where it ends"
        return rest, b""
    size = int(reply["content-length"])
    if len(rest) < size:
        reply.body = rest
        raise Torn(reply)
    return rest[:size], rest[size:]


def _chunked(reply, rest):
    body = b""
    while True:
        line, end, rest = rest.partition(b"\r\n")
        size = int(line, 16) if end else 0
        if not end or len(rest) < size + 2:
            reply.body = body + rest
            raise Torn(reply)
        assert rest[size:size + 2] == b"\r\n"
        body, rest = body + rest[:size], rest[size + 2:]
        if not size:
            return body, rest


def request(method, target, *fields, host=HOST, body=b"", version="1.1"):
    """A request's octets; fields are lines."""
    lines = [f"{method} {target} HTTP/{version}", *([f"Host: {host}"] if host is not None else []), *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body


class Web:
    """httpd with these options; its clock goes `ahead` seconds before ours."""

    def __init__(self, *options, ahead=0.0):
        log.start("httpd", target="/nonexistent", events=httpd.SERVICE.events)
        self.options, self.ahead = options_of(httpd, *options), ahead
        self.server = httpd.setup(self.options)

    def outcome(self, *chunks, **how):
        """What comes of a connection on which this is said."""
        how.setdefault("now", time.time() + self.ahead)
        return play(httpd, list(chunks), options=self.options, made=(self.server,), **how)

    def ask(self, method, target, *fields, host=HOST, body=b"", version="1.1", **how):
        """The only reply to a request, after which the connection is as the reply says."""
        outcome = self.outcome(request(method, target, *fields, host=host, body=body, version=version), **how)
        (reply,) = replies(outcome.heard, [method])
        reply.outcome = outcome
        assert reply.status != 500, reply
        return reply

    def get(self, target, *fields, **how):
        """GET."""
        return self.ask("GET", target, *fields, **how)
