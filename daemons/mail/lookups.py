"""Questions to the DNS about clients and senders, through dnspython: few, each short, and all within one deadline.

What is not there and what nobody can tell now are two things here, too: the first is an answer, the second is Unknown.
"""

import time

from daemons.stores.libraries import library
from daemons.wire import mailroutes

ONE = 5.0                       # seconds for one question, with all its repetitions
LONGEST, MOST = 4096, 50        # octets of a text, and records of one name, that are looked at
PORT = 53
DNSPYTHON = "python3-dnspython, or dnspython of PyPI"


class Unknown(Exception):
    """The DNS could not tell now."""


def place(words):
    """(host, port) of --resolver: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; None for None.  Raises ValueError."""
    if words is None:
        return None
    try:
        found = mailroutes.relay(f"[{words}]" if words.count(":") > 1 and not words.startswith("[") else words)
    except ValueError:
        raise ValueError(f"--resolver: not ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT: {words!r}") from None
    return found.host, found.port or PORT


def resolver(where=None):
    """dnspython's resolver: the machine's, or the one at (host, port).  Raises ValueError."""
    library("dns.resolver", DNSPYTHON)
    for kind in ("ANY.CNAME", "ANY.MX", "ANY.PTR", "ANY.SOA", "ANY.TLSA", "ANY.TXT", "IN.A", "IN.AAAA"):
        library(f"dns.rdtypes.{kind}", DNSPYTHON)       # it fetches them late, when we are shut in
    import dns.resolver
    try:
        made = dns.resolver.Resolver(configure=where is None)
    except dns.resolver.NoResolverConfiguration as error:
        raise ValueError(f"no resolver is known: {error}; say --resolver=ADDRESS") from None
    if where is not None:
        made.nameservers, made.port = [where[0]], where[1]
    return made


class Lookups:
    """A resolver: the machine's, or the one at (host, port)."""

    def __init__(self, where=None):
        self._resolver = resolver(where)

    def within(self, seconds):
        """The same, for questions that must all be answered within this time."""
        return Within(self, seconds)

    def ask(self, name, kind, seconds=ONE):
        """The records, [] where there are none, None where there is no such name; raises Unknown."""
        import dns.exception
        import dns.name
        import dns.resolver
        try:
            # with its dot: no search list may make another name of it
            found = self._resolver.resolve(dns.name.from_text(f"{name.rstrip('.')}."), kind, search=False,
                                           raise_on_no_answer=False, lifetime=max(seconds, 0.01))
        except dns.resolver.NXDOMAIN:
            return None
        except (dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong, dns.name.BadEscape,
                dns.name.IDNAException, UnicodeError):
            return None                 # it is no name, so nobody can have it
        except (dns.exception.DNSException, OSError) as error:
            raise Unknown(f"{name} cannot be looked up: {_plain(error)}") from None
        return list(found or ())[:MOST]


class Within:
    """Questions under one deadline."""

    def __init__(self, lookups, seconds):
        self._lookups, self._end = lookups, time.monotonic() + seconds

    def ask(self, name, kind):
        """As Lookups.ask; raises Unknown once the time is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Unknown("it took too long")
        return self._lookups.ask(name, kind, min(left, ONE))

    def texts(self, name):
        """The TXT records of a name, those left out that are too long for anything we read; raises Unknown."""
        found = [b"".join(record.strings) for record in self.ask(name, "TXT") or ()]
        return [text for text in found if len(text) <= LONGEST]

    def addresses(self, name):
        """The A records of a name; raises Unknown."""
        return [record.address for record in self.ask(name, "A") or ()]

    def exists(self, name):
        """Is there such a name; raises Unknown."""
        return self.ask(name, "A") is not None


def _plain(error):
    """What went wrong, without the list of all attempts."""
    return str(error).partition(";")[0].partition(":")[0] or type(error).__name__
