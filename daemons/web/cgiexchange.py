"""The same answers behind any web server: one request out of the environment, its reply as CGI has it (RFC 3875)."""

from daemons.kernel import log, undercgi
from daemons.kernel.addresses import Address
from daemons.kernel.conversation import Program, converse, new_session
from daemons.kernel.ends import End
from daemons.wire import httphead, numbers
from daemons.wire.httpstatus import BODILESS, REASONS, Refused
from daemons.wire.httptarget import encoded

from .body import Body
from .exchange import Exchange, fields_block

# fields of the connection between the client and the web server, and those that have variables of their own
NOT_OURS = {"connection", "content-length", "content-type", "expect", "host", "keep-alive", "proxy", "te", "trailer",
            "transfer-encoding", "upgrade"}


class Script(Exchange):
    """An exchange whose head came in variables.

    script    the path that leads to us, without what follows it
    """

    def __init__(self, stream, settings, environ):
        super().__init__(stream, settings, last=True)
        self.script = ""
        self.user, self.auth_type = environ.get("REMOTE_USER", ""), environ.get("AUTH_TYPE", "")
        self._environ = environ

    def hear(self, patience=None):
        """Take the request out of the variables; raises Refused."""
        environ = self._environ
        self.request = request = httphead.parse(head(environ))
        if request.refusal is not None:
            raise request.refusal
        self.target, self.host = request.goal, request.host
        self.script = encoded(environ.get("SCRIPT_NAME", ""))
        length = environ.get("CONTENT_LENGTH", "")
        if request.method == "POST" and not length:
            raise Refused(411, "a body without its length")         # RFC 3875, 4.1.2: then there is none
        try:
            size = numbers.number(length or "0")
        except ValueError as error:
            raise Refused(400, str(error)) from None
        if size:
            self.body = Body(self.stream, size, self.settings.body, False)

    def begin(self, status, fields=(), size=None, reason="", block=""):
        """Say the head of the reply (RFC 3875, 6.3)."""
        self.status, self._began, self._left = status, True, size
        text = f"Status: {status} {reason or REASONS.get(status, '')}\r\n{block}{fields_block([*fields, *self.always])}"
        if size is not None and status not in BODILESS:
            text += f"Content-Length: {size}\r\n"
        self.stream.send(f"{text}\r\n".encode("latin-1", "replace"))
        if status in BODILESS or (self.request is not None and self.request.method == "HEAD"):
            self._left = 0


def head(environ):
    """The head of an HTTP request that these variables tell of."""
    host = environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME', 'localhost')}:{environ.get('SERVER_PORT', '80')}"
    query = environ.get("QUERY_STRING", "")
    target = encoded(environ.get("PATH_INFO") or "/") + (f"?{query}" if query else "")
    rows = [("Host", host)]
    if environ.get("CONTENT_TYPE"):
        rows.append(("Content-Type", environ["CONTENT_TYPE"]))
    for name, value in environ.items():
        field = name[5:].replace("_", "-").lower()
        if name.startswith("HTTP_") and field not in NOT_OURS:
            rows.append((field, value))
    lines = [f"{environ['REQUEST_METHOD']} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in rows), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def answer(handle, options, environ):
    """Answer the one request by `handle(exchange)`; returns the exit status."""
    transport = undercgi.opened()
    transport.secure = environ.get("HTTPS", "").lower() in ("on", "1", "yes")
    port = environ.get("REMOTE_PORT", "")
    peer = Address(environ.get("REMOTE_ADDR", ""), int(port) if port.isascii() and port.isdigit() else 0, "cgi")

    def talk(stream, options):
        """Hold the conversation."""
        _answer(Script(stream, options, environ), handle)

    program = Program(options.service, options, talk, None, "cgi")
    converse(program, transport, peer, Address(word=environ.get("SERVER_NAME", "")), new_session())
    return 0


def _answer(exchange, handle):
    try:
        exchange.hear()
        handle(exchange)
    except Refused as refusal:
        exchange.refused(refusal)
    except End:
        raise
    except Exception as error:          # the kernel's word for it is not CGI
        log.crash(error, session=exchange.stream.session)
        exchange.stream.discard_output()
        exchange.refused(Refused(500, "a mistake of ours"))
