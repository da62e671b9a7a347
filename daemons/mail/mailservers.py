"""Mail servers: which hosts take the mail of a domain, in the order in which to try them (RFC 5321, 5; RFC 7505).

Names are looked up by dnspython, which asks the machine's resolvers, or the one that it is told.  What is not there
and what could not be asked are two things: the first bounces a mail, the second never does.
"""

import os

from daemons.kernel import dial
from daemons.kernel.ends import End

from . import lookups

PREFIX = "smtp://"              # of destinations that are relays; no domain looks like that
MOST = 12                       # addresses that are tried for one mail
LIFETIME = 20.0                 # seconds for one question, with all its repetitions


class NoServer(Exception):
    """Nobody takes mail for this domain; the text is a reply.  `temporary`: nobody can tell now."""

    def __init__(self, text, temporary=False):
        super().__init__(text)
        self.temporary = temporary


class MailServers:
    """Asks for servers; `hostname` is our own name, `port` where others listen, `resolver` a (host, port) or None."""

    def __init__(self, hostname, port=25, resolver=None):
        self.hostname, self.port = hostname.lower(), port
        self._resolver = _resolver(resolver)
        self._asked = resolver is not None
        self._validated = {}            # (name, kind) -> does the resolver say that DNSSEC proves its answer?
        self._canonical = {}            # name of a host -> the name that it stands for

    def of_domain(self, domain):
        """[(name, address, port)] for a domain or an address literal; raises NoServer."""
        if domain.startswith("["):
            return [(domain, domain[1:-1].removeprefix("IPv6:"), self.port)]
        if not domain:
            raise NoServer("550 5.1.3 an address without a domain")
        names = self._exchangers(domain)
        found, doubtful = [], None
        for name in names or [domain]:
            try:
                found += [(name, address, self.port) for address in self.addresses(name)]
            except NoServer as error:
                doubtful = error if error.temporary or doubtful is None else doubtful
        if not found:
            if doubtful is not None and doubtful.temporary:
                raise doubtful
            raise NoServer("550 5.4.4 its mail servers have no address" if names else "550 5.1.2 no such domain")
        return found[:MOST]

    def of_relay(self, relay):
        """As of_domain, for a relay of ours: whatever is wrong with its name is temporary."""
        port = relay.port or self.port
        try:
            if self._asked and not _is_address(relay.host):
                return [(relay.host, address, port) for address in self.addresses(relay.host)]
            return [(relay.host, where[0], port) for _, where in dial.addresses_of(relay.host, port)]
        except (NoServer, End) as error:
            raise NoServer(f"451 4.4.4 the relay {relay.host} cannot be found: {error}", temporary=True) from None

    def is_validated(self, domain):
        """Has DNSSEC proven which servers are the domain's, or that there is no MX?  To be asked after of_domain()."""
        return self._validated.get((domain, "MX"), False)

    def has_validated_addresses(self, host):
        """Has DNSSEC proven all that was answered about its addresses?  To be asked after of_domain().

        What was not answered makes no difference, or whoever stops one answer could switch DANE off.
        """
        answers = [self._validated[host, kind] for kind in ("AAAA", "A") if (host, kind) in self._validated]
        return bool(answers) and all(answers)

    def canonical(self, host):
        """The name that this one stands for (CNAME), or itself.  To be asked after of_domain()."""
        return self._canonical.get(host, host)

    def spelled(self, domain):
        """A domain as the DNS and certificates have it, in small letters of ASCII; "" for what is none."""
        import dns.exception
        import dns.name
        try:
            return dns.name.from_text(domain).to_text(omit_final_dot=True).lower()
        except (dns.exception.DNSException, UnicodeError):
            return ""

    def tlsa(self, host, port):
        """The TLSA records for a port of a host, [] where DNSSEC proves none; raises NoServer."""
        from daemons.wire.tlsarecords import Tlsa
        name = f"_{port}._tcp.{host}"
        try:
            found = self._ask(name, "TLSA")
        except NoServer as error:
            if error.temporary:
                raise
            return []
        return [Tlsa(one.usage, one.selector, one.mtype, one.cert) for one in found if self._validated[name, "TLSA"]]

    def texts(self, name):
        """The TXT records of a name; raises NoServer."""
        return [b"".join(one.strings) for one in self._ask(name, "TXT")]

    def _exchangers(self, domain):
        """The names of MX records, the preferred first and equals by chance; [] where there is none."""
        rows = [(one.preference, os.urandom(8), str(one.exchange).rstrip(".").lower()) for one in
                self._ask(domain, "MX")]
        if [name for _, _, name in rows] == [""]:
            raise NoServer("556 5.1.10 the domain takes no mail (null MX)")         # RFC 7505, 4.2
        rows.sort()
        ours = [preference for preference, _, name in rows if name == self.hostname]
        before = [name for preference, _, name in rows if name and (not ours or preference < min(ours))]
        if rows and not before:         # RFC 5321, 5.1: those not better than ourselves would give it back to us
            raise NoServer("554 5.4.6 the mail loops back to this server" if ours else
                           "550 5.4.4 its mail servers have no name")
        return before

    def addresses(self, name):
        """IPv6 and IPv4 in turn, so that the lack of one does not use up all attempts; raises NoServer."""
        six, four, doubtful = [], [], None
        for kind, rows in (("AAAA", six), ("A", four)):
            try:
                rows += [one.address for one in self._ask(name, kind)]
            except NoServer as error:
                doubtful = error
        if not six and not four:
            raise doubtful or NoServer(f"550 5.4.4 {name} has no address")
        pairs = [pair for both in zip(six, four, strict=False) for pair in both]
        return pairs + six[len(four):] + four[len(six):]

    def _ask(self, name, kind):
        """The records, [] where there are none; raises NoServer."""
        import dns.exception
        import dns.flags
        import dns.name
        import dns.resolver
        self._validated.pop((name, kind), None)
        try:
            found = self._resolver.resolve(dns.name.from_text(name), kind, search=False, raise_on_no_answer=False)
            self._validated[name, kind] = bool(found.response.flags & dns.flags.AD)
            if kind in ("AAAA", "A"):
                self._canonical[name] = found.canonical_name.to_text(omit_final_dot=True).lower()
            return list(found)
        except dns.resolver.NXDOMAIN:
            raise NoServer("550 5.1.2 no such domain") from None
        except (dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong):
            raise NoServer("550 5.1.2 not a domain name") from None
        except (dns.exception.DNSException, OSError) as error:
            raise NoServer(f"451 4.4.3 {name} cannot be looked up: {error}", temporary=True) from None


def _resolver(where):
    made = lookups.resolver(where)      # takes 150 ms: once, in the process that forks the others
    import dns.flags
    made.lifetime = LIFETIME
    made.flags = dns.flags.RD | dns.flags.AD        # tell us what was validated (RFC 6840, 5.7)
    return made


def _is_address(host):
    return ":" in host or host.replace(".", "").isdigit()
