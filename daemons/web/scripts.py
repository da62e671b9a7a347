"""Scripts: requests that other programs answer, as CGI (RFC 3875), SCGI or FastCGI has it.

A request's body is read whole before anybody is asked.  So no client, however slow, occupies a script, a chunked body
has its length (RFC 3875, 4.1.2), and a client who reads nothing before it has sent everything stops nobody.  What a
script says goes out as it comes; only what it says without a pause is kept together, and has a length if it was all.
"""

import io
import os
import tempfile

from daemons import __version__
from daemons.kernel.asking import Asking, Bounds, Overdue
from daemons.kernel.children import Child, NotStarted
from daemons.kernel.dial import call, call_path
from daemons.kernel.ends import End, Late
from daemons.kernel.running import Failed
from daemons.wire import cgimessages, fastcgirecords, scgimessages
from daemons.wire.httpstatus import BODILESS

SOFTWARE = f"fd0/{__version__}"
PIECE = 65536           # octets of a body in memory, and of an answer before it begins to leave
COMPLAINTS = 8          # lines of an application's stderr that one request may put into the log
LOCAL = "unix:"         # the address of a client who called at a Unix socket


class Settings:
    """What scripts may cost, and what they are told.

    seconds, patience   how long an answer may take, and how long a script may be silent (None: as long)
    most                octets of an answer
    environment         more variables, for scripts that we start ourselves
    spool               folder for bodies over PIECE octets; None: they stay in memory
    authorization       whether scripts see the passwords that clients send
    rlimits             names of the resource module, and their values
    """

    __slots__ = ("authorization", "bounds", "environment", "rlimits", "spool")

    def __init__(self, seconds=60.0, most=1 << 30, environment=None, patience=None, spool=None, authorization=False,
                 rlimits=None):
        self.bounds = Bounds(seconds, most, patience)
        self.environment, self.spool, self.authorization = environment or {}, spool, authorization
        self.rlimits = rlimits or {}


class Broken(End):
    """A script failed in the middle of its answer: the connection ends, so that the client does not take it for all."""

    reason = "script"


class NotAnswered(Failed):
    """What came is no answer; `status` is what the client is told."""

    def __init__(self, why, status=502):
        super().__init__(why)
        self.status = status


# -- who is asked --


def run_cgi(exchange, script_path, script_name, path_info, root, settings):
    """Answer a request with what the program at `script_path` prints.

    It is never given words of the query as its arguments (RFC 3875, 4.4 allows it, and who does is how `?-s` became
    an option of somebody's interpreter).  A name that begins with nph- has the whole response printed by the script
    (RFC 3875, 5).
    """
    folder, name = os.path.split(script_path)
    reply = Raw(exchange) if name.startswith("nph-") else Reply(exchange)
    with collected(exchange, settings.spool) as body:
        told = variables(exchange, script_name, path_info, root, settings, body, script_path)
        exchange.stream.flush()         # earlier replies do not wait for this one
        try:
            with Child([script_path], {**settings.environment, **told}, folder, settings.rlimits) as child:
                child.converse(lambda: body.read(PIECE), reply.heard, settings.bounds,
                               client=exchange.stream.transport, settle=reply.settle)
            if child.status < 0 and child.failure:
                raise NotAnswered(child.failure)
            if child.failure:           # with a status it may well have said what it had to say
                exchange.stream.log("script", file=script_path, why=child.failure)
            reply.finish()
        except Failed as failure:
            failed(exchange, script_path, reply, failure)
    reply.follow()


def ask_scgi(exchange, address, script_name, path_info, root, settings):
    """Answer a request with what the SCGI server at `address` says: (host, port), or the path of a Unix socket."""
    reply = Reply(exchange)
    with collected(exchange, settings.spool) as body:
        told = variables(exchange, script_name, path_info, root, settings, body)
        question = pieces(scgimessages.head(told, body.size), body)
        try:
            ask(exchange, address, settings, question, reply.heard, reply.settle)
            reply.finish()
        except Failed as failure:
            failed(exchange, address, reply, failure)
    reply.follow()


def ask_fastcgi(exchange, address, script_name, path_info, root, settings):
    """Answer a request with what the FastCGI application at `address` says: (host, port), or a Unix socket's path."""
    reply = Reply(exchange)
    application = Application(exchange, address, reply)
    with collected(exchange, settings.spool) as body:
        told = variables(exchange, script_name, path_info, root, settings, body, root + script_name)
        try:
            ask(exchange, address, settings, records(told, body), application.heard, reply.settle)
            application.finish()
            reply.finish()
        except Failed as failure:
            failed(exchange, address, reply, failure)
    reply.follow()


