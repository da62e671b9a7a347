"""WebDAV, class 1 and 3: a folder of a site that clients list, and change where they may (RFC 4918).

    dav /share/ read        PROPFIND beside GET
    dav /share/ write       PUT, DELETE, MKCOL, COPY and MOVE as well

Tested with cadaver, rclone (vendor "other") and litmus; davfs2, gio and KDE's file manager need no locks either.
Without locks (class 2) the Finder of macOS and Windows' web folders only read, and office programs open files from here
as read-only: to pretend locks would make them overwrite each other's work.  LOCK is refused, and so is Depth: infinity.

Properties that clients make up are not kept, and PROPPATCH says so.  A file or folder that is put, copied or moved is
there as a whole or not at all.  Where a log-in is asked for somewhere below a folder only, whoever has not logged in
cannot copy, move or remove that folder; and nobody can where it holds another place, such as a cgi-bin.
"""

import copy
import errno
import os
import stat

from daemons.stores import webchanges
from daemons.stores.webchanges import Failed, Taken, Upload
from daemons.stores.webtree import Hidden, Missing
from daemons.wire import davconditions, davmessages, guardedxml, httpconditions, httptarget
from daemons.wire.davmessages import Resource
from daemons.wire.httpdate import imf
from daemons.wire.httpstatus import Refused
from daemons.wire.httptarget import encoded
from daemons.wire.pathpatterns import matches

from . import files

CLASSES = "1, 3"
READS = "GET, HEAD, OPTIONS, PROPFIND"
WRITES = f"{READS}, PROPPATCH, PUT, DELETE, MKCOL, COPY, MOVE"
XML = (("Content-Type", davmessages.CONTENT_TYPE),)
PIECE = 32768           # characters of a long reply that leave together
PORTS = {80: None, 443: None}       # that need not be named; a proxy in front of us may speak another scheme
# what an error of the disk is to the client; what is not here is a mistake of ours
STATUSES = {errno.ENOSPC: 507, errno.EDQUOT: 507, errno.EFBIG: 413, errno.ENAMETOOLONG: 414, errno.EXDEV: 502,
            errno.EACCES: 403, errno.EPERM: 403, errno.EROFS: 403, errno.EBUSY: 403, errno.EMLINK: 403,
            errno.EINVAL: 403, errno.ELOOP: 403, errno.EILSEQ: 403, errno.ETXTBSY: 403,
            errno.ENOENT: 409, errno.ENOTDIR: 409, errno.EISDIR: 409, errno.EEXIST: 409, errno.ENOTEMPTY: 409}


class Visit:
    """One request at a place: the exchange, site and place, and the names of the path, without what ends in a slash."""

    __slots__ = ("exchange", "fields", "names", "place", "site", "slash")

    def __init__(self, exchange, site, place):
        self.exchange, self.site, self.place, self.fields = exchange, site, place, exchange.request.fields
        self.names, self.slash = _names(exchange.target)

    def href(self, *names, is_folder=False):
        """The address of something below the path."""
        path = b"".join(b"/" + name for name in (*self.names, *names)).decode("utf-8", "surrogateescape")
        return encoded(path) + "/" * is_folder if path else "/"

    def find(self):
        """What is there, as readers find it: links are followed.  Raises Missing and Hidden."""
        found = self.site.root.find(self.names)
        if not found.rest and _is_shown(found.status) and (found.is_folder or not self.slash):
            return found
        with found:
            raise Missing("a file is no folder, or it is neither of both")

    def spot(self, orphaned=409):
        """The name that is to be changed; refuses with `orphaned` where there is no folder to hold it."""
        if len(self.names) <= len(self.place.prefix):
            status = 405 if self.exchange.request.method == "MKCOL" else 403
            self.exchange.refuse(status, "the place itself is not changed from here")
        try:
            return webchanges.spot(self.site.root, self.names)
        except Missing as error:
            self.exchange.refuse(orphaned, str(error))

    def judge(self, status):
        """Refuse where what is there now is not what the client believes (RFC 9110, 13)."""
        tag, modified = tag_of(status), None if status is None else int(status.st_mtime)
        method, now = self.exchange.request.method, int(self.exchange.stream.time())
        if httpconditions.outcome(method, self.fields, tag, modified, now):
            self.exchange.refuse(412, "there is something else than the client believes")

    def depth(self, *allowed):
        """The Depth field, which is infinity where it is missing."""
        depth = (self.fields.get("depth") or "infinity").lower()
        if depth not in allowed:
            self.exchange.refuse(400, f"a Depth of {depth[:20]!a} is not for this")
        return depth

    def xml(self):
        """The request's body."""
        pieces, size, body = [], 0, self.exchange.body
        while piece := body.read():
            pieces.append(piece)
            size += len(piece)
            if size > guardedxml.MOST:
                self.exchange.refuse(413, f"more than {guardedxml.MOST} octets of XML")
        return b"".join(pieces)


