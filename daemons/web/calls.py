"""Calls over HTTP: XML-RPC and JSON-RPC posted to one address, and a page for who only looks.

What a body is, its Content-Type alone says.  The types that a browser sends from any page without asking are none of
those (the Fetch standard's simple requests), and a page of another host has to be named before it may call.
"""

from functools import lru_cache

from daemons.kernel import log
from daemons.wire import gzipcoding, httporigin, jsonrpc, xmlrpcshort
from daemons.wire.faults import Fault
from daemons.wire.httpaccept import encodings
from daemons.wire.httpstatus import Refused
from daemons.wire.xmlrpcmessages import CHARSETS, LONGEST_NAME, Reading, build_fault, build_response

from . import offered
from .exchange import PAGE, fields_block
from .methods import Caller, Denied, Registry

PATHS = ("/", "/RPC2", "/JSON", "/jsonrpc")
DESCRIPTION = "/openrpc.json"
ALLOWED = {**dict.fromkeys(PATHS, "GET, HEAD, OPTIONS, POST"), DESCRIPTION: "GET, HEAD, OPTIONS"}
XML, JSON = ("text/xml", "application/xml"), ("application/json", "application/json-rpc", "application/jsonrequest")
READABLE = ("", *CHARSETS)      # whichever of them it is, ASCII is the same in it
TEXT = "text/plain; charset=utf-8"
REALM = "Methods"
WORTH = 1400            # octets from which on an answer is compressed: below, it fits one packet anyway
CODINGS = ("gzip", "identity")
NOSNIFF = ("X-Content-Type-Options", "nosniff")
IN_XML, IN_JSON = (fields_block((("Content-Type", kind), NOSNIFF)) for kind in ("text/xml", "application/json"))
PACKED = fields_block((("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")))


class Client(Caller):
    """Who calls over a connection, which is `stream`."""

    __slots__ = ("stream",)

    def __init__(self, exchange):
        super().__init__(exchange.user, exchange.stream.peer.host)
        self.stream = exchange.stream


class Audited(Registry):
    """A registry that logs each call, those within a system.multicall as well, and what crashed."""

    def call(self, name, params, caller, spelt=False):
        """As Registry.call, for a Client."""
        began = caller.stream.clock()
        try:
            value = super().call(name, params, caller, spelt)
        except Fault as fault:
            crash = fault.__cause__
            if crash is not None and type(crash).__name__ != "Fault":
                log.crash(crash, session=caller.stream.session)
            tell(name, caller, began, fault)
            raise
        tell(name, caller, began)
        return value


def tell(name, caller, began, fault=None):
    """Log a call of a Client, which began then on its stream's clock."""
    if caller.stream.is_told("call"):
        spent = f"{(caller.stream.clock() - began) * 1000:.1f}"
        user = {"user": caller.user} if caller.user else {}
        trouble = {"fault": fault.code, "why": fault.string} if fault else {}
        caller.stream.log("call", method=name[:LONGEST_NAME], **user, ms=spent, **trouble)


