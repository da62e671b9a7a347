"""One request and its reply, over a stream (RFC 9112).

What a reply's head says about its length is what follows, always; where that cannot be had, the connection is
cut, so that the client knows.
"""

from functools import lru_cache

from daemons.kernel.ends import End
from daemons.wire import httphead, httptarget
from daemons.wire.httpdate import imf
from daemons.wire.httpframing import LAST_CHUNK, chunk
from daemons.wire.httpstatus import BODILESS, REASONS, Refused, status_line
from daemons.wire.pagestyle import CSP

from .body import NOTHING, Body

SOFTWARE = "fd0"
EMPTY_LINES = 8         # before a head
DRAINED = 65536         # octets of a body that nobody read, and that are read and dropped to keep the connection
HTML = "text/html; charset=utf-8"
PAGE = (("Content-Type", HTML), ("Content-Security-Policy", CSP), ("X-Content-Type-Options", "nosniff"))


class Elsewhere(Exception):
    """The request is to be answered as if `path` had been asked for (RFC 3875, 6.2.2)."""

    def __init__(self, path):
        super().__init__(path)
        self.path = path


class Short(End):
    """A reply ended before the length that its head had promised."""

    reason = "short"


class Exchange:
    """One request and what is answered.

    request, target     as they came; `host` is (name, port or None) that was asked for, ("", None) without any
    body                what follows the head
    user, auth_type     who logged in, and how
    admitted            credentials that passed on this connection
    settings            the program's options that hold for conversations: keep_alive, requests, body
    always              fields that go with every reply
    received            octets of the request's head
    status, sent        of the reply: its code (0: none yet), and octets after the head
    word                how the connection ended, if this was the last of its exchanges
    last                nothing more will be read on this connection
    error_page          returns (media type, body) of an error's page, or None for our own
    """

    request, target, body = None, None, NOTHING
    host, user, auth_type = ("", None), "", ""
    always, error_page, word = (), None, "done"
    status = sent = received = 0
    _began = _chunked = False
    _left = None

    def __init__(self, stream, settings, last=False, admitted=None):
        self.stream, self.settings, self.last = stream, settings, last
        self.admitted = set() if admitted is None else admitted

    # -- the request --

    def hear(self, patience):
        """Read the head, and know what follows it; raises Refused, and what streams raise."""
        until, head = self.stream.clock() + patience, b"\r\n"
        for _ in range(EMPTY_LINES):    # RFC 9112, 2.2
            head = self.stream.head(httphead.size_of, until - self.stream.clock())
            if head != b"\r\n":
                break
        else:
            raise Refused(400, "nothing but empty lines", final=True)
        self.received = len(head)
        self.request = request = httphead.parse(head)
        self.stream.commands += 1
        self.last = self.last or not request.persistent or self.stream.leaving
        if request.length:
            self.body = Body(self.stream, request.length, self.settings.body, request.expects is not None)
        self.host = request.host
        if request.refusal is not None:
            raise request.refusal.again()
        if request.expects is not None and request.expects.lower() != "100-continue":
            raise Refused(417, "an expectation that nobody here can meet")
        self.target = request.goal

    def aim(self, target):
        """Take this path of ours for what is asked for."""
        self.target = httptarget.parse(target)

    @property
    def client(self):
        """The address of who asks: of our peer, or where that is a proxy of --forwarders, whom it names."""
        networks = getattr(self.settings, "forwarders", None)
        if networks is None:
            return self.stream.peer.host
        from .clients import client_of
        return client_of(self, networks)[0]

    @property
    def path(self):
        """The path that is asked for, decoded and resolved (surrogateescape)."""
        return self.target.path

    @property
    def raw_path(self):
        """The path as it came."""
        return self.target.raw

    @property
    def query(self):
        """What follows the "?"."""
        return self.target.query

    # -- the reply --

    def reply(self, status, fields=(), body=b""):
        """Answer with all of this."""
        self.begin(status, fields, len(body))
        self.write(body)
        self.end()

    def reply_again(self, version):
        """Answer with a file that is remembered: the whole of such a reply is the same for a second."""
        request = self.request
        if self.last or self.always or self.body is not NOTHING or request.method != "GET" or not request.minor:
            self.begin(200, (), version.size, block=version.block)
            self.write(version.body)
            return self.end()
        second = int(self.stream.time())
        if version.second != second:
            head = f"{_opening(200, '', second)}{version.block}Content-Length: {version.size}\r\n\r\n"
            version.whole = head.encode("latin-1") + version.body
            version.second = second     # last: another thread may look meanwhile
        self.status, self._began, self.sent = 200, True, version.size
        self.stream.send(version.whole)

    def begin(self, status, fields=(), size=None, reason="", block=""):
        """Say the head of the reply; `size` octets will follow, or as many as come.

        `block` is the text of more fields, made by `fields_block` once for many replies.
        """
        bodiless = status in BODILESS
        if self.body is not NOTHING:
            self._weigh_body()
        self.status, self._left = status, size
        self._chunked = size is None and not bodiless and self.request is not None and self.request.minor > 0
        if size is None and not bodiless and not self._chunked:
            self.last = True
        text = _opening(status, reason, int(self.stream.time())) + block
        if fields:
            text += fields_block(fields)
        if self.always:
            text += fields_block(self.always)
        if self._chunked:
            text += "Transfer-Encoding: chunked\r\n"
        elif size is not None and not bodiless:
            text += f"Content-Length: {size}\r\n"
        if self.last:
            text += "Connection: close\r\n"
        elif self.request.minor < 1:
            text += "Connection: keep-alive\r\n"
        self.stream.send(f"{text}\r\n".encode("latin-1", "replace"))
        self._began = True
        if bodiless or (self.request is not None and self.request.method == "HEAD"):
            self._left, self._chunked = 0, False

    def write(self, data):
        """Send a part of the body; what a HEAD asked for, or goes beyond what was promised, is dropped."""
        if self._left is not None:
            data = data[:self._left]
            self._left -= len(data)
        if data:
            self.stream.send(chunk(data) if self._chunked else data)
            self.sent += len(data)

    def sendfile(self, file, offset, count):
        """Send a part of an open file as a part of the body."""
        count = count if self._left is None else min(count, self._left)
        sent = self.stream.sendfile(file, offset, count) if count else 0
        self.sent += sent
        if self._left is not None:
            self._left -= sent

    def end(self):
        """That was all of it; raises Short when more was promised."""
        if self._chunked:
            self.stream.send(LAST_CHUNK)
        elif self._left:
            raise Short(f"{self._left} octets of a reply are missing")
        self._left, self._chunked = 0, False

    def raw(self, data):
        """Send octets that are a reply, or a part of one, with its head; the connection ends with them."""
        if not self._began:
            self.status = _status_in(data)
        self._began = self.last = True
        self.stream.send(data)
        self.sent += len(data)

    @property
    def began(self):
        """Has a reply begun?"""
        return self._began

    def refuse(self, status, why, fields=()):
        """Answer with an error: its status, and a sentence for the log."""
        raise Refused(status, why, fields)

    def redirect_local(self, path):
        """Have it answered as if another path of ours had been asked for."""
        raise Elsewhere(path)

    def redirect(self, status, location):
        """Send the client to another place."""
        from daemons.wire import errorpage
        self.reply(status, [("Location", location), *PAGE], errorpage.moved(status, location))

    def refused(self, refusal):
        """Answer with the page of an error."""
        self.last = self.last or refusal.final
        own = self.error_page(refusal.status) if self.error_page is not None and not refusal.final else None
        if own is not None:
            kind, page = own
            fields = [("Content-Type", kind), ("X-Content-Type-Options", "nosniff")]
        else:
            from daemons.wire import errorpage
            fields, page = PAGE, errorpage.error(refusal.status, REASONS.get(refusal.status, "Error"))
        self.reply(refusal.status, [*refusal.fields, *fields], page)

    def forget(self):
        """Take back a reply that has begun and of which nothing has left yet."""
        self._began, self._chunked, self._left, self.status, self.sent = False, False, None, 0, 0

    def _weigh_body(self):
        """A body that nobody has read must be read before the next head; is that worth its while?"""
        body = self.body
        if body.pending() and (body.awaited() or body.is_long() or body.length is None or body.left > DRAINED):
            self.last = True


@lru_cache(64)
def _opening(status, reason, second):
    """How each head begins, which is the same for a second."""
    return f"{status_line(status, reason)}Date: {imf(second)}\r\nServer: {SOFTWARE}\r\n"


def fields_block(fields):
    """Fields as the lines of a head; raises ValueError for one that would be two."""
    rows = [f"{name}: {value}\r\n" for name, value in fields]
    text = "".join(rows)
    if text.count("\n") != len(rows) or text.count("\r") != len(rows):
        raise ValueError(f"a field of two lines: {text!r}")
    return text


def _status_in(data):
    """The status in a reply's first line, for the log."""
    word = data[:16].split(b" ")[1:2]
    return int(word[0]) if word and len(word[0]) == 3 and word[0].isdigit() else 200
