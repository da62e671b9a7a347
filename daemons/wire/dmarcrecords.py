"""DMARC: what the owner of a domain wants done with mail that is not from there (RFC 9989; before it RFC 7489).

    _dmarc.example.com TXT "v=DMARC1; p=reject; sp=quarantine; adkim=s"

Where an organization ends is found by a walk up the tree of names, and by no list of suffixes (RFC 9989, 4.10): the
records of the domain and of those above it are looked at, eight at most.  Of RFC 7489 the tag pct is still honoured,
as its successor t is.
"""

from collections.abc import Iterable, Sequence

from .numbers import number

MOST = 8                        # records that a walk asks for (RFC 9989, 4.10)
LONGEST = 4096                  # octets of a record that is read
NONE, QUARANTINE, REJECT = "none", "quarantine", "reject"
MILDER = {REJECT: QUARANTINE, QUARANTINE: NONE, NONE: NONE}


class Record:
    """One record.

    policy, below, missing      what to do with mail of the domain, of those below it, and of such as do not exist
    strict_dkim, strict_spf     only the very domain counts, not another of the same organization
    percent, testing            of how much mail that is to be done; for all of it, one step milder
    psd                         "y": others have their domains below this one; "n": nobody has; "u": not told
    """

    __slots__ = ("below", "missing", "percent", "policy", "psd", "strict_dkim", "strict_spf", "testing")

    def __init__(self, tags: dict[str, str]) -> None:
        self.policy = _policy(tags.get("p", "")) or NONE        # RFC 9989, 4.7: none where it cannot be read
        self.below = _policy(tags.get("sp", "")) or self.policy
        self.missing = _policy(tags.get("np", "")) or self.below
        self.strict_dkim, self.strict_spf = tags.get("adkim", "").lower() == "s", tags.get("aspf", "").lower() == "s"
        self.testing, psd = tags.get("t", "").lower() == "y", tags.get("psd", "").lower()
        self.psd = psd if psd in ("y", "n") else "u"
        try:
            self.percent = number(tags.get("pct", "100"), most=100)
        except ValueError:              # RFC 7489, 6.6.3: as if it were not there
            self.percent = 100

    def wanted(self, exact: bool, exists: bool = True, draw: int = 0) -> str:
        """What is to be done with a mail that fails.

        exact       the record is that of the author's domain, and not of one above it
        exists      there is such a domain
        draw        0 to 99 by lot, for a record that is meant for a part of the mail (RFC 7489, 6.6.4)
        """
        asked = self.policy if exact else self.below if exists else self.missing
        return MILDER[asked] if self.testing or draw >= self.percent else asked


def _policy(text: str) -> str:
    return text.lower() if text.lower() in MILDER else ""


def parse(texts: Iterable[bytes]) -> Record | None:
    """The record among the TXT records of a name; None where there is none, or more than one (RFC 9989, 4.10)."""
    found = [tags for text in texts if (tags := _tags(text)) is not None]
    return Record(found[0]) if len(found) == 1 else None


def _tags(text: bytes) -> dict[str, str] | None:
    #   dmarc-record = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep] *WSP            RFC 9989, 4.8
    words = [word.partition("=") for word in text[:LONGEST].decode("latin-1").split(";")]
    rows = [(name.strip(" \t").lower(), value.strip(" \t")) for name, _, value in words]
    if rows[0] != ("v", "DMARC1"):
        return None
    return dict(reversed(rows))         # of two tags of one name the first counts


def names(domain: str) -> list[str]:
    """The domains that a walk asks, from this one up to the top; of long names some in the middle are left out."""
    labels = domain.split(".")
    begins = range(max(1, len(labels) - MOST + 1), len(labels))
    return [domain, *(".".join(labels[begin:]) for begin in begins)]


def organization(domain: str, found: Sequence[tuple[str, Record]]) -> str:
    """The domain of the organization that a domain belongs to, by the records of its walk (RFC 9989, 4.10.2)."""
    for name, record in found:
        if record.psd == "n":
            return name
        if record.psd == "y" and name != domain:
            labels = domain.split(".")
            return ".".join(labels[-name.count(".") - 2:])
    return min((name for name, _ in found), key=lambda name: name.count("."), default=domain)


def applying(domain: str, found: Sequence[tuple[str, Record]]) -> tuple[str, Record] | None:
    """The record that counts for an author of this domain, with its name, by those of the walk (RFC 9989, 4.10.1)."""
    rows = dict(found)
    for name in (domain, organization(domain, found)):
        if name in rows:
            return name, rows[name]
    return next(((name, record) for name, record in found if record.psd == "y"), None)


def may_align(domain: str, organization_of_author: str) -> bool:
    """Can this domain be of that organization at all?  Then its own walk tells."""
    return domain == organization_of_author or domain.endswith(f".{organization_of_author}")
