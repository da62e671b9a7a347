"""Applications in Python: a place is answered by a callable, as WSGI has it (PEP 3333).

    wsgi /app/ package.module:application /srv/app /srv/app/venv/lib/python3.11/site-packages

The module is imported when somebody first asks for the place, by our own interpreter.  That is started apart from its
surroundings, so neither PYTHONPATH nor installed packages nor the current folder are on its path: folders behind the
module are put at the path's end, and what the application needs must lie in one of them.

With the model thread the callable is called by several threads at once, and with more than one process in each; the
environment says so (wsgi.multithread, wsgi.multiprocess).
"""

import io
import os
import stat
import sys
from importlib import import_module

from daemons.wire.httpfields import VALUE, is_token
from daemons.wire.httpstatus import BODILESS
from daemons.wire.numbers import number

from . import scripts

OBJECT = "application"          # where the line names none
LONGEST_LINE = 4096             # characters of a line for the log
# neither the connection nor the server is an application's to speak of; those who try mean no harm
DROPPED = frozenset(("connection", "date", "keep-alive", "proxy-connection", "server", "te", "trailer", "upgrade"))
NOT_TOLD = ("GATEWAY_INTERFACE", "PATH_TRANSLATED", "REDIRECT_STATUS")      # of CGI alone


def answer(exchange, site, place):
    """Have the application of a place answer; what it raises is a mistake of ours."""
    if place.made is None:
        place.made = loaded(place.rest)
    body = exchange.body
    whole = None
    if body.length is None and body.pending():          # applications believe CONTENT_LENGTH and nothing else
        whole = scripts.collected(exchange, exchange.settings.spool)
    try:
        errors = Errors(exchange, place.rest.split()[0])
        run(exchange, place.made, environment(exchange, place, whole, errors))
        errors.flush()
    finally:
        if whole is not None:
            whole.file.close()


def prepare(place):
    """The folders that the file of sites names for a place: what will be read."""
    return place.rest.split()[1:]


def loaded(rest):
    """The callable that a line of the file of sites names; raises what importing it does."""
    first, *folders = rest.split()
    module, _, name = first.partition(":")
    for folder in folders:
        if folder not in sys.path:      # at the end: what lies there must not stand for modules of ours
            sys.path.append(folder)
    return getattr(import_module(module), name or OBJECT)


def run(exchange, application, environ):
    """Call an application, pass on what it answers, and have it close."""
    call = Call(exchange)
    found = application(environ, call.start_response)
    try:
        call.pass_on(found)
    finally:
        if hasattr(found, "close"):
            found.close()


# -- what it is told --


class Given:
    """How much of a body there is, as scripts.variables wants to know it."""

    def __init__(self, size, present):
        self.size, self.present = size, present


def environment(exchange, place, whole, errors):
    """The environment of a request (PEP 3333, environ variables); `whole` is its body, where that was read already."""
    body, settings = exchange.body, exchange.settings
    count = len(place.prefix)
    name = "".join(f"/{part.decode('utf-8', 'surrogateescape')}" for part in place.prefix)
    info = "".join(f"/{part.decode('utf-8', 'surrogateescape')}" for part in exchange.target.segments[count:])
    present = exchange.request.fields.get("content-length") is not None
    given = whole or Given(body.left if body.pending() else 0, present)
    told = scripts.variables(exchange, name, info, "", scripts.Settings(authorization=not exchange.user), given)
    # text of which each character is an octet (PEP 3333, "A Note on String Types")
    environ = {key: value.encode("utf-8", "surrogateescape").decode("latin-1") for key, value in told.items()
               if key not in NOT_TOLD}
    threads = (settings.model or "thread") == "thread"
    environ.update({
        "wsgi.version": (1, 0), "wsgi.url_scheme": "https" if exchange.stream.secure else "http",
        "wsgi.input": whole.file if whole is not None else io.BufferedReader(Input(body)), "wsgi.errors": errors,
        "wsgi.multithread": threads, "wsgi.multiprocess": not threads or settings.processes > 1,
        "wsgi.run_once": False, "wsgi.file_wrapper": FileWrapper, "wsgi.input_terminated": True})
    environ.setdefault("SCRIPT_NAME", "")
    environ.setdefault("PATH_INFO", "")
    return environ


class Input(io.RawIOBase):
    """A request's body, as it comes, as a file."""

    def __init__(self, body):
        self.body = body

    def readable(self):
        """Yes."""
        return True

    def readinto(self, buffer):
        """As RawIOBase has it; raises what bodies raise."""
        data = self.body.read(len(buffer))
        buffer[:len(data)] = data
        return len(data)


