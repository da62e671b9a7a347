"""Files as HTTP has them: whole or in ranges, if they have changed, in the coding that the client reads, or as a list.

Everything is found through descriptors (stores/webtree.py).  Small files that have not changed are not read again:
what stat(2) says of them is looked at every time.
"""

import os
import stat

from daemons.stores.webtree import Hidden, Missing
from daemons.wire.httpdate import imf
from daemons.wire.httptarget import encoded

from .exchange import PAGE, Short, fields_block

SMALL = 16384           # octets of a file that may be remembered
REMEMBERED = 512        # files
SETTLED = 2.0           # seconds after its last change from which on a file's time tells its versions apart
AT_ONCE = 65536         # octets of a file that leave together with the head
README = (b"README", b"README.txt", b"README.md")
README_MOST = 65536
CODINGS = {"br": b".br", "zstd": b".zst", "gzip": b".gz"}
OFFERED = (*CODINGS, "identity")
VARIES = (("Vary", "Accept-Encoding"),)
ALLOWED = "GET, HEAD, OPTIONS"
KNOWN = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "PROPPATCH",
         "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH"}


class Version:
    """One state of a file: what its head says, and, if it is small, what is in it.

    where, path its path below the root, and as it is asked for; mark, what tells this state from another
    second, whole    when a reply was made of it last, and that reply (Exchange.reply_again)
    """

    __slots__ = ("block", "body", "etag", "fields", "kind", "mark", "modified", "path", "second", "size", "where",
                 "whole")

    def __init__(self, status, kind, fields, now, body=None):
        self.where, self.path, self.second, self.whole = b"", "", 0, b""
        self.mark, self.size = mark_of(status), status.st_size
        # what is to come was not modified yet (RFC 9110, 8.8.2.1)
        self.modified = int(status.st_mtime) if status.st_mtime <= now else None
        coding = "".join(f"-{value}" for name, value in fields if name == "Content-Encoding")
        self.etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}{coding}"'
        self.kind, self.body = kind, body
        dated = () if self.modified is None else (("Last-Modified", imf(self.modified)),)
        self.fields = (("Content-Type", kind), *dated, ("ETag", self.etag),
                       ("Accept-Ranges", "bytes"), ("X-Content-Type-Options", "nosniff"), *fields)
        self.block = fields_block(self.fields)


def mark_of(status):
    """What tells one state of a file from another."""
    return status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def answer(exchange, site):
    """GET, HEAD and OPTIONS of what lies below the site's root."""
    if exchange.request.plain and _answered_from_memory(exchange, site):
        return
    method = exchange.request.method
    if method not in ("GET", "HEAD"):
        return answer_method(exchange, method)
    segments = exchange.target.segments
    slash = segments[-1] == b""
    try:
        with site.root.find(segments[:-1] if slash else segments) as found:
            if found.is_folder:
                return _folder(exchange, site, found, slash)
            if found.rest or slash:
                raise Missing("a file is no folder")
            _file(exchange, site, found)
    except Missing as error:
        exchange.refuse(404, str(error))
    except Hidden as error:
        exchange.refuse(403, str(error))


def _answered_from_memory(exchange, site):
    """Is it a file that we have read before, and that is still the same?

    Only what has been found through descriptors is remembered, so this look may take a shorter way: if that led
    elsewhere by now, another file would be there.
    """
    version = site.memory.get(exchange.target.raw)
    if version is None or exchange.request.method not in ("GET", "HEAD"):
        return False
    site.root.refresh()
    try:
        status = os.stat(version.where, dir_fd=site.root.fd, follow_symlinks=False)
    except OSError:                     # whatever that means is found out the other way
        return False
    if mark_of(status) != version.mark:
        return False
    if site.headers:
        site.add_fields(exchange, version.path)
    exchange.reply_again(version)
    return True


def answer_method(exchange, method, allowed=ALLOWED):
    """Methods that files do not know (RFC 9110, 9.1 and 15.5.6)."""
    if method == "OPTIONS":
        return exchange.reply(204, [("Allow", allowed)])
    if method in KNOWN:
        exchange.refuse(405, f"{method} is not for this", [("Allow", allowed)])
    exchange.refuse(501, "an unknown method")