def ask(exchange, address, settings, question, heard, settle):
    """Call somebody and have him answer; raises Failed for what he does wrong, and End for the client's end."""
    bounds = settings.bounds
    exchange.stream.flush()             # earlier replies do not wait for this one
    try:
        if isinstance(address, str):
            there = call_path(address, seconds=bounds.patience)
        else:
            there = call(*address, seconds=bounds.patience)
    except Late as end:
        raise Overdue(str(end)) from None
    except End as end:
        raise NotAnswered(str(end)) from None
    try:
        Asking(there.transport, lambda: next(question, b""), heard, bounds, client=exchange.stream.transport,
               settle=settle).run()
    finally:
        there.cut_off()


def failed(exchange, whose, reply, failure):
    """Log why a script did not answer, and tell the client, as long as it was told nothing else."""
    exchange.stream.log("script", file=shown(whose), why=failure)
    if reply.begun:
        raise Broken(str(failure)) from None
    if isinstance(failure, Overdue):
        status = 504
    elif isinstance(failure, NotStarted):
        status = 500
    else:
        status = getattr(failure, "status", 502)
    exchange.refuse(status, str(failure))


def shown(address):
    """A path as it is, or host and port, for the log."""
    return address if isinstance(address, str) else "[{}]:{}".format(*address)


# -- what is asked --