def answer(exchange, site, place):
    """Answer for a path at the place or below it."""
    if site.root is None:
        exchange.refuse(404, "there is no folder here")
    method, writes = exchange.request.method, place.rest == "write"
    if method == "OPTIONS":
        return exchange.reply(200, [("DAV", CLASSES), ("Allow", WRITES if writes else READS)])
    visit = Visit(exchange, site, place)
    if (value := visit.fields.get("if")) is not None and not davconditions.holds(value, lambda at: _tag_at(visit, at)):
        exchange.refuse(412, "what the If field says does not hold")
    if method in ("GET", "HEAD"):
        return files.answer(exchange, _as_they_are(site, place))
    handler = READERS.get(method) or (WRITERS.get(method) if writes else None)
    if handler is None:
        files.answer_method(exchange, method, WRITES if writes else READS)
    try:
        handler(visit)
    except Missing as error:
        exchange.refuse(404, str(error))
    except Hidden as error:
        exchange.refuse(403, str(error))
    except Taken as error:
        exchange.refuse(412, str(error))
    except OSError as error:
        exchange.refuse(_status_of(error), error.strerror)


def tag_of(status):
    """The entity tag of a file as files.py has it, "" of a folder, which has none, and None of what is not there."""
    if status is None or not stat.S_ISREG(status.st_mode):
        return status and ""
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


def _status_of(error):
    """The status for an error of the disk; raises it again where it says nothing about what was asked."""
    if error.errno not in STATUSES:
        raise error
    return STATUSES[error.errno]


def _names(target):
    """The names of a path, and does a slash follow?"""
    segments = target.segments
    return (segments[:-1], True) if segments[-1:] == (b"",) else (segments, False)


def _is_shown(status):
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


def _as_they_are(site, place):
    """The site without compressed siblings: here FILE.gz is a file like any other, and no other form of FILE."""
    if place.made is None:
        place.made = copy.copy(site)
        place.made.siblings = False
    return place.made


def _tag_at(visit, address):
    """The entity tag at an address of an If field; None asks for the request's own.  None for what has none."""
    try:
        at = visit if address is None else _other(visit, address)
        with at.find() as found:
            return tag_of(found.status) or None
    except (Missing, Hidden, Refused):  # elsewhere, or nowhere
        return None


# -- reading --


def _propfind(visit):
    exchange = visit.exchange
    if visit.depth("0", "1", "infinity") == "infinity":         # RFC 4918, 9.1: it need not be done
        return exchange.reply(403, XML, davmessages.error("propfind-finite-depth").encode())
    try:
        listing = davmessages.Listing(davmessages.parse_propfind(visit.xml()))
    except guardedxml.Unreadable as error:
        exchange.refuse(400, str(error))
    with visit.find() as found:
        visit.judge(found.status)
        exchange.begin(207, [*XML, ("Cache-Control", "no-cache")])
        text = davmessages.BEGIN + listing.response(_resource(visit, (), found.status, _space(visit, found)))
        if found.is_folder and visit.fields.get("depth") == "1":
            for name, status in _members(visit, found):
                text += listing.response(_resource(visit, (name,), status))
                if len(text) > PIECE:
                    exchange.write(text.encode())
                    text = ""
        exchange.write((text + davmessages.END).encode())
        exchange.end()