class Server:
    """What setup() makes once and each conversation asks.

    Raises ValueError and OSError for what the options name and cannot be had.  `behind` is whether a web server stands
    before us, which may know who calls.
    """

    def __init__(self, options, behind=False):
        self.options = options
        self.extensions = options.extensions or options.allow_none
        self.registry = Audited(debug=options.debug)
        offered.fill(self.registry, options, self.extensions)
        self.origins = {httporigin.parse(one) for one in options.origins or ()}
        self.users = None
        if options.users or options.accounts:
            from . import login
            self.users = login.users_of(options)
        if options.restrict and self.users is None and not behind:
            raise ValueError("restrict: nobody can say who he is; say --users=FILE or --accounts")

    def answer(self, exchange):
        """Answer a request; a program that is refused gets no page, but a line of text."""
        try:
            self._answer(exchange)
        except Refused as refusal:
            exchange.stream.log("rejected", status=refusal.status, why=refusal)
            if exchange.began or exchange.request.method in ("GET", "HEAD"):
                raise
            exchange.last = exchange.last or refusal.final
            exchange.reply(refusal.status, [*refusal.fields, ("Content-Type", TEXT), NOSNIFF], f"{refusal}\n".encode())

    def _answer(self, exchange):
        path, method = exchange.path, exchange.request.method
        allowed = ALLOWED.get(path)
        if allowed is None:
            exchange.refuse(404, "nothing is called there")
        if exchange.request.fields.get("origin") is not None:
            self._admit(exchange)
        if method == "POST" and path != DESCRIPTION:
            self._called(exchange)
        elif method == "GET" or method == "HEAD":
            self._shown(exchange, path)
        elif method == "OPTIONS":
            self._asked(exchange, allowed)
        else:
            exchange.refuse(405, f"{method} is for nothing here", [("Allow", allowed)])

    # -- who asks --

    def _admit(self, exchange):
        """Let a page of this origin call, or refuse."""
        text = exchange.request.fields.get("origin")
        try:
            origin = httporigin.parse(text)
        except ValueError as error:
            exchange.refuse(403, str(error))
        if origin not in self.origins and not httporigin.is_of(origin, exchange.host):
            exchange.refuse(403, f"a page of {text[:80]} may not call; --origins names those that may")
        exchange.always = [("Access-Control-Allow-Origin", text), ("Vary", "Origin")]

    def _asked(self, exchange, allowed):
        """OPTIONS, which a browser asks before a page of another host may call."""
        fields = [("Allow", allowed)]
        if exchange.always and exchange.request.fields.get("access-control-request-method") is not None:
            fields += [("Access-Control-Allow-Methods", "POST"), ("Access-Control-Max-Age", "600"),
                       ("Access-Control-Allow-Headers", "Authorization, Content-Encoding, Content-Type")]
        exchange.reply(204, fields)

    def _caller(self, exchange):
        if self.users is not None and exchange.request.fields.get("authorization") is not None:
            from . import login
            login.demand(exchange, self.users, REALM)
        return Client(exchange)

    # -- who calls --

    def _called(self, exchange):
        kind, charset = _kind(exchange.request.fields.get("content-type"))
        caller = self._caller(exchange)
        if kind in XML:
            body, denied = self._by_xml(exchange, caller, charset)
            block = IN_XML
        else:
            body, denied = self._by_json(exchange, caller)
            block = IN_JSON
        if denied and self.users is not None:
            from daemons.wire.httpauth import challenge_basic
            _send(exchange, 401, block, body, (("WWW-Authenticate", challenge_basic(REALM)),))
        elif body:
            _send(exchange, 200, block, body)
        else:                           # notifications alone
            exchange.reply(204)

    def _by_xml(self, exchange, caller, charset):
        """The answer to a call in XML, and whether it failed for want of a login."""
        began, name, told = caller.stream.clock(), "-", False
        try:
            name, params = self._read(exchange, charset)
            told = True
            value = self.registry.call(name, params, caller)
            told = False
            return build_response(value, self.extensions), False
        except Fault as fault:
            if not told:                # it was no call, or what it gave cannot be sent
                tell(name, caller, began, fault)
            return build_fault(fault.code, fault.string), isinstance(fault, Denied) and not fault.knows_caller

    def _read(self, exchange, charset):
        """The method's name and its parameters, out of a body in XML."""
        first, length = b"", exchange.body.length
        if length is not None and length <= xmlrpcshort.LONGEST and not _coding(exchange):
            first = exchange.body.read()
            call = xmlrpcshort.call(first) if charset.lower() in READABLE else None
            if call is not None:
                return call
        reading = Reading("methodCall", self.extensions, charset)
        try:
            reading.feed(first)
            for piece in self._pieces(exchange):
                reading.feed(piece)
            reading.end()
            return reading.method, reading.params
        finally:
            reading.close()

    def _by_json(self, exchange, caller):
        """The same in JSON; of a batch each answer says so for itself."""
        data, denied = b"".join(self._pieces(exchange)), []

        def call(name, params):
            """Call a method; note that it wanted a login."""
            try:
                return self.registry.call(name, params, caller, spelt=True)
            except Denied as fault:
                denied.append(not fault.knows_caller)
                raise

        answer = jsonrpc.answered(data, call)
        return answer, denied == [True] and not answer.startswith(b"[")

    def _pieces(self, exchange):
        """The body as it comes, inflated."""
        coding = _coding(exchange)
        if not coding:
            while data := exchange.body.read():
                yield data
            return
        if coding not in ("gzip", "x-gzip"):
            exchange.refuse(415, "an unknown content coding", [("Accept-Encoding", "gzip")])
        inflating = gzipcoding.Inflating(self.options.body)
        try:
            while data := exchange.body.read():
                yield from inflating.pieces(data)
            inflating.end()
        except gzipcoding.TooLarge:
            raise Refused(413, f"a body that inflates to more than {self.options.body} octets", final=True) from None
        except ValueError as error:
            exchange.refuse(400, str(error))

    # -- who looks --

    def _shown(self, exchange, path):
        """The page, or the description for programs."""
        caller = self._caller(exchange)
        if self.users is not None and not caller.user and not self.registry.known(caller):
            from . import login
            login.ask(exchange, REALM)
        if path == DESCRIPTION:
            from .openrpc import document
            return _send(exchange, 200, IN_JSON, jsonrpc.dumps(document(self.registry, caller, self._title(exchange))))
        from daemons.wire import methodpage

        from .introspection import entries
        page = methodpage.page(self._title(exchange), _address(exchange), entries(self.registry, caller))
        fields = dict(PAGE) | {"Content-Security-Policy": methodpage.CSP, "Cache-Control": "no-cache"}
        _send(exchange, 200, fields_block(fields.items()), page)

    def _title(self, exchange):
        return self.options.title or f"Methods of {exchange.host[0] or 'this server'}"


