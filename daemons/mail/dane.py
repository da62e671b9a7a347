"""DANE for SMTP: a server's certificate is held against the TLSA records of its name (RFC 7672).

Python's ssl knows no TLSA.  A certificate that a record means as the server's own is compared after the handshake,
before anything else is said.  For an authority's, the one that fits is taken from what the server has shown, and
OpenSSL verifies the chain to it, and to no other, in the handshake of a second call.
"""

from daemons.kernel import certificate, dial
from daemons.kernel.ends import NoHandshake
from daemons.mail.smtpclient import CallAgain
from daemons.wire import tlsarecords
from daemons.wire.tlsarecords import ANCHOR, OWN


class Proof:
    """Of the server whose name for this is `name`, by its secure records; `domain` is whose mail it takes.

    records     those that can be used; where there are none TLS is a must, and any certificate will do (RFC 7672, 2.2)
    """

    def __init__(self, records, name, domain):
        self.records, self.name = tlsarecords.usable(records), name
        self._names, self._anchors = (name, domain), ()

    def secure(self, stream, seconds):
        """Turn a stream to TLS; is the server proven then?  Raises NoHandshake, and CallAgain for a second call."""
        anchors, self._anchors = self._anchors, ()
        if anchors:
            dial.secure(stream, self.name, seconds=seconds, anchors=anchors)
            self._check_name(dial.shown(stream)[0])
            self._anchors = anchors
            return True
        dial.secure(stream, self.name, seconds=seconds, check=False)
        if not self.records:
            return False
        shown = dial.shown(stream)
        if any(self._fits(OWN, one) for one in shown[:1]):      # whatever its names and dates (RFC 7672, 3.1.1)
            return True
        self._anchors = tuple(one for one in shown[1:] if self._fits(ANCHOR, one))
        if self._anchors:
            raise CallAgain("what it shows is to be verified")
        raise NoHandshake("no TLSA record is for its certificate")

    def _fits(self, usage, shown):
        return any(one.usage == usage and one.fits(shown) for one in self.records)

    def _check_name(self, own):
        """The certificate of an authority's customer must be this server's (RFC 7672, 3.2.3)."""
        try:
            names = certificate.parse(own).names
        except (ValueError, IndexError, StopIteration, RuntimeError):
            raise NoHandshake("its certificate cannot be read") from None
        if not any(certificate.covers(one, wanted) for one in names for wanted in self._names):
            raise NoHandshake(f"its certificate is for {' '.join(names)[:200]}")


def proof(servers, domain, host, port):
    """The Proof for a mail server of a domain, by what `servers` (a MailServers) can ask.

    None where DNSSEC tells of no records.  Raises NoServer where nobody can tell: the server must not be used.
    """
    if not servers.is_validated(domain) or not servers.has_validated_addresses(host):
        return None
    # a name that stands for another one: that has the records, most likely (RFC 7672, 2.2.3)
    for name in dict.fromkeys((servers.canonical(host), host)):
        records = servers.tlsa(name, port)
        if records:
            return Proof(records, name, servers.spelled(domain))
    return None
