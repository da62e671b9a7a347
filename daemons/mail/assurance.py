"""Assurance: what a mail server has to prove before it gets a mail, by MTA-STS (RFC 8461) and DANE (RFC 7672).

    Assurance(servers, sts, dane).connect(domain, (name, address, port), wishes)

Where the DNS is signed and has records, those decide; else the policy of the domain does; else nothing is asked
beyond the wishes of whoever runs this.  Relays and addresses have neither: they are no names whose MX was looked up.
It is made for one worker, and asks each question once.
"""

from daemons.kernel import log
from daemons.mail import smtpclient
from daemons.mail.mailservers import NoServer
from daemons.mail.smtpclient import LoopsBack, NoTls, Unproven, Unusable
from daemons.wire.stsrecords import ENFORCE, TESTING

DANE, STS, ANY = "dane", "mta-sts", "yes"
WHY = {DANE: "DANE wants it", ANY: "DANE wants it", STS: "the MTA-STS policy of the domain wants it"}


class Assurance:
    """By `servers`, a MailServers; `sts` is an MtaSts or None, `dane` whether TLSA records are asked for."""

    def __init__(self, servers, sts=None, dane=False):
        self._servers, self._sts, self._dane = servers, sts, dane
        self._policies, self._proofs = {}, {}

    def connect(self, domain, place, wishes):
        """A Session with a server of `domain` at (name, address, port), as smtpclient.connect; raises Unusable."""
        name, address, port = place
        proof = self._proof(domain, name, port)
        if proof is not None and proof.records:
            return _demand(place, wishes.demanding(DANE, proof))
        policy = self._policy(domain)
        if policy is not None and policy.mode == ENFORCE:
            if not policy.allows(name):
                raise Unusable("450 4.7.5 it is no server of the domain's MTA-STS policy")
            return _demand(place, wishes.demanding(STS))
        if policy is not None and policy.mode == TESTING and (session := _tested(domain, policy, place, wishes)):
            return session
        if proof is not None and wishes.tls != "must":
            return _demand(place, wishes.demanding(ANY, proof))
        return smtpclient.connect(address, port, name, wishes)

    def is_certain(self, domain):
        """Does a policy that is enforced say which servers are right, whoever tampers with the DNS (RFC 8689, 4)?"""
        policy = self._policy(domain)
        return policy is not None and policy.mode == ENFORCE

    def _policy(self, domain):
        if self._sts is None:
            return None
        if domain not in self._policies:
            try:
                self._policies[domain] = self._sts.policy(domain)
            except OSError as error:
                raise Unusable(f"451 4.3.0 MTA-STS policies cannot be read: {error.strerror}") from None
        return self._policies[domain]

    def _proof(self, domain, name, port):
        if not self._dane:
            return None
        if (name, port) not in self._proofs:
            from daemons.mail import dane
            try:
                self._proofs[name, port] = dane.proof(self._servers, domain, name, port)
            except NoServer as error:
                self._proofs[name, port] = Unusable(f"{error} (TLSA)")
        found = self._proofs[name, port]
        if isinstance(found, Unusable):
            raise found
        return found


def _demand(place, wishes):
    """A Session that shows what is asked for; its failure tells who asks."""
    name, address, port = place
    try:
        return smtpclient.connect(address, port, name, wishes)
    except (NoTls, Unproven) as error:
        raise type(error)(f"{error}; {WHY[wishes.basis]}") from None
    except LoopsBack:                   # said before the server has proven anything: no mail bounces for that
        raise Unusable("454 4.7.5 it says that it is this server, and proves nothing") from None


def _tested(domain, policy, place, wishes):
    """A Session as if the policy were enforced; None, and a line in the log, where there is none then."""
    name, address, port = place
    try:
        if policy.allows(name):
            return smtpclient.connect(address, port, name, wishes.demanding(STS))
        why = "the policy does not name it"
    except (NoTls, Unproven) as error:
        why = str(error)
    log.event("tested", domain=domain, host=f"{name} [{address}]:{port}", why=why)
    return None
