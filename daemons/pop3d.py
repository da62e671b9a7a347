"""pop3d: lets users fetch their mail (RFC 1939), with TLS (RFC 2595), SASL (RFC 5034) and CAPA (RFC 2449).

The states of the protocol are places in talk(): a conversation that breaks off never comes to UPDATE, so nothing is
deleted by it.  What is done with a maildrop is in mail/popmessages.py; who may log in, and where mail lies, in
stores/mailusers.py.
"""

import os

from daemons.kernel.ends import TooLong
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import path, seconds, switch, text
from daemons.mail import popmessages
from daemons.stores.maildrop import Expunged, InUse, NoMessage
from daemons.stores.mailusers import ACCOUNTS, MAIL, MailUsers, NoMail
from daemons.wire import commands, popreplies
from daemons.wire.commands import LEAVE, Command, Refused, maybe, word

SCOPE = "pop3"
HARD = 20                       # errors one after another at which we part; smtpd has as many
LOGINS = 5                      # failed logins in a conversation
LANGUAGES = {"en": "English", "i-default": "English"}

# all that we say of our own accord when something is not done
WRONG = "wrong user or password"
NOT_IN_THE_CLEAR = "passwords are taken under TLS only"
LATER = "try again later"
NO_MAIL = "this account has no mail"
IN_USE = "another session has this mailbox"
TOO_SOON = "your last session began a short while ago"
GONE = "the message is gone"
TOO_LONG = "the line is too long"
PARTING = popreplies.reply(False, "too many errors")


def hostname(text):
    """The name of a host."""
    from daemons.wire.accountnames import domain_name
    return domain_name(text)


DESCRIPTION = """
Lets users fetch their mail, and keeps nothing to itself: a message has the same unique id for ever, and what was marked
as deleted is removed once the client has said QUIT, and not if the connection breaks.

Who may log in is told by --accounts (fd0 user add NAME@DOMAIN), and their mail lies below --mail. Passwords are taken
under TLS, or where --plaintext=yes says so; SCRAM-SHA-256 does not say them and is always taken. With --apop=yes the
greeting invites to APOP, which only accounts can use whose password is kept as it is (fd0 user add --apop): that is
for old clients alone, as MD5 is no protection any more.

A maildrop has one session at a time, as its protocol wants it; mail is delivered meanwhile, and other programs may
read it.

# WITH A CERTIFICATE

    fd0 cert --request mail.example.org
    fd0 enable pop3d --with=systemd --port=995 \\
        --set tls-cert=/etc/fd0/tls/mail.example.org.pem --set tls-key=/etc/fd0/tls/mail.example.org.key
"""
SERVICE = Service(
    "pop3d", port=110, rfcs=(1939, 2449, 2595, 5034), model="fork", secure_port=995, upgrades=True, alpn=("pop3",),
    about="Let users fetch their mail over POP3.", busy=b"-ERR [SYS/TEMP] Try again later\r\n", logins=True,
    rehearsal=b"CAPA\r\nUSER nobody\r\nQUIT\r\n",
    writes=("/var/lib/fd0", "--accounts", "--mail"), needs=("network:--calling",),
    defaults=(("timeout", "600"),),
    options=(
        Option("accounts", text, ACCOUNTS, "database of who may log in: a path, or postgresql://..."),
        Option("mail", path, MAIL, "folder of all mail"),
        Option("plaintext", switch, "no", "take passwords without TLS"),
        Option("apop", switch, "no", "offer APOP, for accounts that keep their password"),
        Option("hostname", hostname, None, "name of this host in the greeting for APOP [its own]"),
        Option("login-delay", seconds, "0", "shortest time between two logins of one user"),
    ),
    events=(
        Event("login", "notice", "session user result mechanism", "a login, and what came of it"),
        Event("maildrop", "info", "session user messages octets retrieved deleted",
              "how a session with a maildrop ended: what was in it, and what was fetched and removed"),
        Event("unavailable", "err", "session why", "accounts or mail were out of reach; the client shall come again"),
        Event("unwritten", "warning", "session user why", "what was learnt of a maildrop cannot be written down"),
    ),
    examples=("pop3d --accounts=/var/lib/fd0/accounts.db --mail=/var/lib/fd0/mail --tls-cert=/etc/fd0/tls/mail.pem",),
    description=DESCRIPTION)


def setup(options):
    """Who may log in, and where their mail lies."""
    users = MailUsers(options.accounts, options.mail)
    options.calling = users.is_called   # what the sandbox then must leave
    if users.path:
        options.absent += [one for one in (users.path, options.mail) if not os.path.exists(one)]
        options.written.append(os.path.dirname(os.path.abspath(users.path)))
    return users


