"""A conversation with another mail server, as its client: greeting, TLS, login, then one mail after another (RFC 5321).

    session = smtpclient.connect(address, port, name, wishes)
    replies = session.deliver(mail, recipients, job.message)        # a Reply for each recipient
    session.quit()

What concerns the server and no mail raises Unusable: the next server of the domain may do better, and a mail never
bounces for it.  A conversation that breaks raises one of kernel.ends.
"""

from daemons.kernel import dial
from daemons.kernel.ends import BadEnding, End, NoHandshake, TooLong
from daemons.wire import saslexchanges, scram
from daemons.wire.smtpdata import Stuffer
from daemons.wire.smtplines import mail_line, rcpt_line
from daemons.wire.smtpreplies import LONGEST, Malformed, Reader, Reply

MOST = 100                      # recipients of one transaction: all servers take so many (RFC 5321, 4.5.3.1.8)
LAST_WORD = 10.0                # seconds for the answer to QUIT; nothing depends on it
MECHANISMS = (scram.MECHANISM, "PLAIN", "LOGIN")
NOWHERE = ("127.", "::1")       # what is said to these addresses, nobody overhears
SUBMISSIONS = 465               # the port where TLS comes before the first word (RFC 8314, 7.3)


class Unusable(Exception):
    """This server takes no mail from us now; the text is a reply as a server would have put it."""


class NoTls(Unusable):
    """This server has no TLS, and it is wanted."""


class Unproven(Unusable):
    """This server's TLS does not work, or its certificate is not what is wanted."""


class CallAgain(NoHandshake):
    """What this server has shown is to be verified in another call."""


class LoopsBack(Unusable):
    """This server is ourselves."""


class Wishes:
    """How to talk to a server, and as whom.

    hostname            our name
    tls, authorities    "no", "may" (if offered, whoever it is) or "must" (with a certificate for its name, of these)
    basis, proof        the word for what the proof of a server rests on, and with "must" another one (dane.Proof)
    user, password      for the login at a smarthost; "" where there is none
    connecting, patience    seconds for a connection, and for a reply; the one to the end of a mail has twice as many
    """

    __slots__ = ("authorities", "basis", "connecting", "hostname", "password", "patience", "proof", "tls", "user")

    def __init__(self, hostname, tls="may", authorities=None, user="", password=b"", connecting=30.0, patience=300.0,
                 basis="pkix", proof=None):
        self.hostname, self.tls, self.authorities = hostname, tls, authorities
        self.user, self.password = user, password
        self.connecting, self.patience = connecting, patience
        self.basis, self.proof = basis, proof

    def strict(self):
        """The same, with a good certificate."""
        return self._but(tls="must")

    def demanding(self, basis, proof=None):
        """The same, with a good certificate, or with what `proof` takes for one."""
        return self._but(tls="must", basis=basis, proof=proof)

    def without_login(self):
        """The same for servers that our password is not for."""
        return self._but(user="", password=b"")

    def _but(self, **changes):
        return Wishes(**{name: getattr(self, name) for name in self.__slots__} | changes)


def connect(address, port, name, wishes):
    """A Session with the server `name` at an address, ready for mail; raises Unusable."""
    try:
        try:
            return _opened(address, port, name, wishes, wishes.tls)
        except CallAgain:
            return _opened(address, port, name, wishes, wishes.tls)
    except NoHandshake as error:
        if wishes.tls == "must" or wishes.user:
            raise Unproven(f"454 4.7.5 no TLS with it: {error}") from None
    # whoever takes any certificate would take none as well (RFC 7435, 3); TLS that does not work must not stop mail
    try:
        return _opened(address, port, name, wishes, "no")
    except NoHandshake as error:
        raise Unusable(f"454 4.7.5 no TLS with it: {error}") from None


def _opened(address, port, name, wishes, tls):
    try:
        stream = dial.call(address, port, seconds=wishes.connecting, patience=wishes.patience)
    except End as error:
        raise Unusable(f"451 4.4.1 no connection: {error}") from None
    session = Session(stream, name, wishes)
    try:
        session.begin(tls)
    except NoHandshake:
        stream.cut_off()
        raise
    except End as error:
        stream.cut_off()
        raise Unusable(f"451 4.4.2 the conversation broke: {error}") from None
    except Unusable:
        session.quit()
        raise
    return session