class Errors:
    """What an application writes to wsgi.errors: lines for the log."""

    def __init__(self, exchange, name):
        self.exchange, self.name, self.held = exchange, name, ""

    def write(self, text):
        """Log each line that is whole."""
        *lines, self.held = (self.held + text).split("\n")
        if len(self.held) > LONGEST_LINE:
            lines, self.held = [*lines, self.held], ""
        for line in lines:
            if line.strip():
                self.exchange.stream.log("script", file=self.name, why=line[:LONGEST_LINE])

    def writelines(self, lines):
        """Log many."""
        for line in lines:
            self.write(line)

    def flush(self):
        """Log what is left of a line."""
        if self.held:
            self.write("\n")


class FileWrapper:
    """A file as an application returns it (wsgi.file_wrapper): the kernel copies it, where it is one of its own."""

    def __init__(self, file, size=8192):
        self.file, self.size = file, size

    def __iter__(self):
        return self

    def __next__(self):
        if data := self.file.read(self.size):
            return data
        raise StopIteration

    def close(self):
        """Close the file, if it can be."""
        if hasattr(self.file, "close"):
            self.file.close()

    def extent(self):
        """(offset, octets) of what is left of an ordinary file; None where the kernel cannot copy it.

        Others may have a descriptor as well, and something else in it than what they read (gzip.GzipFile).
        """
        if not isinstance(getattr(self.file, "raw", self.file), io.FileIO):
            return None
        status = os.fstat(self.file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        offset = self.file.tell()
        return offset, max(status.st_size - offset, 0)


# -- what it answers --


class Call:
    """One call of an application: nothing leaves before its first octet of a body, or its end."""

    def __init__(self, exchange):
        self.exchange, self.head = exchange, None

    def start_response(self, status, headers, exc_info=None):
        """Take the head of the response; returns `write`.  Raises ValueError for what can be none."""
        if exc_info is not None and self.exchange.began:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self.head is not None:
            raise RuntimeError("start_response was called twice")
        self.head = Head(status, headers)
        return self.write

    def write(self, data):
        """Send a piece of the body, for applications of old; it does not wait for the next."""
        self._send(data)
        self.exchange.stream.flush()

    def pass_on(self, found):
        """Send what an application has returned."""
        if isinstance(found, FileWrapper) and not self.exchange.began and self._send_file(found):
            return
        alone = hasattr(found, "__len__") and len(found) == 1       # then its length is that of the whole
        for block in found:
            if self.exchange.began and self._is_bodiless():
                break                   # it would only be dropped
            if block:
                self._send(block, len(block) if alone else None)
                if not alone:
                    self.exchange.stream.flush()
        if not self.exchange.began:
            self._begin(0)
        self.exchange.end()

    def _send(self, data, size=None):
        if not isinstance(data, bytes):
            raise TypeError(f"a body of {type(data).__name__}, not bytes")
        if data:
            if not self.exchange.began:
                self._begin(size)
            self.exchange.write(data)

    def _begin(self, size):
        head = self.head
        if head is None:
            raise RuntimeError("start_response was not called")
        bodiless = not size and self._is_bodiless()     # what a GET would have got, nobody knows
        size = head.length if head.length is not None or bodiless else size
        self.exchange.begin(head.status, head.fields, size, head.reason)

    def _is_bodiless(self):
        return self.exchange.request.method == "HEAD" or self.head.status in BODILESS

    def _send_file(self, wrapper):
        """Have the kernel send a file; False if it cannot."""
        extent = wrapper.extent()
        if extent is None or self.head is None:
            return False
        offset, count = extent
        self._begin(count)
        if count and not self._is_bodiless():
            self.exchange.sendfile(wrapper.file, offset, count)
        self.exchange.end()
        return True


class Head:
    """What start_response was given: `status` and `reason`, `fields`, and their `length`, None without one."""

    def __init__(self, status, headers):
        code, _, self.reason = status.partition(" ")
        if len(code) != 3 or self.reason.encode("latin-1").translate(None, VALUE):
            raise ValueError(f"not a status: {status!r}")
        self.status, self.fields, self.length = number(code, 200, 599), [], None
        for name, value in headers:
            if not is_token(name) or value.encode("latin-1").translate(None, VALUE):
                raise ValueError(f"not a header field: {name!r}: {value!r}")
            low = name.lower()
            if low == "transfer-encoding":
                raise ValueError("how a body is transferred is the server's to say")
            if low == "content-length":
                if self.length is not None:
                    raise ValueError("two lengths")
                self.length = number(value)
            elif low not in DROPPED:
                self.fields.append((name, value))
