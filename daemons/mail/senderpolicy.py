"""SPF: may this address send mail of that domain (RFC 7208)?  Decided by pyspf, with our resolver.

pyspf holds the limits of RFC 7208, 4.6.4 (ten terms that ask, two answers that are empty, ten names of an MX), and
gives up after SECONDS.
"""

from daemons.stores.libraries import library
from daemons.wire.mailaddresses import place

from .lookups import LONGEST, ONE, Unknown

SECONDS = 20                    # RFC 7208, 4.6.4
TOLD_BY_NAME = ("A", "AAAA", "MX", "PTR", "TXT")        # all that pyspf asks for


class Verdict:
    """What SPF says: `result`, of which `domain`, by MAIL FROM or (`is_helo`) by the name of the client, and `why`."""

    __slots__ = ("domain", "is_helo", "result", "sender", "why")

    def __init__(self, result, domain, sender="", is_helo=False, why=""):
        self.result, self.domain, self.sender, self.is_helo, self.why = result, domain, sender, is_helo, why


def prepare():
    """Load pyspf; raises ValueError where it is not installed."""
    return library("spf", "python3-spf, or pyspf of PyPI")


def check(lookups, address, sender, helo, hostname):
    """The Verdict for a client at `address` that says helo and MAIL FROM:<sender>; None is the null sender."""
    if sender is not None:
        domain, local, said = sender.domain, sender.local, str(sender)
    else:                               # RFC 7208, 2.4: then it is the name of the client that counts
        domain, local, said = _name(helo), "postmaster", ""
    if not domain or domain.startswith("["):
        return Verdict("none", domain, said, sender is None)
    spf = prepare()
    spf.DNSLookup = _answering(spf, lookups)
    try:
        # what it makes of a local part with an @ of its own would be another domain
        query = spf.query(address, f"x@{domain}", helo, receiver=hostname, strict=True, querytime=SECONDS)
        query.l, query.s = local, f"{local}@{domain}"
        result, _, why = query.check()
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        # a record that pyspf did not foresee: its owner's mistake, and no reason to drop the conversation
        result, why = "permerror", f"{type(error).__name__} in the record"
    told = why if result in ("permerror", "temperror") else ""
    return Verdict(result, domain, said, sender is None, told)


def _name(helo):
    try:
        return place(helo.encode("ascii"))
    except ValueError:
        return ""


def _answering(spf, lookups):
    """What pyspf calls for each question."""

    def lookup(name, kind, strict=True, timeout=ONE):
        if kind not in TOLD_BY_NAME:
            return []
        try:
            records = lookups.ask(name, kind, min(timeout, ONE)) or []
        except Unknown as error:
            raise spf.TempError(str(error)) from None
        return [((name, kind), _value(spf, record, kind)) for record in records]

    return lookup


def _value(spf, record, kind):
    """A record as pyspf wants it."""
    if kind == "MX":
        return record.preference, record.exchange.to_text(omit_final_dot=True)
    if kind == "PTR":
        return record.target.to_text(omit_final_dot=True)
    if kind == "TXT":
        if sum(map(len, record.strings)) <= LONGEST:
            return record.strings
        if record.strings[0].lower().startswith(b"v=spf1"):
            raise spf.PermError(f"a record of more than {LONGEST} octets")
        return (b"",)                   # somebody else's business
    return record.address