def _members(visit, found):
    """(name, what stat(2) says) of what is shown of a folder, one after another, however many there are."""
    fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=found.fd)
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                status = None if name.startswith(b".") else _shown(visit, name, entry)
                if status is not None and _is_shown(status):
                    yield name, status
    finally:
        os.close(fd)


def _shown(visit, name, entry):
    """What stat(2) says of a member, or of what a link leads to if that may be shown; None without it."""
    try:
        if not entry.is_symlink():
            return entry.stat(follow_symlinks=False)
        with visit.site.root.find((*visit.names, name)) as found:
            return None if found.rest else found.status
    except (FileNotFoundError, Missing, Hidden):        # gone meanwhile, or a link that leads nowhere or out
        return None


def _resource(visit, names, status, space=None):
    if stat.S_ISDIR(status.st_mode):
        return Resource(visit.href(*names, is_folder=True), True, status.st_mtime, space=space)
    name = (*visit.names, *names)[-1]
    return Resource(visit.href(*names), False, status.st_mtime, status.st_size, visit.site.kind_of(name),
                    tag_of(status))


def _space(visit, found):
    """Free and used octets where the folder is, for those who may write (RFC 4331)."""
    if visit.place.rest != "write" or not found.is_folder:
        return None
    disk = os.fstatvfs(found.fd)
    return disk.f_bavail * disk.f_frsize, (disk.f_blocks - disk.f_bfree) * disk.f_frsize


# -- writing --


def _proppatch(visit):
    with visit.find() as found:
        visit.judge(found.status)
        try:
            wishes = davmessages.parse_proppatch(visit.xml())
        except guardedxml.Unreadable as error:
            visit.exchange.refuse(400, str(error))
        visit.exchange.reply(207, XML, davmessages.patched(visit.href(is_folder=found.is_folder), wishes).encode())


def _put(visit):
    exchange = visit.exchange
    if visit.fields.get("content-range") is not None:           # RFC 9110, 14.5
        exchange.refuse(400, "a part of a file is not put into it")
    if (visit.fields.get("content-encoding") or "identity").lower() != "identity":
        exchange.refuse(415, "files are stored as they are, in no coding")

    def judge(status):
        if visit.slash or (status is not None and stat.S_ISDIR(status.st_mode)):
            exchange.refuse(405, "a folder is there", [("Allow", WRITES)])
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise Hidden("not a regular file")
        visit.judge(status)
    with visit.spot() as spot:
        judge(spot.status)              # before the client is told to go on
        with Upload(spot) as upload:
            exchange.body.allow(exchange.settings.upload)
            while piece := exchange.body.read():
                upload.write(piece)
            status = upload.keep(judge, new=visit.fields.get("if-none-match") == "*")
        exchange.reply(204 if spot.status else 201, [("ETag", tag_of(status)), ("Last-Modified", imf(status.st_mtime))])


def _mkcol(visit):
    exchange = visit.exchange
    if exchange.body.pending():         # RFC 4918, 9.3: nothing is known that it could say
        exchange.refuse(415, "a folder is made without a body")
    with visit.spot() as spot:
        visit.judge(spot.status)
        try:
            webchanges.make_folder(spot)
        except FileExistsError:
            exchange.refuse(405, "there is something already", [("Allow", WRITES)])
    exchange.reply(201)


def _delete(visit):
    with visit.spot(404) as spot:
        _look_at(visit, spot)
        _guard(visit, spot.is_folder)
        failures = webchanges.remove(spot)
    if failures:
        return _tell(visit, failures)
    visit.exchange.reply(204)


