"""MTA-STS for whoever sends mail: the policy of a domain, fetched by HTTPS and kept until its time is over (RFC 8461).

    MtaSts(servers, Policies(queue)).policy("example.com")      a Policy, or None

What is kept counts although neither the DNS nor a web server answers: who stops both of them switches nothing off.
"""

import time

from daemons.kernel import dial, log
from daemons.kernel.ends import End
from daemons.mail.mailservers import NoServer
from daemons.stores.stspolicies import LARGEST, Kept
from daemons.wire import stsrecords

PORT = 443
PATIENCE = 60.0                 # seconds for all of a fetch (RFC 8461, 3.3)
CONNECTING = 15.0               # of which one address has so many to accept
AGAIN = 300                     # seconds after a fetch that failed (RFC 8461, 3.3)
AFRESH = 86400                  # and after one that did not, whatever the id says (RFC 8461, 10.2)


class Unfetched(Exception):
    """There is no policy to be had; the text says why."""


class MtaSts:
    """Asks `servers`, a MailServers, for names; `kept` is a Policies, `authorities` a PEM file or None."""

    def __init__(self, servers, kept, authorities=None, port=PORT, clock=time.time):
        self._servers, self._kept, self._authorities, self._port = servers, kept, authorities, port
        self._clock = clock

    def policy(self, domain):
        """The policy that counts for a domain now, or None; raises OSError where nobody can tell."""
        name, now = self._servers.spelled(domain), int(self._clock())
        if not stsrecords.is_name(name):
            return None
        kept = self._kept.get(name)
        valid = kept if kept is not None and now < kept.until and _is_policy(kept.text) else None
        id = self._id(name)
        if id is not None and _is_due(kept, valid, id, now):
            valid = self._fetch(name, id, now, valid)
        return valid and stsrecords.parse(valid.text)

    def _id(self, name):
        """The id of the policy that the DNS tells of, if it does."""
        try:
            return stsrecords.identity(self._servers.texts(f"_mta-sts.{name}"))
        except NoServer:                # what is kept counts for as long as it would anyway
            return None

    def _fetch(self, name, id, now, valid):
        """What is known of the policy after an attempt to fetch it; None for no policy."""
        try:
            text = fetch(name, self._addresses(name), self._authorities, self._port)
            found = valid = Kept(id, now, 0, now + _parsed(text).seconds, text)
        except Unfetched as error:
            log.event("unfetched", domain=name, why=str(error))
            found = Kept(valid.id, valid.fetched, now, valid.until, valid.text) if valid else Kept(
                id, 0, now, now + AGAIN, b"")
        try:
            self._kept.put(name, found)
        except OSError as error:        # it counts for this mail, and is fetched for the next one again
            log.event("warning", text=f"the MTA-STS policy of {name} is not kept: {error}")
        return valid

    def _addresses(self, name):
        try:
            return self._servers.addresses(f"mta-sts.{name}")
        except NoServer as error:
            raise Unfetched(str(error)) from None


def fetch(name, addresses, authorities=None, port=PORT):
    """The octets of the policy of a domain, from a web server at one of these addresses; raises Unfetched."""
    host, end = f"mta-sts.{name}", time.monotonic() + PATIENCE
    trouble = Unfetched(f"{host} has no address")
    for address in addresses:
        left = end - time.monotonic()
        if left <= 0:
            break
        try:
            return _fetch_from(host, address, port, authorities, left)
        except (Unfetched, End) as error:
            trouble = Unfetched(f"{host} [{address}]: {error}")
    raise trouble


def _fetch_from(host, address, port, authorities, left):
    end = time.monotonic() + left
    stream = dial.call(address, port, seconds=min(left, CONNECTING), patience=PATIENCE)
    try:
        stream.transport.end = end
        dial.secure(stream, host, seconds=left, authorities=authorities, alpn=("http/1.1",))
        for line in ("GET /.well-known/mta-sts.txt HTTP/1.1", f"Host: {host}", "User-Agent: fd0 mailq",
                     "Accept: text/plain", "Connection: close", ""):
            stream.say(line)
        stream.flush()
        return _body(stream)
    finally:
        stream.cut_off()


def _body(stream):
    """What the server answers, if it is what a policy comes as (RFC 8461, 3.3)."""
    from http.client import HTTPException, HTTPResponse
    response = HTTPResponse(stream, method="GET")
    try:
        response.begin()
        if response.status != 200:      # nobody is followed to another place
            raise Unfetched(f"status {response.status}")
        kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "text/plain":
            raise Unfetched(f"media type {kind or 'not told'}, not text/plain")
        text = response.read(LARGEST + 1)
    except HTTPException as error:
        raise Unfetched(f"not an answer of HTTP: {type(error).__name__}") from None
    if len(text) > LARGEST:
        raise Unfetched(f"over {LARGEST} octets")
    if response.length:
        raise Unfetched("the policy ends too early")
    return text


def _parsed(text):
    try:
        return stsrecords.parse(text)
    except ValueError as error:
        raise Unfetched(f"not a policy: {error}") from None


def _is_policy(text):
    try:
        return bool(_parsed(text))
    except Unfetched:
        return False


def _is_due(kept, valid, id, now):
    """Is it time to fetch the policy of this id?"""
    if kept is not None and 0 <= now - kept.failed < AGAIN:
        return False
    return valid is None or valid.id != id or now - valid.fetched >= AFRESH
