"""AUTH: a login over SMTP, by PLAIN or LOGIN under TLS, or by SCRAM-SHA-256 (RFC 4954)."""

from daemons.stores.sqlstore import Unavailable
from daemons.wire import saslexchanges, smtplines
from daemons.wire.saslexchanges import Cancelled, Done, NotSasl, WrongProof
from daemons.wire.scram import MECHANISM
from daemons.wire.smtpreplies import Refused

IN_TLS_ONLY = ("PLAIN", "LOGIN")        # whoever listens would have the password
SCOPE = "smtp"


def mechanisms(stream):
    """What is offered on this stream, the best first."""
    return saslexchanges.MECHANISMS if stream.secure else (MECHANISM,)


def log_in(stream, server, rest):
    """The name of the account that a client proves to have; raises Refused.

    A penalty is waited for before anything is looked at, so that time tells nothing.
    """
    try:
        return _proven(stream, server.accounts(), rest)
    except Unavailable as error:
        stream.log("trouble", where="accounts", why=error.strerror)
        raise Refused(454, "4.7.0", "logins cannot be looked up now; try again later") from None


def _proven(stream, accounts, rest):
    mechanism, said = smtplines.auth(rest)
    if mechanism in IN_TLS_ONLY and not stream.secure:
        raise Refused(538, "5.7.11", f"{mechanism} only under TLS")
    if mechanism not in mechanisms(stream):
        raise Refused(504, "5.5.4", "no such mechanism here")

    def keys_of(name):
        stream.pause(stream.penalty.delay(name))
        return accounts.scram(name)

    exchange = saslexchanges.begin(mechanism, keys_of, _nonce())
    try:
        answer = exchange.step(said)
        while not isinstance(answer, Done):
            stream.say(b"334 " + saslexchanges.encode(answer))
            answer = exchange.step(saslexchanges.decode(stream.line(smtplines.LONGEST_AUTH)))
    except Cancelled:
        raise Refused(501, "5.7.0", "login given up") from None
    except NotSasl as error:
        raise Refused(501, "5.5.2", str(error)) from None
    except WrongProof as error:
        return _verdict(stream, error.user, _nonce(), mechanism, "wrong")      # what was tried is unknown: each counts
    return _judged(stream, accounts, answer, mechanism)


def _judged(stream, accounts, done, mechanism):
    if done.password is None:
        verdict = accounts.admitted(done.user, SCOPE, stream.time())
    else:
        stream.pause(stream.penalty.delay(done.user))
        verdict = accounts.check(done.user, done.password, SCOPE, stream.peer.host, stream.time())
    why = verdict.why
    if verdict and done.acts_for not in ("", done.user, verdict.user):
        why = "acts-for"
    return _verdict(stream, verdict.user or done.user, done.password or b"", mechanism, why)


def _verdict(stream, user, password, mechanism, why):
    """Log how it ended, and count it."""
    stream.log("login", user=user, result=why or "ok", mechanism=mechanism)
    if why:
        stream.penalty.failed(user, password)
        raise Refused(535, "5.7.8", "wrong user or password")
    stream.penalty.passed(user)
    return user


def _nonce():
    from os import urandom
    return urandom(18).hex().encode()
