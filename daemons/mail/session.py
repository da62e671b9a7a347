"""What is known of a client of a mail server while it is there, and how it is answered."""

from daemons.wire import smtplines, smtpreplies

from .roles import role_of

SOFT, TARPIT = 10, 0.5          # errors from which on a refusal is slow, and by how many seconds
OFFERED = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "DSN")
IN_TLS = ("REQUIRETLS",)        # RFC 8689, 2: under TLS alone, or it would promise what is broken already


class Session:
    """A client, what it has told about itself, and the mail that it is about to send."""

    def __init__(self, stream, options, server):
        self.stream, self.options, self.server = stream, options, server
        self.role = role_of(options.role, stream.local)
        self.helo, self.extended, self.name = "", False, ""
        self.user = self.mechanism = ""         # who logged in, and how
        self.transaction = self._filters = None
        self.errors = self.junk = self.failed_logins = self.mails = 0
        self.sender = self.listing = None       # what SPF says of the sender, and block lists of the client
        self.end = "quit"
        self.limit = smtplines.LONGEST_AUTH if self.role.submission else smtplines.LONGEST
        self._remembered = b"", set()

    def say(self, code, enhanced, *texts):
        """One reply."""
        self.stream.send(smtpreplies.build(code, enhanced, *texts))

    def refuse(self, code, enhanced, text, verb=""):
        """A reply that says no: many of them, and they come slowly."""
        self.errors += 1
        self.stream.log("refused-mail", command=verb, reply=f"{code} {enhanced} {text}")
        if self.errors > SOFT:
            self.stream.pause(TARPIT)
        self.say(code, enhanced, text)

    @property
    def id(self):
        """The name of the mail that is about to be kept."""
        return f"{self.stream.session}-{self.mails}"

    @property
    def next_id(self):
        """The name of the mail after it, which is that of a mail whose text has not come yet."""
        return f"{self.stream.session}-{self.mails + 1}"

    @property
    def filters(self):
        """The mail filters, None where there are none: what comes by LMTP has been through those of another server.

        A rehearsal, whose stream has no id, calls nobody.
        """
        if self._filters is None and self.options.milters and self.stream.session and not self.role.lmtp:
            from .milters import Filters
            self._filters = Filters(self)
        return self._filters

    @property
    def offered(self):
        """Keywords of our answer to EHLO; none after HELO."""
        login = ("AUTH",) if self.role.submission else ()
        return (*OFFERED, *IN_TLS * self.stream.secure, *login) if self.extended else ()

    @property
    def may_relay(self):
        """May it send mail elsewhere?  Nobody is by being at a socket of this machine, or by a proxy's being there."""
        if self.role.lmtp:
            return False
        if self.user:
            return True
        if not self.options.relay_from or not self.stream.peer.host or self._is_behind_proxy():
            return False
        from daemons.kernel.access import denied
        return denied(self.stream.peer, self.options.relay_from, None) is None

    def _is_behind_proxy(self):
        """Does all that we know of it come from a proxy: an address of this machine, or none but the proxy's own?"""
        proxies, peer = self.options.proxy_protocol, self.stream.peer
        return proxies is not None and (peer in proxies or peer.host == "::1" or peer.host.startswith("127."))

    def check_client(self, sender):
        """Raise Refused for a stranger who is not as options want it, or sends for somebody who does not let him."""
        if self.options.check_helo or self.options.client_names or self.server.checks:
            from . import clientchecks
            clientchecks.check_client(self)
            clientchecks.check_sender(self, sender)

    def check_recipient(self, rcpt):
        """Raise Refused for a client that is on a list, or a mail that is to come again; raises Unavailable."""
        if self.server.checks or self.options.greylist:
            from . import clientchecks
            clientchecks.check_lists(self, rcpt)
            clientchecks.check_greylist(self, rcpt)

    def check_letter(self, letter):
        """See whose a stranger's mail is, or whether others submit their own; raises Refused."""
        if self.server.checks or (self.options.check_from and self.user):
            from . import clientchecks
            clientchecks.check_letter(self, letter)

    def sign_letter(self, letter):
        """Sign what is submitted, as it will be kept; raises Refused."""
        if self.server.signer:
            from . import clientchecks
            clientchecks.sign_letter(self, letter)

    def protocol(self, utf8):
        """How a mail came (RFC 3848)."""
        from daemons.wire.tracefields import protocol
        return protocol(lmtp=self.role.lmtp, extended=self.extended, tls=self.stream.secure, login=bool(self.user),
                        utf8=utf8)

    def reset(self):
        """Forget the mail that was begun."""
        if self.transaction is not None:
            self.transaction.close()
            self.transaction = None
            if self._filters:
                self._filters.abort()

    def close(self):
        """The conversation is over."""
        self.reset()
        if self._filters:
            self._filters.close()

    def remember(self, letter, users):
        """These have this letter, although its sender is told that it failed."""
        self._remembered = letter.digest(), users

    def repeated(self, letter):
        """Who has this letter from the last attempt."""
        digest, users = self._remembered
        return users if users and digest == letter.digest() else set()
