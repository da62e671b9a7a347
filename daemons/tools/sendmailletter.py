"""A letter from a local program: into the queue, or, where that may not be written to, to a server by SMTP."""

import os
import time

from daemons.wire import mailheaders, smtplines

from .owners import owner_of

# sysexits(3)
USAGE, DATA, NOT_A_USER, REFUSED, LATER = 64, 65, 67, 69, 75
SERVER = "localhost:25"
PATIENCE = 300.0                        # seconds for a reply (RFC 5321, 4.5.3.2)
NOBODY_THERE = 550, b"5.1.1"            # a reply that means the recipient


class Wrong(Exception):
    """The mail cannot be taken: the exit status and a sentence."""


class Letter:
    """A mail as it came: the MAIL command, the RCPT commands, and its header and text, both with CR LF."""

    __slots__ = ("fields", "mail", "name", "now", "recipients", "text", "user")

    def __init__(self, mail, recipients, head, body, name=""):
        self.mail, self.recipients, self.name = mail, recipients, name
        self.user, self.now = user(), time.time()
        head, body = (part.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for part in (head, body))
        self.fields, self.text = mailheaders.parse(head), head + body
        everybody = (*(one.mailbox for one in recipients), *([mail.sender] if mail.sender else []))
        mail.utf8 = not head.isascii() or any(not one.is_ascii for one in everybody)
        mail.body = None if self.text.isascii() else "8BITMIME"

    @property
    def offset(self):
        """Of our local time, in minutes."""
        return time.localtime(self.now).tm_gmtoff // 60

    def completion(self, host, unique):
        """The header fields that are missing."""
        from daemons.wire import tracefields
        made = tracefields.completion(self.fields, server=host, unique=unique, seconds=self.now, offset=self.offset)
        if self.fields.get("from") is None:
            made += _from(self.name, self.mail.sender or address(self.user, host, DATA))
        return made


def take(options, letter):
    """Have it delivered; raises Wrong and OSError."""
    if options.server is None and _may_write(options.queue):
        with owner_of(options.queue):
            _queue(options, letter)
    else:
        _hand_over(options, letter)


def _may_write(queue):
    """May we, or does it lack only what we may make?"""
    return os.access(f"{queue}/tmp", os.W_OK | os.X_OK) and os.access(f"{queue}/mail", os.W_OK | os.X_OK)


def _queue(options, letter):
    from daemons.stores.queuewriter import QueueWriter
    from daemons.wire import tracefields
    from daemons.wire.queuelines import Recipient
    host, mail = options.hostname, letter.mail
    recipients = [Recipient(str(one.mailbox), ",".join(one.notify or ()), _original(one)) for one in letter.recipients]
    writer = QueueWriter(options.queue)
    with writer.new(str(mail.sender or ""), recipients, letter.now, mail.utf8, user=letter.user, protocol="local",
                    envid=mail.envid or "", ret=mail.ret or "", body=mail.body or "") as message:
        message.write(tracefields.received(server=host, with_="local", id=message.id, seconds=letter.now,
                                           offset=letter.offset, recipients=[one.mailbox for one in letter.recipients]))
        message.write(letter.completion(host, message.id))
        message.write(letter.text)
        message.commit()
    writer.close()


def _original(rcpt):
    return smtplines.original_value(rcpt.original).decode() if rcpt.original else ""


def _hand_over(options, letter):
    """By SMTP, to all recipients or to none; raises Wrong."""
    import smtplib
    where = options.server or SERVER
    why = "" if options.server else f"{options.queue} is not ours to write to, and "
    try:
        host, port = _place(where)
        with smtplib.SMTP(host, port, options.hostname, PATIENCE) as client:
            client.ehlo_or_helo_if_needed()
            _say(client, options, letter)
    except smtplib.SMTPResponseException as error:
        raise Wrong(LATER, f"{why}{where} says: {error.smtp_code} {_line(error.smtp_error)}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise Wrong(LATER, f"{why}{where} takes no mail now: {error}") from None


def _say(client, options, letter):
    """One transaction."""
    text = letter.completion(options.hostname, os.urandom(9).hex()) + letter.text
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")       # RFC 5321, 2.3.8
    offered = {name.upper() for name in client.esmtp_features}
    first, *others = lines = [smtplines.mail_line(letter.mail, offered),
                              *(smtplines.rcpt_line(one, offered) for one in letter.recipients)]
    if "SMTPUTF8" not in offered and not all(line.isascii() for line in lines):
        raise Wrong(REFUSED, "the server takes no addresses in UTF-8 (RFC 6531)")
    client.command_encoding = "utf-8"
    _check("the sender", client.docmd(first.decode()))
    for one, line in zip(letter.recipients, others, strict=True):
        _check(str(one.mailbox), client.docmd(line.decode()))
    _check("the mail", client.data(text))


def _check(what, reply):
    """Raise Wrong for a reply that says no."""
    code, said = reply
    if code >= 400:
        status = LATER if code < 500 else NOT_A_USER if (code, said[:5]) == NOBODY_THERE else REFUSED
        raise Wrong(status, f"{what}: {code} {_line(said)}")


def _place(text):
    """(host, port) of --server."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "25"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Wrong(USAGE, f"--server={text}: not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _line(said):
    """A reply as one line that a terminal may show."""
    text = " ".join(said.decode("utf-8", "replace").split())
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def address(text, host, status):
    """A Mailbox; one without a domain is here.  Raises Wrong."""
    from daemons.wire.mailaddresses import mailbox
    text = text.removeprefix("<").removesuffix(">")
    try:
        return mailbox(text if "@" in text else f"{text}@{host}")
    except ValueError as error:
        raise Wrong(status, f"{text!r}: {error}") from None


def _from(name, mailbox):
    """A From line, its name encoded where that must be."""
    from daemons.wire.dsn import encoded_words
    from daemons.wire.tracefields import folded
    plain = name.isascii() and name.isprintable() and not set(name) & set('"\\()<>@,;:[].=?')
    words = [] if not name else [name] if plain else encoded_words(name)
    return folded("From", [*words, f"<{mailbox}>"], " ")


def user():
    """The name of who has called us."""
    import pwd
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:                    # a container's user need have no name
        return f"uid{os.getuid()}"
