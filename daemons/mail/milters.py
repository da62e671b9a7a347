"""The mail filters of --milters, each asked in turn about what a client does; what they know of it is told here.

A filter is called at the first mail of a conversation and stays until its end.  One that cannot be reached, or breaks,
is answered for by --milter-fails as long as that mail lasts, and called anew for the next one.
"""

from daemons import __version__
from daemons.kernel.dial import name_of
from daemons.kernel.ends import End
from daemons.stores.sqlstore import Unavailable
from daemons.wire import milterpackets, smtplines
from daemons.wire.mailaddresses import path
from daemons.wire.milterpackets import ACCEPT, CONNECT, DATA, DISCARD, HELO, MAIL, RCPT, Malformed, strings
from daemons.wire.smtpreplies import Refused

from .deliveries import refusal_of
from .drafts import Draft
from .milter import Milter
from .session import IN_TLS, OFFERED

FAILS = {"tempfail": (451, "4.7.1", "mail cannot be looked at now; try again later"),
         "reject": (550, "5.5.0", "mail cannot be looked at now"), "accept": None}
ALL = dict.fromkeys((*OFFERED, *IN_TLS, "AUTH"))        # of a client's parameters, filters are told every one
HERE = "127.0.0.1"              # who calls at a Unix socket is on this machine; all filters know what that is


class Filters:
    """All filters for one client; `discarded`: one of them wants the mail thrown away, and its sender not told."""

    def __init__(self, session):
        self._session, self.discarded, self._data_told, self._id = session, False, False, ""
        self._milters = [Milter(place) for place in session.options.milters]

    def mail(self, command):
        """A mail begins; raises Refused."""
        line, self._id = smtplines.mail_line(command, ALL), self._session.next_id

        def begin(one):
            self._greet(one)
            if one.is_over:
                return ACCEPT
            one.in_mail = True
            return one.step(MAIL, _words(line, command.sender, b"MAIL FROM:"), self._of_mail(command))

        try:
            self._each(begin)
        except Refused:
            self.abort()
            raise

    def rcpt(self, found):
        """A Recipient is about to be taken; raises Refused."""
        rcpt = found.rcpt
        words = _words(smtplines.rcpt_line(rcpt, ALL), rcpt.mailbox, b"RCPT TO:")
        values = {"i": self._id, "rcpt_addr": str(rcpt.mailbox), "rcpt_host": rcpt.mailbox.domain,
                  "rcpt_mailer": "smtp" if found.elsewhere else "local"}
        self._each(lambda one: one.step(RCPT, words, values))

    def data(self):
        """The text is about to come; raises Refused."""
        self._data_told = True
        self._each(lambda one: one.step(DATA, b"", {"i": self._id}))

    def letter(self, letter):
        """Show the mail to each, and have it changed; False if it is to be thrown away.  Raises Refused."""
        if not self._data_told:
            self.data()
        draft, is_changed = Draft(self._session, letter), False

        def show(one):
            nonlocal draft, is_changed
            made = draft.for_filter(one.place, one.terms.has_blanks)
            verdict = one.message(made, {"i": self._id})
            made.finish()
            if made.done and verdict != DISCARD:
                draft, is_changed = made, True
                self._log(one, "changed", ", ".join(f"{what} {count}" for what, count in made.done.items()))
            return verdict

        self._each(show)
        if is_changed and not self.discarded:
            draft.apply()
            if not draft.recipients:
                self.discarded = True
                self._log(None, "discarded", "no recipient is left")
        return not self.discarded

    def abort(self):
        """The mail is over, whatever became of it."""
        self.discarded = self._data_told = False
        for one in self._milters:
            if one.in_mail or one.refusal or one.is_over:
                one.abort()

    def close(self):
        """The conversation is over."""
        for one in self._milters:
            one.quit()

    # -- one after another --

    def _each(self, work):
        """Have `work` done for each filter that is still asked; raises Refused."""
        for one in self._milters:
            if self.discarded:
                return
            if one.refusal:
                raise Refused(*one.refusal.args)
            if not one.is_over:
                self._ask(one, work)

    def _ask(self, one, work):
        try:
            verdict = work(one)
        except Refused as refusal:
            self._log(one, "refused", refusal)
            raise
        except (End, Malformed) as error:
            self._fail(one, error)
        except OSError as error:        # of ours: its text could not be read, or what it made of it be kept
            where = "accounts" if isinstance(error, Unavailable) else self._session.options.mail
            self._session.stream.log("trouble", where=where, why=error.strerror)
            one.cut_off()
            raise refusal_of(error) from None
        else:
            one.is_over = one.is_over or verdict == ACCEPT
            if verdict == DISCARD:
                self.discarded = True
                self._log(one, "discarded", "")

    def _fail(self, one, error):
        """A filter that broke: let --milter-fails answer for it."""
        one.cut_off()
        self._session.stream.log("trouble", where=one.place, why=error)
        answer = FAILS[self._session.options.milter_fails]
        if answer is None:
            one.is_over = True
            return
        one.refusal = Refused(*answer)
        raise Refused(*answer)

    def _greet(self, one):
        """Tell a filter who is there, if it has not heard; what it says to that holds for the whole conversation."""
        session, steps = self._session, []
        if not one.is_open:
            one.open()
            steps.append((CONNECT, self._client(), self._of_client()))
        if one.greeted != session.helo:
            steps.append((HELO, strings(session.helo.encode()), self._of_tls()))
        try:
            for step in steps:          # DISCARD means nothing here: there is no mail yet
                if one.step(*step) == ACCEPT:
                    one.is_over = one.lasts = True
                    return one.quit()
        except Refused as refusal:
            one.refusal, one.lasts = refusal, True
            one.quit()
            raise
        one.greeted = session.helo

    def _log(self, one, what, why):
        self._session.stream.log("filtered", id=self._id, filter=one.place if one else "", what=what, why=why)

    # -- what they are told --

    def _client(self):
        """The data of CONNECT."""
        peer = self._session.stream.peer
        return milterpackets.connect(self._name() or f"[{peer.host}]", peer.host or HERE, peer.port or 0)

    def _name(self):
        """The client's confirmed name, where an option lets us look for it; "" without one."""
        session, host = self._session, self._session.stream.peer.host
        if not host:
            return "localhost"
        if not session.name and session.options.names:
            session.name = name_of(host) or ""
        return session.name

    def _of_client(self):
        session, stream = self._session, self._session.stream
        name, address = self._name(), stream.peer.host.partition("%")[0] or HERE
        return {"j": session.server.hostname, "v": f"fd0 {__version__}", "daemon_name": session.server.hostname,
                "daemon_addr": stream.local.host, "daemon_port": str(stream.local.port or ""),
                "client_name": name or "unknown", "client_ptr": name or "unknown", "client_addr": address,
                "client_port": str(stream.peer.port or ""), "_": f"{name} [{address}]".lstrip(" ")}

    def _of_tls(self):
        tls = self._session.stream.tls
        return {"tls_version": tls.version, "cipher": tls.cipher} if tls else {}

    def _of_mail(self, command):
        session, sender = self._session, command.sender
        return {"i": self._id, "r": session.protocol(command.utf8), "auth_authen": session.user,
                "auth_type": session.mechanism, "mail_addr": str(sender or "<>"),
                "mail_host": sender.domain if sender else "", "mail_mailer": "smtp"}


def _words(line, mailbox, before):
    """The address of a command and its parameters, as a filter is told them."""
    there = path(mailbox)
    return strings(there, *line.removeprefix(before + there).split())
