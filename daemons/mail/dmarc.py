"""DMARC: is a mail from the domain that its From field names, and what does the owner want if not (RFC 9989)?

SPF and DKIM have said from which domains it is; that counts where one of them is the author's, or of the same
organization.  Records are found by the walk of RFC 9989, 4.10, so that no list of public suffixes is needed.
"""

from daemons.wire import dmarcrecords, mailheaders
from daemons.wire.dmarcrecords import NONE

from .lookups import Unknown

SECONDS = 20.0                  # for all questions about a mail


class Verdict:
    """`result` of RFC 8601, 2.7.1; the author's `domain`; what its owner `wanted`, "" if nobody can tell; and `why`."""

    __slots__ = ("domain", "result", "wanted", "why")

    def __init__(self, result, domain="", wanted=NONE, why=""):
        self.result, self.domain, self.wanted, self.why = result, domain, wanted, why


def check(lookups, fields, sender, signatures):
    """The Verdict on a mail, by what SPF (or None) and DKIM found."""
    try:
        author = mailheaders.author(fields)
    except ValueError as error:
        return Verdict("permerror", why=str(error))
    domain = author.domain
    if author.is_literal:
        return Verdict("permerror", domain, why="an author without a domain")
    walks = _Walks(lookups.within(SECONDS))
    try:
        return _judged(walks, domain, sender, signatures)
    except Unknown as error:
        return Verdict("temperror", domain, "", str(error))


def _judged(walks, domain, sender, signatures):
    found = walks.of(domain)
    applying = dmarcrecords.applying(domain, found)
    if applying is None:
        return Verdict("none", domain)
    name, record = applying
    proven = [(one.domain, record.strict_dkim) for one in signatures if one.result == "pass"]
    if sender is not None and sender.result == "pass":
        proven.append((sender.domain, record.strict_spf))
    if any(walks.are_aligned(domain, other, strict) for other, strict in proven):
        return Verdict("pass", domain)
    exact = name == domain
    wanted = record.wanted(exact, exact or record.missing == record.below or walks.exists(domain), _draw())
    doubtful = [one for one in [sender, *signatures] if one is not None and one.result == "temperror"]
    if doubtful:
        return Verdict("temperror", domain, wanted, doubtful[0].why)
    return Verdict("fail", domain, wanted)


class _Walks:
    """The records of domains and of those above them, each asked for once."""

    def __init__(self, within):
        self._within, self._records, self.exists = within, {}, within.exists

    def of(self, domain):
        """[(domain, Record)] from this domain up; raises Unknown."""
        found = []
        for name in dmarcrecords.names(domain):
            if name not in self._records:
                self._records[name] = dmarcrecords.parse(self._within.texts(f"_dmarc.{name}"))
            record = self._records[name]
            if record is not None:
                found.append((name, record))
                if record.psd != "u":
                    break
        return found

    def are_aligned(self, author, other, strict):
        """Are these one domain, or (unless strict) of one organization (RFC 9989, 4.4)?"""
        if other == author or strict:
            return other == author
        of_author = dmarcrecords.organization(author, self.of(author))
        return dmarcrecords.may_align(other, of_author) and \
            dmarcrecords.organization(other, self.of(other)) == of_author


def _draw():
    """A number of 0 to 99 by lot."""
    from os import urandom
    return int.from_bytes(urandom(4)) % 100