class Body:
    """A request's body, read whole: `read(size)`, its `size`, and whether there was one at all."""

    def __init__(self, file, size, present):
        self.file, self.size, self.present = file, size, present

    def read(self, size):
        """The next octets, b"" after the last."""
        return self.file.read(size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def collected(exchange, spool):
    """The Body of a request: in memory, or if it is long and there is a `spool`, in a file there that has no name."""
    file, fields = io.BytesIO(), exchange.request.fields
    present = any(fields.get(name) is not None for name in ("content-length", "transfer-encoding"))
    try:
        while present and (data := exchange.body.read(PIECE)):
            if spool and isinstance(file, io.BytesIO) and file.tell() + len(data) > PIECE:
                file = moved(file, spool)
            file.write(data)
        size = file.tell()
        file.seek(0)
    except OSError as error:            # the disk is full, or not ours to write to
        file.close()
        exchange.stream.log("script", file=spool, why=error.strerror)
        exchange.refuse(507, "no room for the body")
    except BaseException:
        file.close()
        raise
    return Body(file, size, present)


def moved(file, spool):
    """A file on disk with what was in memory."""
    on_disk = tempfile.TemporaryFile(dir=spool)
    on_disk.write(file.getvalue())
    return on_disk


def variables(exchange, script_name, path_info, root, settings, body, script=""):
    """The meta-variables of a request; refuses a path that cannot be told in one."""
    request, stream = exchange.request, exchange.stream
    peer, local = stream.peer, stream.local
    name, port = exchange.host
    try:
        return cgimessages.variables(
            request.method, request.version, request.fields.items(), script_name=script_name, path_info=path_info,
            query=exchange.query, server_name=name or bracketed(local.host) or "localhost",
            server_port=local.port or port or (443 if stream.secure else 80),
            remote_addr=without_zone(exchange.client) or LOCAL,
            remote_port=peer.port if exchange.client == peer.host else 0,
            server_addr=without_zone(local.host), software=SOFTWARE, path_translated=root + path_info,
            length=body.size if body.present else None, user=exchange.user, auth_type=exchange.auth_type,
            https=stream.secure, root=root, script=script,
            target=exchange.raw_path + (f"?{exchange.query}" if exchange.query else ""),
            pass_authorization=settings.authorization)
    except ValueError as error:
        return exchange.refuse(404, str(error))


def without_zone(host):
    """An address without the interface that link-local ones have behind a %: RFC 3875, 4.1.8, knows none."""
    return host.partition("%")[0]


def bracketed(host):
    """An address as it stands for a name (RFC 3875, 4.1.14)."""
    return f"[{without_zone(host)}]" if ":" in host else host


def pieces(head, body):
    """What is sent to an SCGI server, piece by piece."""
    yield head
    while data := body.read(PIECE):
        yield data


def records(told, body):
    """What is sent to a FastCGI application, piece by piece."""
    yield fastcgirecords.opening(told)
    while data := body.read(fastcgirecords.FULL):
        yield fastcgirecords.record(fastcgirecords.STDIN, data)
    yield fastcgirecords.record(fastcgirecords.STDIN, b"")


# -- what is answered --


class Reply:
    """What a script says, on its way to the client: its head is awaited, then what follows it is passed on."""

    def __init__(self, exchange):
        self.exchange, self.head, self.held = exchange, None, b""
        self.begun, self.left = False, None     # `left` of what the script itself says is its length

    def heard(self, data):
        """Take a piece of a script's output."""
        if self.head is None:
            self.held += data
            try:
                self.head = cgimessages.parse_head(self.held)
            except ValueError as error:
                raise NotAnswered(str(error)) from None
            if self.head is None:
                return
            data, self.held, self.left = self.held[self.head.size:], b"", self.head.length
        if self.has_no_body():
            return                      # read, or the script would be stopped in the middle of what it does
        if self.left is not None:       # more than was announced would be taken for the next response
            data = data[:self.left]
            self.left -= len(data)
        self.held += data
        if self.begun or len(self.held) > PIECE:
            self.pass_on()

    def has_no_body(self):
        """Does nothing follow the head, whatever the script says?"""
        head = self.head
        return self.exchange.request.method == "HEAD" or head.status in BODILESS or head.local is not None

    def pass_on(self, length=None):
        """Send what is held; `length` is that of the whole body, where it is known."""
        head = self.head
        if not self.begun:
            self.begun = True
            self.exchange.begin(head.status, head.fields, head.length if length is None else length, head.reason)
        if self.held:
            self.exchange.write(self.held)
            self.held = b""

    def settle(self):
        """The script pauses: nobody shall wait for what it has said already."""
        if self.head is not None and self.head.local is None:
            self.pass_on()
            self.exchange.stream.flush()

    def finish(self):
        """The script has said its last; raises NotAnswered where something is missing."""
        if self.head is None:
            raise NotAnswered("ended before its head was whole" if self.held else "said nothing")
        if self.head.local is not None:
            return
        bodiless = self.has_no_body()
        if self.left and not bodiless:
            raise NotAnswered(f"ended {self.left} octets before its Content-Length")
        if self.head.status == 204:     # RFC 9110, 8.6
            self.head.length = None
        self.pass_on(None if bodiless or self.begun else len(self.held))
        self.exchange.end()

    def follow(self):
        """Answer for another path of ours, if that is what the script said (RFC 3875, 6.2.2)."""
        if self.head.local is not None:
            self.exchange.redirect_local(self.head.local)


class Raw:
    """The output of a script that says the whole response itself, as it is (RFC 3875, 5)."""

    def __init__(self, exchange):
        self.exchange, self.begun = exchange, False

    def heard(self, data):
        """Pass on a piece."""
        self.begun = True
        self.exchange.raw(data)

    def settle(self):
        """The script pauses."""
        self.exchange.stream.flush()

    def finish(self):
        """The script has said its last; raises NotAnswered if that was nothing."""
        if not self.begun:
            raise NotAnswered("said nothing")

    def follow(self):
        """Nothing: what it said went to the client."""


class Application:
    """A FastCGI application's answer: its output is a reply, its complaints are for the log."""

    def __init__(self, exchange, address, reply):
        self.exchange, self.address, self.reply = exchange, address, reply
        self.answer, self.complaints = fastcgirecords.Answer(), 0

    def heard(self, data):
        """Take what came; True once the application has ended the request."""
        try:
            found = self.answer.heard(data)
        except ValueError as error:
            raise NotAnswered(str(error)) from None
        for kind, content in found:
            if kind == fastcgirecords.STDOUT:
                self.reply.heard(content)
            else:
                self.complain(content)
        return self.answer.over

    def complain(self, content):
        """Log what it wrote to its stderr."""
        for line in content.split(b"\n"):
            if line.strip() and self.complaints < COMPLAINTS:
                self.complaints += 1
                self.exchange.stream.log("script", file=shown(self.address), why=line)

    def finish(self):
        """It is over; raises NotAnswered if it did not end well."""
        if not self.answer.over:
            raise NotAnswered("closed the connection before the end of its answer")
        if self.answer.protocol != fastcgirecords.COMPLETE:
            busy = self.answer.protocol == fastcgirecords.OVERLOADED
            raise NotAnswered(fastcgirecords.WORDS[self.answer.protocol], 503 if busy else 502)
        if self.answer.status:
            self.exchange.stream.log("script", file=shown(self.address), why=f"exit status {self.answer.status}")
