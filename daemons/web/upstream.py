"""A server behind us: requests for a place are passed on to it, and its responses back (RFC 9110, 7.6).

One call for each request.  Both heads are read and made anew (wire/httpforward.py), so that no two readers can take
one message for two.  A body of at most one piece is read before anybody is called; a longer one is passed on as it
comes, and so is every response.
"""

from daemons.kernel.asking import Asking, Bounds, Overdue
from daemons.kernel.dial import call, call_path, call_secure
from daemons.kernel.ends import End, Late, Reset
from daemons.kernel.pump import pump
from daemons.kernel.running import Failed
from daemons.kernel.values import LONGEST
from daemons.wire import httpanswer, httpforward
from daemons.wire.forwarded import Element
from daemons.wire.httpanswer import Chunks, Malformed
from daemons.wire.httpfields import VALUE
from daemons.wire.httpframing import CHUNKED, LAST_CHUNK, chunk
from daemons.wire.httptarget import encoded

from .clients import is_trusted

PIECE = 65536           # octets taken at once of what came under TLS
CONNECTING = 10.0       # seconds for all addresses of the server together
MOST = 1 << 62          # octets of a response: as many as it has
INTERIM = 16            # responses before the last word
ALLOWED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
UPGRADES = ("websocket",)       # h2c would be a second protocol in which nobody asks us what may be asked for


class Broken(End):
    """The server failed in the middle of its response: the connection ends, so that the client does not take it for
    all."""

    reason = "upstream"


class NotAnswered(Failed):
    """What came is no response that could be passed on."""


def prepare(place):
    """Understand what the file of sites says of a place; returns the files that it will read.  Raises ValueError."""
    if place.made is None:
        place.made = httpforward.upstream(place.rest)
        if place.made.secure:
            from daemons.kernel import tlsclient  # noqa: F401
    return [place.made.authorities] if place.made.authorities else []


def answer(exchange, site, place):
    """Have the server at the other end of a place answer."""
    prepare(place)
    upstream, request = place.made, exchange.request
    if request.method in ("TRACE", "CONNECT"):
        exchange.refuse(405, f"{request.method} is not passed on", [("Allow", ALLOWED)])
    if _is_answered_here(exchange, upstream, place):
        return
    upgrade = _upgrade(exchange)
    first = exchange.body.read()        # before the call: who sends slowly shall not occupy the server
    head = _head(exchange, upstream, place, upgrade, len(first))
    there = _called(exchange, upstream)
    reply = Reply(exchange, upstream, place, upgrade)
    try:
        _ask(exchange, upstream, there, reply, _question(exchange, head, first))
        if reply.switched is not None:
            _carry(exchange, upstream, there, reply)
    finally:
        there.cut_off()


def _is_answered_here(exchange, upstream, place):
    """What is not passed on, but answered at once; True for it."""
    request = exchange.request
    if httpforward.is_loop(request.fields):
        exchange.refuse(508, "it has passed through us before, again and again")
    if request.method == "OPTIONS" and request.fields.get("max-forwards") == "0":       # RFC 9110, 7.6.2
        exchange.reply(204, [("Allow", ALLOWED)])
        return True
    if exchange.target.segments == place.prefix and place.prefix and upstream.base.endswith("/"):
        query = f"?{exchange.query}" if exchange.target.has_query else ""
        exchange.redirect(308, f"{encoded(exchange.path)}/{query}")     # or what is relative there would lead elsewhere
        return True
    return False


def _upgrade(exchange):
    """The protocol that the client would rather speak, and may; "" without one."""
    fields, request = exchange.request.fields, exchange.request
    wanted = (fields.get("upgrade") or "").lower()
    asked = "upgrade" in httpforward.tokens(fields.get("connection") or "")
    fit = asked and request.minor > 0 and request.method == "GET" and not exchange.body.pending()
    return wanted if fit and wanted in UPGRADES else ""


# -- what is asked --


