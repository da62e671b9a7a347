"""The requests of one connection, one after another, until one of the two has enough (RFC 9112, 9.3)."""

from daemons.kernel import log
from daemons.kernel.ends import End, Gone, Late
from daemons.kernel.service import Event, Option
from daemons.kernel.values import count, seconds, size
from daemons.wire.httpstatus import Refused

from .exchange import Elsewhere, Exchange

HOPS = 10               # local redirects for one request
OPTIONS = (
    Option("keep-alive", seconds, "15", "how long a connection may be silent between two requests"),
    Option("requests", count, "1000000", "requests on one connection"),
    Option("body", size, "16M", "octets of the longest request body"),
)
REQUEST = Event("request", "info", "session method host target status in out ms client user referer agent",
                "a request, and how it was answered")
BUSY = (b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 18\r\nRetry-After: 10\r\n"
        b"Connection: close\r\n\r\nBusy; try again.\r\n")


def serve(stream, options, handle, written=None):
    """Answer requests by `handle(exchange)`; returns the word for the end.

    `written(exchange)` is called after each, to log it in another way, too.
    """
    left, patience, admitted = options.requests, stream.patience, set()
    told = stream.is_told("request")
    if not _spoken_to_first(stream):
        return "idle"
    while True:
        exchange = Exchange(stream, options, left <= 1, admitted)
        began = stream.clock()
        try:
            _one(exchange, handle, patience)
        finally:                        # a client that hangs up in the middle has asked for something all the same
            if told and (exchange.status or exchange.request is not None):
                _log(exchange, stream.clock() - began)
            if written is not None and exchange.status:
                written(exchange)
        if exchange.last or stream.leaving:
            return exchange.word
        left -= 1
        if not stream.spoken_to(options.keep_alive):
            return "done" if stream.ended else "idle"


def _spoken_to_first(stream):
    """Does the client say something at all?  False where it had no time to, as the program was told to stop."""
    if stream.spoken_to(stream.patience):
        return True
    if stream.leaving:
        return False
    raise Gone("the peer closed") if stream.ended else Late("the peer was silent")


def _one(exchange, handle, patience):
    """Hear a request and answer it, whatever it is."""
    try:
        exchange.hear(patience)
        _answer(exchange, handle)
        if exchange.body.pending() and not exchange.last:
            exchange.body.drop()
    except Refused as refusal:
        _refuse(exchange, refusal)
    except Late as end:                 # the kernel has no word for it that a client would understand
        begun = exchange.request is not None or exchange.stream.pending()
        if type(end) is not Late or exchange.began or not begun:
            raise
        exchange.word = end.reason
        exchange.refused(Refused(408, "a request that took too long", final=True))


def _answer(exchange, handle):
    """Have it answered; a crash is ours alone, and told the client as such."""
    for _ in range(HOPS):
        try:
            return handle(exchange)
        except Elsewhere as other:
            exchange.request = exchange.request.following()
            exchange.aim(other.path)
        except (End, Refused):
            raise
        except Exception as error:
            log.crash(error, session=exchange.stream.session)
            raise Refused(500, "a mistake of ours") from error
    raise Refused(508, f"more than {HOPS} local redirects")


def _refuse(exchange, refusal):
    """Answer with an error, unless a reply has begun already: then nothing but the end can tell."""
    if exchange.began:
        exchange.last = True
        return
    exchange.refused(refusal)
    if not exchange.last and exchange.body.pending():
        exchange.body.drop()


def _log(exchange, spent):
    request, fields = exchange.request, {}
    if request is not None:
        name, port = exchange.host
        client = exchange.client
        fields = {"host": f"{name}:{port}" if port else name, "user": exchange.user,
                  "client": client if client != exchange.stream.peer.host else "",
                  "referer": request.fields.get("referer"), "agent": request.fields.get("user-agent")}
    exchange.stream.log("request", method=request.method if request else "-", target=request.target if request else "-",
                        status=exchange.status, in_=exchange.received + exchange.body.taken, out=exchange.sent,
                        ms=f"{spent * 1000:.1f}",
                        **{key: value for key, value in fields.items() if value})