def talk(stream, options, users):
    """RFC 1939, 3: AUTHORIZATION, TRANSACTION, and UPDATE only for who has said QUIT in the second."""
    s = Session(stream, options, users)
    if not stream.upgraded:             # RFC 2595, 4: there is no other greeting
        s.ok(f"POP3 ready {s.timestamp}".rstrip())
    end = attend(s, AUTHORIZATION)
    if s.drop is None:
        stream.say(popreplies.reply(True, "bye") if end == "quit" else PARTING)
        return end
    try:
        end = attend(s, TRANSACTION)
        last = popmessages.update(s) if end == "quit" else PARTING
    finally:
        if s.drop.trouble:
            stream.log("unwritten", user=s.user, why=s.drop.trouble)
        s.drop.__exit__()               # before the last words: who comes again at once finds the maildrop free
        stream.log("maildrop", user=s.user, messages=s.messages, octets=s.octets, retrieved=s.retrieved,
                   deleted=s.deleted)
    stream.say(last)
    return end


class Session:
    """What is known of one client: the name that it gave, and from its login on the user and her maildrop."""

    limit = popreplies.COMMAND

    def __init__(self, stream, options, users):
        self.stream, self.options, self.users = stream, options, users
        self.line = b""                 # the command as it came
        self.name, self.user, self.drop = None, "", None
        self.messages = self.octets = self.retrieved = self.deleted = 0
        self.errors = self.failed_logins = 0
        self.timestamp = ""
        if options.apop and not stream.upgraded:        # else it was told to somebody whom we have forgotten
            self.timestamp = popreplies.timestamp(os.urandom(12).hex(), stream.time(),
                                                  options.hostname or os.uname().nodename)

    @property
    def takes_passwords(self):
        """May a password be said here?"""
        return self.stream.secure or self.options.plaintext

    def ok(self, text=""):
        """Say that it was done."""
        self.stream.say(popreplies.reply(True, text))

    def refuse(self, text, code=""):
        """Say that it was not, and perhaps why in a way that programs understand (RFC 2449, 8)."""
        self.stream.say(popreplies.reply(False, text, code))

    def unavailable(self, error):
        """Say that it cannot be done now; the reason is for the log."""
        self.stream.log("unavailable", why=error)
        self.refuse(LATER, popreplies.TEMPORARY)


def attend(s, table):
    """Answer one command after another, until one leaves its table; what cannot be done is told, and it goes on.

    Returns the word for the end.  A message that is not there, or cannot be read, is no error of the client's.
    """
    while s.errors < HARD and s.failed_logins < LOGINS:
        try:
            s.line = s.stream.line(s.limit)
            s.stream.commands += 1
            if commands.answer(s, table, s.line) is LEAVE:
                return "quit"
            s.errors = 0
        except TooLong:
            s.stream.skip_line()
            s.errors += 1
            s.refuse(TOO_LONG)
        except Refused as refusal:
            s.errors += 1
            s.refuse(*refusal.args)
        except NoMessage as error:
            s.refuse(*error.args)
        except Expunged:                # by another program
            s.refuse(GONE)
        except OSError as error:
            s.unavailable(error)
    return "errors"


# -- AUTHORIZATION --


