"""What is asked of the DNS about strangers and their mail, as far as options want it, and what comes of the answers.

A client on a block list may still write to a postmaster; SPF is decided at MAIL; DKIM and DMARC once the text is there.
What was found out is written on top of the mail, as Authentication-Results of our own name (RFC 8601).
"""

from daemons.wire.dmarcrecords import REJECT
from daemons.wire.smtpreplies import Refused
from daemons.wire.tracefields import Finding, authentication_results

from .lookups import Lookups, place

NO, REFUSE = "no", "refuse"


class SenderCheck:
    """The checks that options name; DMARC needs SPF and DKIM.  Raises ValueError where a library is missing."""

    def __init__(self, options, hostname):
        self.options, self.hostname = options, hostname
        self.lookups = Lookups(place(options.resolver))
        self.spf, self.dkim = ((one, options.dmarc) != (NO, NO) for one in (options.spf, options.dkim))
        # all is loaded now: later we are shut in, and each child would do it anew
        if options.block_lists:
            from . import blocklists  # noqa: F401
        if self.spf:
            from . import senderpolicy
            senderpolicy.prepare()
        if self.dkim:
            from . import signatures
            signatures.prepare()
        if options.dmarc != NO:
            from . import dmarc  # noqa: F401

    def client(self, session, rcpt):
        """Raise Refused for a client that is on a block list, unless it writes to a postmaster (RFC 5321, 4.5.1)."""
        if not self.options.block_lists or rcpt.mailbox.is_postmaster:
            return
        if session.listing is None:
            from . import blocklists
            session.listing = blocklists.listing(
                self.lookups, self.options.block_lists, session.stream.peer.host,
                lambda zone, why: session.stream.log("trouble", where=zone, why=why)) or ()
        if session.listing:
            zone, words = session.listing
            raise Refused(550, "5.7.1", f"{session.stream.peer.host} is listed at {zone}: {words}".removesuffix(": "))

    def sender(self, session, sender):
        """What SPF says of a sender; raises Refused."""
        if not self.spf:
            return None
        from . import senderpolicy
        host = session.stream.peer.host
        found = senderpolicy.check(self.lookups, host, sender, session.helo, self.hostname)
        if self.options.spf == REFUSE:
            if found.result == "fail":
                raise Refused(550, "5.7.23", f"{host} may not send mail of {found.domain}, by its SPF record")
            if found.result == "temperror":
                raise Refused(451, "4.7.24", f"the SPF record of {found.domain} cannot be looked up now")
        return found

    def letter(self, session, letter):
        """Look at a mail and write on it what was found; raises Refused."""
        if not self.spf and not self.dkim:
            return
        sender, found, verdict = session.sender, [], None
        if self.dkim:
            from . import signatures
            found = signatures.verify(self.lookups, letter.fields, letter.body)
        if self.options.dmarc != NO:
            from . import dmarc
            verdict = dmarc.check(self.lookups, letter.fields, sender, found)
        session.stream.log("checked", id=session.id, spf=sender.result if sender else "-",
                           dkim=",".join(f"{one.result}:{one.domain}" for one in found) or "-",
                           dmarc=verdict.result if verdict else "-", author=verdict.domain if verdict else "",
                           wanted=verdict.wanted if verdict else "")
        if self.options.dmarc == REFUSE:
            _obey(verdict)
        findings = [*_of_sender(sender), *_of_signatures(found, self.dkim), *_of_author(verdict)]
        letter.mark(authentication_results(self.hostname, findings))


def _obey(verdict):
    """Raise Refused for what the owner of the author's domain wants refused."""
    if verdict.result == "permerror":
        raise Refused(550, "5.7.1", f"nobody can tell whose mail this is: {verdict.why}")
    if verdict.result == "temperror" and (verdict.wanted == REJECT or not verdict.wanted):
        raise Refused(451, "4.7.0", f"what {verdict.domain} wants done with its mail cannot be looked up now")
    if verdict.result == "fail" and verdict.wanted == REJECT:
        raise Refused(550, "5.7.1", f"not from {verdict.domain}, which wants such mail refused (DMARC)")


def _of_sender(sender):
    if sender is None:
        return []
    properties = {"smtp.helo": sender.domain} if sender.is_helo else {"smtp.mailfrom": sender.sender}
    return [_finding("spf", sender, properties)]


def _of_signatures(found, asked):
    if not found:
        return [Finding("dkim", "none")] if asked else []
    names = (("header.d", "domain"), ("header.s", "selector"), ("header.a", "algorithm"), ("header.b", "begins"))
    return [_finding("dkim", one, {name: getattr(one, part) for name, part in names}) for one in found]


def _of_author(verdict):
    if verdict is None:
        return []
    wanted = verdict.wanted if verdict.result in ("fail", "temperror") else ""
    return [_finding("dmarc", verdict, {"header.from": verdict.domain, "policy.dmarc": wanted})]


def _finding(method, one, properties):
    return Finding(method, one.result, {name: value for name, value in properties.items() if value}, one.why)