def _coding(exchange):
    """The content coding of a body, "" without one."""
    return (exchange.request.fields.get("content-encoding") or "").lower().removeprefix("identity")


@lru_cache(64)
def _kind(value):
    """The media type of a body, and its charset; refuses all but ours."""
    kind, semicolon, rest = (value or "").partition(";")
    kind, charset = kind.strip(" \t").lower(), ""
    if kind not in XML and kind not in JSON:
        raise Refused(415, f"a body of type {kind[:40]!a}; calls are text/xml or application/json",
                      [("Accept", "text/xml, application/json")])
    for parameter in rest.split(";") if semicolon else ():
        name, _, value = parameter.strip(" \t").partition("=")
        if name.lower() == "charset":
            charset = value.strip('"')
    return kind, charset


def _send(exchange, status, block, body, fields=()):
    """Reply with a body, compressed where it is worth its while and the client reads it."""
    if len(body) >= WORTH:
        accepted = encodings(exchange.request.fields.get("accept-encoding"), CODINGS)
        if accepted[:1] == ("gzip",):
            body, block = gzipcoding.deflated(body), block + PACKED
    exchange.begin(status, fields, len(body), block=block)
    exchange.write(body)
    exchange.end()


def _address(exchange):
    """The URL that calls go to, as this client would write it."""
    name, port = exchange.host
    local = exchange.stream.local
    if not name:                        # HTTP/1.0 need not say whom it calls
        name, port = f"[{local.host}]" if ":" in local.host else local.host or "localhost", local.port
    scheme = "https" if exchange.stream.secure else "http"
    shown = f":{port}" if port and port != httporigin.PORTS[scheme] else ""
    return f"{scheme}://{name}{shown}{getattr(exchange, 'script', '')}/RPC2"
