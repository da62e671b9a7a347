"""Routing: to which destination each address belongs, and which servers that has.

A destination is LOCAL for mailboxes here, smtp://HOST:PORT for a relay, and else the domain.  Messages of one
destination share connections and limits.
"""

from daemons.mail.mailservers import PREFIX
from daemons.wire.queueplan import destination as domain_of

LOCAL = "<here>"                # no domain looks like that


class Routing:
    """Out of a RouteLines, a Relay for all others or None, the MailServers, and whether a domain is here."""

    def __init__(self, lines, smarthost, servers, is_here=lambda domain: False):
        self.lines, self.smarthost, self._servers, self._is_here = lines, smarthost, servers, is_here
        self._relays, self._here = {}, {}

    def destination(self, address):
        """Where an address belongs; what is here is asked once for each domain, until forget()."""
        domain = domain_of(address)
        if domain not in self._here:
            try:
                self._here[domain] = self._is_here(domain)
            except OSError:             # nobody can tell now: it is LOCAL's to find that out, and to try again
                return LOCAL
        if self._here[domain]:
            return LOCAL
        relay = self._relay(domain)
        if relay is None:
            return domain
        name = f"{PREFIX}{relay}"
        self._relays[name] = relay
        return name

    def forget(self):
        """Ask anew which domains are here."""
        self._here.clear()

    def is_local(self, destination):
        """Are these mailboxes here?"""
        return destination == LOCAL

    def is_smarthost(self, destination):
        """Is it the relay that is to have our password?"""
        return self.smarthost is not None and destination == f"{PREFIX}{self.smarthost}"

    def servers(self, destination):
        """[(name, address, port)], the first to try first; raises NoServer."""
        relay = self._relays.get(destination)
        return self._servers.of_domain(destination) if relay is None else self._servers.of_relay(relay)

    def is_certain(self, destination):
        """Are these the right servers, whoever tampers with the DNS?  To be asked after servers()."""
        return destination in self._relays or destination.startswith("[") or self._servers.is_validated(destination)

    def _relay(self, domain):
        if self.lines is not None and not domain.startswith("["):
            found = self.lines.find(domain)
            if found is not None or domain in self.lines.exact:
                return found
        return self.smarthost