class Session:
    """One conversation; `offered` are the keywords of the server, `mails` the transactions so far.

    over        the server is about to leave, or said what is no reply: no other mail can follow
    is_proven   it is under TLS, and has shown a certificate for its name, or the one that the DNS tells of
    in_data     the text of a mail has begun to go out: if it breaks now, nobody knows whether that mail was taken
    """

    __slots__ = ("_begun", "_is_here", "_reader", "in_data", "is_proven", "mails", "name", "offered", "over", "stream",
                 "wishes")

    def __init__(self, stream, name, wishes):
        self.stream, self.name, self.wishes = stream, name, wishes
        self.offered, self.mails, self._reader = {}, 0, Reader()
        self.over = self.in_data = self.is_proven = self._begun = False
        self._is_here = stream.peer.host.startswith(NOWHERE)

    @property
    def host(self):
        """The server as logs and records tell it."""
        return f"{self.name} {self.stream.peer}"

    @property
    def tls(self):
        """What its TLS is worth: "no", "yes" (whoever it may be), or the word for what its proof rests on."""
        return self.wishes.basis if self.is_proven else "yes" if self.stream.secure else "no"

    # -- beginning --

    def begin(self, tls):
        """Greeting, EHLO, TLS and login; raises Unusable, and the ends of a conversation."""
        # a password is told to nobody who merely took the place of the server
        must = tls == "must" or (bool(self.wishes.user) and not self._is_here)
        if self.stream.peer.port == SUBMISSIONS:
            self._secure(must)
        greeting = self._reply()
        if greeting.code != 220:
            raise Unusable(_temporary(greeting))
        if _names(greeting, self.wishes.hostname):
            raise LoopsBack("554 5.4.6 the mail loops back to this server")
        self._hello()
        if tls != "no" and not self.stream.secure:
            self._encrypt(must)
        if self.wishes.user:
            self._login()

    def _hello(self):
        name = self.wishes.hostname.encode()
        reply = self._ask(b"EHLO " + name)
        if reply.code == 250:
            self.offered = reply.keywords()
            return
        if not self.over and reply.code >= 500:                 # RFC 5321, 3.2: a server from before ESMTP
            reply = self._ask(b"HELO " + name)
        if reply.code != 250:
            raise Unusable(_temporary(reply))
        self.offered = {}

    def _encrypt(self, must):
        if "STARTTLS" not in self.offered:
            if must:
                raise NoTls("454 4.7.4 TLS is wanted, and the server has none")
            return
        reply = self._ask(b"STARTTLS")
        if reply.code != 220:
            if must or self.over:
                raise Unproven(_temporary(reply))
            return
        self._secure(must)
        self._hello()                                           # RFC 3207, 4.2: what was said before does not count

    def _secure(self, must):
        """Shake hands; raises NoHandshake."""
        wishes = self.wishes
        if wishes.proof is not None:
            self.is_proven = wishes.proof.secure(self.stream, wishes.connecting)
        else:
            dial.secure(self.stream, self.name.strip("[]").removeprefix("IPv6:"), seconds=wishes.connecting,
                        authorities=wishes.authorities, check=must)
            self.is_proven = must
        self._reader = Reader()

    # -- login (RFC 4954) --

    def _login(self):
        """Raises Unusable where it is refused: a password is changed at one side first, no mail bounces for that."""
        offered = {name.upper() for name in self.offered.get("AUTH", ())}
        private = self.stream.secure or self._is_here
        mechanism = next((name for name in MECHANISMS
                          if name in offered and (private or name == scram.MECHANISM)), None)
        if mechanism is None:
            raise Unusable("454 4.7.0 the server offers no login that we would use" + (" without TLS" * (not private)))
        reply = {scram.MECHANISM: self._scram, "PLAIN": self._plain, "LOGIN": self._words}[mechanism]()
        if reply.code != 235:
            raise Unusable(_temporary(reply, "4.7.8", "login refused: "))

    def _plain(self):
        wishes = self.wishes
        return self._ask(b"AUTH PLAIN " + saslexchanges.encode(saslexchanges.plain(wishes.user, wishes.password)))

    def _words(self):
        reply = self._ask(b"AUTH LOGIN")
        for words in (self.wishes.user.encode(), self.wishes.password):
            if reply.code == 334:
                reply = self._ask(saslexchanges.encode(words))
        return reply

    def _scram(self):
        import os
        client = scram.Client(self.wishes.user, self.wishes.password, os.urandom(18).hex().encode())
        reply = self._ask(b"AUTH " + scram.MECHANISM.encode() + b" " + saslexchanges.encode(client.first))
        try:
            if reply.code == 334:
                reply = self._ask(saslexchanges.encode(client.answer(_challenge(reply))))
            if reply.code == 334:
                if not client.is_server(_challenge(reply)):
                    raise scram.Improper("the server does not know the password")
                return self._ask(b"")
        except (scram.Improper, saslexchanges.NotSasl) as error:
            raise Unusable(f"454 4.7.8 login: {error}") from None
        if reply.code == 235:
            raise Unusable("454 4.7.8 login: the server did not prove that it knows the password")
        return reply

    # -- mail --

    def deliver(self, mail, recipients, pieces):
        """Hand over one mail to at most MOST recipients; a Reply for each.  `pieces()` yields its text.

        Raises the ends of a conversation, and Unusable.
        """
        self.in_data = False
        if self._begun:
            self._ask(b"RSET")
        self._begun, self.mails = True, self.mails + 1
        binary = mail.body == "BINARYMIME"
        lines = [mail_line(mail, self.offered), *(rcpt_line(each, self.offered) for each in recipients)]
        lines += [] if binary else [b"DATA"]
        if "PIPELINING" in self.offered:
            for line in lines:
                self.stream.say(line)
            replies = [self._reply() for _ in lines]
        else:
            replies = self._one_by_one(lines, len(recipients))
        if not replies[0].done:
            final = None
            if not binary and len(replies) == len(lines) and replies[-1].code == 354:
                final = self._nothing()
            self._begun = final is None
            return [replies[0]] * len(recipients)
        told = replies[1:len(recipients) + 1]
        if any(reply.done for reply in told):
            data = None if binary else replies[-1]
            final = self._chunk(mail, pieces) if binary else self._text(pieces) if data.code == 354 else data
            self._begun = not (binary or data.code == 354)
        elif not binary and len(replies) == len(lines) and replies[-1].code == 354:
            final = self._nothing()             # RFC 2920, 3.1: it takes a mail for nobody, so it gets an empty one
        else:
            final = None
        return [final if reply.done else reply for reply in told]

    def _one_by_one(self, lines, count):
        """The replies as far as it makes sense to go on."""
        replies = [self._ask(lines[0])]
        if replies[0].done:
            replies += [self._ask(line) for line in lines[1:count + 1]]
            if len(lines) > count + 1 and any(reply.done for reply in replies[1:]):
                replies.append(self._ask(lines[-1]))
        return replies

    def _text(self, pieces):
        self.in_data, stuffer = True, Stuffer()
        for piece in pieces():
            self.stream.send(stuffer.feed(piece))
        self.stream.send(stuffer.end())
        return self._final()

    def _chunk(self, mail, pieces):
        """The whole of it by BDAT, which alone can carry BINARYMIME (RFC 3030, 2)."""
        self.in_data = True
        self.stream.say(b"BDAT %d LAST" % mail.size)
        for piece in pieces():
            self.stream.send(piece)
        return self._final()

    def _nothing(self):
        self.stream.say(b".")
        return self._final()

    def _final(self):
        self.stream.patience = 2 * self.wishes.patience         # RFC 5321, 4.5.3.2.6: it may be busy with all of it
        reply = self._reply()
        self.stream.patience = self.wishes.patience
        self.in_data = False
        if 300 <= reply.code < 400:
            raise Unusable(f"451 4.5.0 not a reply to a mail: {reply.text}")
        return reply

    def quit(self):
        """Say goodbye, unless the server has gone."""
        try:
            if not self.over:
                self.stream.patience = LAST_WORD
                self._ask(b"QUIT")
        except (End, Unusable):
            return                      # nothing was left to be said
        finally:
            self.stream.cut_off()

    # -- pieces --

    def _ask(self, line):
        self.stream.say(line)
        return self._reply()

    def _reply(self):
        """The next reply; after 421 the server leaves (RFC 5321, 3.8)."""
        try:
            while (reply := self._reader.line(self.stream.line(LONGEST))) is None:
                pass
        except (Malformed, TooLong, BadEnding) as error:
            self.over = True
            raise Unusable(f"451 4.5.0 {error}") from None
        except End:
            self.over = True
            raise
        self.over = self.over or reply.code == 421
        return reply


def _challenge(reply):
    return saslexchanges.decode(reply.lines[0].encode())


def _temporary(reply: Reply, status="4.3.0", about=""):
    """What was said to us, not to a mail, as a reason to try later."""
    return f"451 {status} {about}{reply.text}"


def _names(greeting, hostname):
    """Does it greet by our own name?"""
    first = greeting.lines[0].partition(" ")[0]
    return bool(first) and first.lower().rstrip(".") == hostname.lower()