def capabilities(s):
    """CAPA (RFC 2449, 5): what may be used now."""
    s.ok("what there is")
    s.stream.send(popreplies.multiline(popreplies.capabilities(
        mechanisms=mechanisms(s), user=s.takes_passwords, stls=s.stream.can_upgrade and s.drop is None,
        login_delay=-int(-s.options.login_delay // 1), implementation="fd0")))


def start_tls(s):
    """STLS (RFC 2595, 4)."""
    if not s.stream.can_upgrade:
        raise Refused("TLS is not to be had now")
    s.ok("begin TLS")
    s.stream.starttls()


def utf8(s):
    """UTF8 (RFC 6856, 2): names, passwords and messages are octets to us anyway."""
    s.ok("UTF-8 it is")


def language(s, wanted=None):
    """LANG (RFC 6856, 3): which languages there are, or the wish for one."""
    if wanted is None:
        s.ok("languages")
        s.stream.send(popreplies.multiline(f"{tag} {name}" for tag, name in LANGUAGES.items()))
        return
    tag = "i-default" if wanted == b"*" else decoded(wanted).lower()
    if tag not in LANGUAGES:
        raise Refused("that language is not spoken here")
    s.ok(f"{tag} is spoken here")


def user(s, name):
    """USER: whoever it is, the answer is the same."""
    if not s.takes_passwords:
        raise Refused(NOT_IN_THE_CLEAR, popreplies.PERMANENT)
    s.name = decoded(name)
    s.ok("and the password?")


def password(s, _):
    """PASS: all that follows one blank is the password, blanks and all (RFC 1939, 7)."""
    name, s.name = s.name, None
    if name is None:
        raise Refused("USER comes first")
    return check(s, name, s.line.lstrip(b" ")[len("PASS "):], "USER")


def apop(s, name, digest):
    """APOP (RFC 1939, 7), for accounts that keep their password."""
    if not s.timestamp:
        raise Refused("APOP was not offered")
    name = decoded(name)
    wait(s, name)
    accounts = s.users.accounts
    secret = accounts.secret(name)
    if not popreplies.is_apop(digest, s.timestamp, secret or os.urandom(16)) or secret is None:
        deny(s, name, digest, "wrong", "APOP")
    return admit(s, name, digest, accounts.admitted(name, SCOPE, s.stream.time()), "APOP")


def mechanisms(s):
    """Of SASL, those that may be used now."""
    from daemons.wire import saslexchanges
    return saslexchanges.MECHANISMS if s.takes_passwords else saslexchanges.MECHANISMS[:1]


def authenticate(s, mechanism=b"", initial=None):
    """AUTH (RFC 5034, 4): a mechanism of SASL, with its first response or without; alone, which ones there are."""
    from daemons.wire.saslexchanges import LONGEST, MECHANISMS, Done, NotSasl, WrongProof, begin, decode, encode
    name, response = decoded(mechanism).upper(), initial
    if not name:
        s.ok("mechanisms")
        s.stream.send(popreplies.multiline(mechanisms(s)))
        return None
    if name not in mechanisms(s):
        raise Refused(*(NOT_IN_THE_CLEAR, popreplies.PERMANENT) if name in MECHANISMS else ("no such mechanism",))

    def keys_of(who):
        wait(s, who)
        return s.users.accounts.scram(who)

    exchange = begin(name, keys_of, os.urandom(18).hex().encode())
    try:
        # "=" is a response that is there and empty (RFC 5034, 4)
        said = exchange.step(None if initial is None else b"" if initial == b"=" else decode(initial))
        while not isinstance(said, Done):
            s.stream.say(b"+ " + encode(said))
            response = s.stream.line(LONGEST + 2)
            said = exchange.step(decode(response))
    except WrongProof as wrong:
        deny(s, wrong.user, response, "wrong", name)
    except NotSasl as error:
        raise Refused(str(error)) from None
    if said.acts_for not in ("", said.user):
        deny(s, said.user, response, "other", name)
    if said.password is not None:
        return check(s, said.user, said.password, name)
    return admit(s, said.user, b"", s.users.accounts.admitted(said.user, SCOPE, s.stream.time()), name)


def check(s, name, secret, mechanism):
    """Let in who has this password, or refuse."""
    wait(s, name)
    verdict = s.users.accounts.check(name, secret, SCOPE, s.stream.peer.host, s.stream.time())
    return admit(s, name, secret, verdict, mechanism)


def admit(s, name, secret, verdict, mechanism):
    """Open the maildrop of who was let in (RFC 1939, 4), or refuse."""
    if not verdict:
        deny(s, name, secret, verdict.why, mechanism)
    s.stream.penalty.passed(name)
    try:
        drop = s.users.maildrop(verdict.user).__enter__()
    except InUse:
        refuse(s, verdict.user, "in-use", mechanism, IN_USE, popreplies.IN_USE)
    except NoMail:
        refuse(s, verdict.user, "no-mail", mechanism, NO_MAIL, popreplies.PERMANENT)
    if not begins(s, verdict.user, drop):
        drop.__exit__()
        refuse(s, verdict.user, "too-soon", mechanism, TOO_SOON, popreplies.LOGIN_DELAY)
    s.user, s.drop = verdict.user, drop
    s.messages, s.octets = drop.stat()
    s.stream.log("login", user=s.user, result="ok", mechanism=mechanism)
    s.ok(f"{s.messages} messages ({s.octets} octets)")
    return LEAVE


def begins(s, user, drop):
    """May a session begin, or was the last one too short a while ago (RFC 2449, 6.5)?"""
    try:
        return not s.options.login_delay or drop.may_begin(s.stream.time(), s.options.login_delay)
    except OSError as error:            # her mail is still to be had
        s.stream.log("unwritten", user=user, why=error)
        return True


def wait(s, name):
    """Have who has failed before wait, and before the password is looked at: the time tells nothing about it."""
    s.stream.pause(s.stream.penalty.delay(name))


def deny(s, name, secret, why, mechanism):
    """Count a login as failed; all are refused in the same words."""
    s.stream.penalty.failed(name, secret)
    s.failed_logins += 1
    refuse(s, name, why, mechanism, WRONG, popreplies.AUTH)


def refuse(s, name, result, mechanism, text, code):
    """Log how a login ended, and refuse it."""
    s.stream.log("login", user=name, result=result, mechanism=mechanism)
    raise Refused(text, code)


def decoded(octets):
    """A word as text; what is not UTF-8 is in no name."""
    return octets.decode("utf-8", "replace")


AUTHORIZATION = {
    "CAPA": Command(capabilities),
    "STLS": Command(start_tls),
    "UTF8": Command(utf8),
    "LANG": Command(language, maybe(word)),
    "USER": Command(user, commands.text),
    "PASS": Command(password, commands.text, secret=True),
    "APOP": Command(apop, word, word, secret=True),
    "AUTH": Command(authenticate, maybe(word), maybe(word), secret=True),
    "QUIT": Command(popmessages.leave),
}
TRANSACTION = {"CAPA": Command(capabilities), "LANG": Command(language, maybe(word)), **popmessages.COMMANDS}

if __name__ == "__main__":
    main(SERVICE, talk, setup=setup)
