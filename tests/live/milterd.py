"""A filter of libmilter, with Debian's python3-milter: notes what it hears, and does what a mail's X-Do field says.

usage: milterd SOCKET FILE
"""

import sys

import Milter


class Doing(Milter.Base):
    """One conversation."""

    def __init__(self):
        self.id, self.wanted = Milter.uniqueID(), []

    def note(self, *words):
        """Write down what was heard."""
        with open(sys.argv[2], "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(" ".join(map(str, words)) + "\n")
        return Milter.CONTINUE

    def connect(self, name, family, address):
        return self.note("connect", name, address[0], self.getsymval("j"), self.getsymval("{client_addr}"))

    def hello(self, name):
        return self.note("hello", name, self.getsymval("{tls_version}"))

    def envfrom(self, sender, *words):
        self.wanted = []
        return self.note("from", sender, *words, self.getsymval("i"), self.getsymval("{auth_authen}"))

    def envrcpt(self, recipient, *words):
        self.note("rcpt", recipient, *words)
        if "refused" in recipient:
            self.setreply("550", "5.7.1", "not for", "you, 100%%")
            return Milter.REJECT
        return Milter.CONTINUE

    def data(self):
        return self.note("data")

    @Milter.noreply
    def header(self, name, value):
        if name == "X-Do":
            self.wanted = value.split()
        return self.note("header", name, repr(value))

    def eoh(self):
        return self.note("eoh")

    def body(self, piece):
        self.note("body", len(piece))
        return Milter.SKIP if "skip" in self.wanted else Milter.CONTINUE

    def eom(self):
        self.note("eom")
        verdicts = [getattr(self, f"do_{word}")() for word in self.wanted]
        return next((one for one in verdicts if one is not None), Milter.ACCEPT)

    def abort(self):
        return self.note("abort")

    def close(self):
        return self.note("close")

    def do_skip(self):
        """Nothing more."""

    def do_progress(self):
        self.progress()

    def do_fields(self):
        self.addheader("X-Added", "one;\n\ttwo")
        self.addheader("X-First", "first", 0)
        self.chgheader("Subject", 1, "changed")
        self.chgheader("X-Do", 1, "")

    def do_body(self):
        self.replacebody(b"Another line.\r\n" * 10000)

    def do_envelope(self):
        self.chgfrom("<other@example.net>")
        self.addrcpt("<bob@example.org>")
        self.delrcpt("<ann@example.org>")

    def do_reject(self):
        return Milter.REJECT

    def do_tempfail(self):
        return Milter.TEMPFAIL

    def do_discard(self):
        return Milter.DISCARD


Milter.factory = Doing
Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY | Milter.CHGFROM | Milter.ADDRCPT | Milter.DELRCPT)
Milter.runmilter("milterd", sys.argv[1], 60)