def _head(exchange, upstream, place, upgrade, size):
    """The head of the request for the server; `size` octets of the body have been read already."""
    request, stream, body = exchange.request, exchange.stream, exchange.body
    fields, trusted = request.fields, is_trusted(stream.peer.host, exchange.settings.forwarders)
    name, port = exchange.host
    asked = f"{name}:{port}" if port else name
    heard = Element(stream.peer.host.partition("%")[0], "https" if stream.secure else "http", asked)
    rows = [("Host", asked if upstream.keeps_host and asked else upstream.authority),
            *httpforward.passed_on(fields, trusted, bool(exchange.user)),
            *httpforward.spoken_for(fields, trusted, heard), ("Via", httpforward.via(fields, request.minor))]
    if exchange.user:
        user = exchange.user.encode("utf-8", "surrogateescape")
        if not user.translate(None, VALUE):
            rows.append(("X-Forwarded-User", user.decode("latin-1")))
    if _is_chunked(body):
        rows.append(("Transfer-Encoding", "chunked"))
    elif size or request.method in ("POST", "PUT", "PATCH"):
        rows.append(("Content-Length", str(size + body.left if body.pending() else size)))
    if (left := fields.get("max-forwards")) and left.isascii() and left.isdigit() and request.method == "OPTIONS":
        rows.append(("Max-Forwards", str(int(left[:9]) - 1)))
    rows += [("Connection", "Upgrade"), ("Upgrade", upgrade)] if upgrade else [("Connection", "close")]
    query = exchange.query if exchange.target.has_query else None
    goal = httpforward.target(upstream.base, exchange.raw_path, len(place.prefix), query)
    return httpforward.request_head(request.method, goal, rows)


def _is_chunked(body):
    """Is there more of a body whose length nobody knows?"""
    return body.length is None and body.pending()


def _question(exchange, head, first):
    """What the server is sent, piece by piece."""
    body = exchange.body
    chunked = _is_chunked(body)
    yield head + (chunk(first) if chunked and first else first)
    while piece := body.read():
        yield chunk(piece) if chunked else piece
    if chunked:
        yield LAST_CHUNK


def _called(exchange, upstream):
    """A stream to the server; refuses with 502 or 504 where there is none to be had."""
    seconds = min(CONNECTING, upstream.patience)
    exchange.stream.flush()             # the answer to the request before this one must not wait for the server
    try:
        if upstream.path:
            return call_path(upstream.path, seconds=seconds)
        if upstream.secure:
            return call_secure(upstream.host, upstream.port, seconds=seconds, authorities=upstream.authorities,
                               alpn=("http/1.1",))
        return call(upstream.host, upstream.port, seconds=seconds)
    except End as end:
        exchange.stream.log("upstream", to=upstream, why=end)
        exchange.refuse(504 if isinstance(end, Late) else 502, f"{upstream}: {end}")


def _ask(exchange, upstream, there, reply, question):
    """Ask, and pass on what is answered; refuses, or raises Broken in the middle of a response."""
    reply.more = there.transport
    bounds = Bounds(LONGEST, MOST, upstream.patience)
    try:
        Asking(there.transport, lambda: next(question, b""), reply.heard, bounds, client=exchange.stream.transport,
               settle=reply.settle).run()
        reply.finish()
    except Failed as failure:
        exchange.stream.log("upstream", to=upstream, why=failure)
        if reply.head is not None:
            raise Broken(f"{upstream}: {failure}") from None
        exchange.refuse(504 if isinstance(failure, Overdue) else 502, f"{upstream}: {failure}")


def _carry(exchange, upstream, there, reply):
    """The protocol is another one now: whatever either says goes to the other, until both are done."""
    head = reply.switched
    rows = httpforward.answered(head.rows, head.fields)
    rows += [("Upgrade", head.fields.get("upgrade")), ("Connection", "Upgrade")]
    exchange.raw(httpforward.response_head(101, head.reason, rows))
    exchange.stream.flush()
    exchange.stream.send(bytes(reply.held))
    before = exchange.stream.sent
    try:
        pump(exchange.stream, there, idle=upstream.patience)
    finally:
        exchange.sent += exchange.stream.sent - before