# -- folders --


def _folder(exchange, site, found, slash):
    if not slash:
        query = f"?{exchange.query}" if exchange.target.has_query else ""
        return exchange.redirect(301, f"{encoded(exchange.path)}/{query}")
    for name in site.index:
        status = found.beside(name)
        if status is not None:
            return _index(exchange, site, found, name, status)
    if not site.listing:
        raise Missing("a folder without an index")
    _list(exchange, site, found)


def _index(exchange, site, found, name, status):
    """The file that stands for its folder; rules for its own path hold as well."""
    if site.headers:
        site.add_fields(exchange, exchange.path + name.decode("utf-8"))
    if stat.S_ISLNK(status.st_mode):
        with site.root.find((*found.walked, name)) as target:
            if target.is_folder:
                raise Missing("an index that is a folder")
            return _file(exchange, site, target)
    _file(exchange, site, found.named(name, status, certain=name == site.index[0]))


def _list(exchange, site, found):
    """The contents of a folder, for people, or as JSON for who prefers it."""
    from daemons.wire import httpaccept, listingpage
    entries = [listingpage.Entry(*entry) for entry in site.root.entries(found)]
    offered = ("text/html", "application/json")
    if httpaccept.prefers(exchange.request.fields.get("accept"), offered) == "application/json":
        body = listingpage.listing_json(exchange.path, entries)
        fields = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]
    else:
        sort, descending = listingpage.wanted(exchange.query)
        body = listingpage.listing(exchange.path, entries, sort, descending, now=exchange.stream.time(),
                                   readme=_readme(found))
        fields = list(PAGE)
    exchange.reply(200, [*fields, ("Vary", "Accept"), ("Cache-Control", "no-cache")], body)


def _readme(found):
    for name in README:
        status = found.beside(name)
        if status is not None and stat.S_ISREG(status.st_mode) and status.st_size:
            try:
                with open(found.named(name, status).open(), "rb") as file:
                    return file.read(README_MOST).decode("utf-8", "replace")
            except (Missing, Hidden):   # it is not for everybody
                continue
    return ""


# -- files --


def _file(exchange, site, found):
    """A file, or its compressed sibling where the client would rather have that."""
    request = exchange.request
    accepted = None if request.plain or not site.siblings else request.fields.get("accept-encoding")
    if accepted is not None:
        from daemons.wire import httpaccept
        for coding in httpaccept.encodings(accepted, OFFERED):
            if coding == "identity":
                break
            name = found.name + CODINGS[coding]
            status = found.beside(name)
            if status is not None and stat.S_ISREG(status.st_mode) and status.st_mtime >= found.status.st_mtime:
                kind = site.kind_of(found.name)
                extra = (("Content-Encoding", coding), *VARIES)
                return _version(exchange, site, found.named(name, status), kind, extra)
            if coding == "gzip" and request.fields.get("range") is None and _sent_compressed(exchange, site, found):
                return
    _version(exchange, site, found, site.kind_of(found.name), VARIES if site.siblings and _varies(site, found) else ())


def _varies(site, found):
    """Would another client get the file in another coding?"""
    from . import gzipped
    return gzipped.is_worth(site.kind_of(found.name), found.status.st_size) or any(
        found.beside(found.name + ending) is not None for ending in CODINGS.values())


def _sent_compressed(exchange, site, found):
    """Was the file worth compressing now, as nobody has done it before, and is it sent?"""
    from . import gzipped
    kind, status = site.kind_of(found.name), found.status
    if not (stat.S_ISREG(status.st_mode) and gzipped.is_worth(kind, status.st_size)):
        return False
    extra = (("Content-Encoding", "gzip"), *VARIES)
    version = Version(status, kind, extra, exchange.stream.time())
    if _answered_in_part(exchange, version, None):      # 304, and nothing to compress
        return True
    with open(found.open(), "rb", buffering=0) as file:
        version.body = gzipped.compressed(file.read(gzipped.MOST + 1))
    version.size = len(version.body)
    if version.size >= status.st_size:
        return False
    _send(exchange, version, None)
    return True