def _copy(visit):
    target, new = _other(visit), _is_new(visit)
    deep = visit.depth("0", "infinity") == "infinity"
    with visit.find() as found:
        visit.judge(found.status)
        _guard(visit, found.is_folder and deep)
        with _room(visit, target, new, found.is_folder) as spot:
            try:
                webchanges.copy(found, spot, deep, new)
            except Failed as failure:
                return _tell(visit, [failure])
    visit.exchange.reply(204 if spot.status else 201)


def _move(visit):
    target, new = _other(visit), _is_new(visit)
    with visit.spot(404) as source:
        _look_at(visit, source)
        _guard(visit, source.is_folder)
        with _room(visit, target, new, source.is_folder) as spot:
            webchanges.move(source, spot, new)
    visit.exchange.reply(204 if spot.status else 201)


def _look_at(visit, spot):
    """What is to be moved or removed must be there, all of it be meant, and be what the client believes."""
    if spot.status is None or (visit.slash and not spot.is_folder):
        visit.exchange.refuse(404, "there is nothing")
    if spot.is_folder:
        visit.depth("infinity")
    visit.judge(spot.status)


def _room(visit, target, new, is_folder):
    """The spot for what is copied or moved; refuses what must not be replaced."""
    few = min(len(visit.names), len(target.names))
    if visit.names[:few] == target.names[:few]:
        visit.exchange.refuse(403, "source and destination are the same, or one holds the other")
    spot = target.spot()
    try:
        if spot.status is not None and new:
            raise Taken("there is something, and it is not to be overwritten")
        _guard(target, is_folder or spot.is_folder)
        return spot
    except BaseException:
        spot.__exit__()
        raise


def _is_new(visit):
    """Does the client want nothing to be overwritten (RFC 4918, 10.6)?"""
    value = (visit.fields.get("overwrite") or "T").upper()
    if value not in ("T", "F"):
        visit.exchange.refuse(400, "Overwrite is T or F")
    return value == "F"


def _other(visit, address=None):
    """The Visit of another address of this place, by default the Destination (RFC 4918, 10.3); refuses others."""
    exchange, value = visit.exchange, address
    if value is None:
        value = visit.fields.get("destination")
    if not value or not value.isascii():
        raise Refused(400, "no Destination, or one that is no URI")
    target = httptarget.parse(value)
    if target.has_query:
        raise Refused(400, "a Destination with a query")
    if target.host:
        name, port = httptarget.authority(target.host)
        if (name, PORTS.get(port, port)) != (exchange.host[0], PORTS.get(exchange.host[1], exchange.host[1])):
            raise Refused(502, "the Destination is on another server")
    other = copy.copy(visit)
    other.names, other.slash = _names(target)
    if next((place for place in visit.site.places if place.holds(other.names)), None) is not visit.place:
        raise Refused(502, "the Destination is at another place")
    return other


def _guard(visit, is_tree):
    """May this be taken, with all below it?  Refuses where others answer for a part, or let not everybody in.

    The path that was asked for has been admitted already, but not what is below it, nor a destination.
    """
    exchange, site, count = visit.exchange, visit.site, len(visit.names)
    if is_tree and any(place is not visit.place and place.prefix[:count] == visit.names for place in site.places):
        exchange.refuse(403, "another place is below")
    if exchange.user or site.users is None:
        return
    path = b"".join(b"/" + name for name in visit.names).decode("utf-8", "surrogateescape")
    for pattern, _ in site.protected:
        if matches(pattern, path or "/") or (is_tree and pattern.startswith(("*", f"{path}/"))):
            exchange.refuse(403, "it, or a part of it, is for those who log in")


def _tell(visit, failures):
    """Answer with what within a folder could not be done."""
    rows = [(visit.href(*failure.steps), _status_of(failure.error)) for failure in failures]
    visit.exchange.reply(207, XML, davmessages.failures(rows).encode())


READERS = {"PROPFIND": _propfind}
WRITERS = {"PROPPATCH": _proppatch, "PUT": _put, "DELETE": _delete, "MKCOL": _mkcol, "COPY": _copy, "MOVE": _move}