# -- what is answered --


class Reply:
    """A response on its way to the client: its head is awaited, then what follows it is passed on.

    head        of the last word, once it is known; `switched` that of a 101
    more        the server's transport: under TLS it may hold more than its descriptor tells
    """

    def __init__(self, exchange, upstream, place, upgrade):
        self.exchange, self.upstream, self.place, self.upgrade = exchange, upstream, place, upgrade
        self.head = self.switched = self.more = self.chunks = None
        self.held, self.left, self.interim, self.over = bytearray(), None, 0, False

    def heard(self, data):
        """Take a piece of what the server says; True once that was all."""
        try:
            while data:
                self._take(data)
                if self._is_done():
                    return True
                data = self._opened()
        except Malformed as error:
            raise NotAnswered(str(error)) from None
        return data == b""

    def _opened(self):
        """What else has come under TLS, of which no descriptor tells; b"" for its end, None for nothing."""
        try:
            return self.more.take(PIECE) if self.more.pending() else None
        except Reset as end:
            raise NotAnswered(f"the connection broke: {end}") from None

    def _is_done(self):
        return self.over or self.switched is not None

    def _take(self, data):
        if self.head is None:
            self.held += data
            while self.head is None and self.switched is None and (size := httpanswer.size_of(self.held)):
                head = httpanswer.parse(bytes(self.held[:size]), self.exchange.request.method)
                del self.held[:size]
                self._meet(head)
            if self.head is None:
                return
            data, self.held = bytes(self.held), bytearray()
        self._pass_on(data)

    def _meet(self, head):
        """Do what a head asks for."""
        if head.status == 101:
            if not self.upgrade or (head.fields.get("upgrade") or "").lower() != self.upgrade:
                raise NotAnswered("switched to a protocol that nobody asked for")
            self.switched = head
        elif head.status < 200:
            self._pass_interim(head)
        else:
            self.head = head
            self._begin()

    def _pass_interim(self, head):
        """Pass on a word before the last (RFC 9110, 15.2); a 100 is between us and the server."""
        self.interim += 1
        if self.interim > INTERIM:
            raise NotAnswered(f"more than {INTERIM} responses before the last word")
        if head.status != 100 and self.exchange.request.minor > 0:
            rows = httpforward.answered(head.rows, head.fields)
            self.exchange.stream.send(httpforward.response_head(head.status, head.reason, rows))

    def _begin(self):
        head, exchange = self.head, self.exchange
        rows = httpforward.answered(head.rows, head.fields, (name for name, _ in exchange.always))
        name, port = exchange.host
        rows = httpforward.relocated(rows, self.upstream, f"{name}:{port}" if port else name, self.place.prefix)
        rows.append(("Via", httpforward.via(head.fields, head.minor)))
        self.left = head.length
        if head.length == CHUNKED:
            self.chunks = Chunks()
        exchange.begin(head.status, rows, head.announced, head.reason)

    def _pass_on(self, data):
        """Pass on a piece of the body; what follows its end is nobody's."""
        if self.chunks is not None:
            data, self.over = self.chunks.feed(data), self.chunks.over
        elif self.left is not None:
            data = data[:self.left]
            self.left -= len(data)
            self.over = not self.left
        if data:
            self.exchange.write(data)

    def settle(self):
        """The server pauses: nobody shall wait for what it has said already."""
        self.exchange.stream.flush()

    def finish(self):
        """The server has said its last; raises NotAnswered where something is missing."""
        if self.switched is not None:
            return
        if self.head is None:
            raise NotAnswered("ended before its head was whole" if self.held else "said nothing")
        if not self.over and (self.chunks is not None or self.left is not None):
            raise NotAnswered("ended before its response was whole")
        self.exchange.end()