def _version(exchange, site, found, kind, extra):
    """Answer with what the file is now."""
    if not stat.S_ISREG(found.status.st_mode):
        raise Hidden("not a regular file")
    with open(found.open(), "rb", buffering=0) as file:
        status = found.status
        if status.st_size > SMALL:
            return _send(exchange, Version(status, kind, extra, exchange.stream.time()), file)
        body = file.read(SMALL + 1)
    version = Version(status, kind, extra, exchange.stream.time(), body)
    if len(body) != status.st_size:     # it changes while it is read
        version.size = len(body)
    elif exchange.request.plain and found.is_certain and _is_settled(exchange, status):
        _remember(exchange, site, found, version)
    _send(exchange, version, None)


def _is_settled(exchange, status):
    """Is the last change long enough ago that another would be seen by the file's time?"""
    return exchange.stream.time() - max(status.st_mtime, status.st_ctime) > SETTLED


def _remember(exchange, site, found, version):
    """Keep a small file under the path that was asked for."""
    version.where = found.where
    version.path = "/" + version.where.decode("utf-8", "surrogateescape")
    if len(site.memory) >= REMEMBERED:
        site.memory.clear()
    site.memory[exchange.target.raw] = version


def _send(exchange, version, file):
    """A whole file, some ranges of it, or the news that the client has it already (RFC 9110, 13.2 and 14)."""
    if not exchange.request.plain and _answered_in_part(exchange, version, file):
        return
    exchange.begin(200, (), version.size, block=version.block)
    if exchange.request.method == "GET":
        _copy(exchange, version, file, 0, version.size)
    exchange.end()


def _answered_in_part(exchange, version, file):
    """Was the answer something else than the whole, because of conditions or ranges?"""
    from daemons.wire import httpconditions, httpranges
    fields, method = exchange.request.fields, exchange.request.method
    now = int(exchange.stream.time())
    status = httpconditions.outcome(method, fields, version.etag, version.modified, now)
    if status == 304:
        exchange.begin(304, [row for row in version.fields if row[0] in ("ETag", "Last-Modified", "Vary")])
        return True
    if status == 412:
        exchange.refuse(412, "the file is another one")
    wanted = fields.get("range")
    if wanted is not None and method == "GET" and _range_counts(fields, version, now):
        parts = httpranges.ranges(wanted, version.size)
        if parts == []:
            exchange.refuse(416, "no such range", [("Content-Range", httpranges.unsatisfied(version.size))])
        if parts is not None:
            _ranges(exchange, version, file, parts)
            return True
    return False


def _range_counts(fields, version, now):
    from daemons.wire import httpconditions
    condition = fields.get("if-range")
    settled = version.modified
    if settled is not None and now - settled <= SETTLED:
        settled = None                  # it may change once more within that second
    return condition is None or httpconditions.if_range(condition, version.etag, settled)


def _ranges(exchange, version, file, parts):
    from daemons.wire import httpranges
    if len(parts) == 1:
        first, last = parts[0]
        field = ("Content-Range", httpranges.content_range(first, last, version.size))
        exchange.begin(206, [*version.fields, field], last - first + 1)
        _copy(exchange, version, file, first, last - first + 1)
        return exchange.end()
    boundary = os.urandom(12).hex()
    fields = [(name, f"multipart/byteranges; boundary={boundary}" if name == "Content-Type" else value)
              for name, value in version.fields]
    exchange.begin(206, fields, httpranges.multipart_length(boundary, version.kind, parts, version.size))
    for first, last in parts:
        exchange.write(httpranges.part_head(boundary, version.kind, first, last, version.size))
        _copy(exchange, version, file, first, last - first + 1)
    exchange.write(httpranges.parts_end(boundary))
    exchange.end()


def _copy(exchange, version, file, offset, count):
    """Send a part of a file; raises Short when it is shorter by now."""
    before = exchange.sent
    if file is None:
        exchange.write(version.body if count == version.size else version.body[offset:offset + count])
    elif count <= AT_ONCE:
        exchange.write(os.pread(file.fileno(), count, offset))
    else:
        exchange.sendfile(file, offset, count)
    if exchange.sent - before < count:
        raise Short(f"a file became shorter while it was sent: {count} octets from {offset} on are not there")
