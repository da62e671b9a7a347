"""fd0 sendmail: a mail from a local program into the queue, with the options and exit statuses of every sendmail."""

import os
import sys
import time

from daemons.stores.queuefolder import SPOOL

from .arguments import Parser, absolute

# sysexits(3)
USAGE, DATA, NOT_A_USER, NO_ROOM, NOT_ALLOWED = 64, 65, 67, 75, 77
MODES = ("m",)                          # of -b: take a mail; others are smtpd's (s), mailq's (d), fd0 queue's (p)


class SendmailParser(Parser):
    """A Parser that ends as sendmail does."""

    def error(self, message):
        """Say what is wrong, and end."""
        print(f"sendmail: {message}", file=sys.stderr)
        sys.exit(USAGE)


class Wrong(Exception):
    """The mail cannot be taken: the exit status and a sentence."""


def main(arguments):
    """Queue one mail; returns the exit status."""
    parser = SendmailParser(
        "sendmail", "Put the mail on standard input into the queue, as programs expect of /usr/sbin/sendmail; mailq\n"
                    "delivers it. Who may write to the queue may use it.", examples=(
            ("fd0 sendmail bob@example.net <mail", "to this address"),
            ("fd0 sendmail -t -i <mail", "to all in To, Cc and Bcc; a lone dot is text")))
    parser.add_argument("recipient", nargs="*", metavar="ADDRESS", help="to whom")
    parser.add_argument("-t", action="store_true", help="to all in To, Cc and Bcc, too; Bcc is taken out")
    parser.add_argument("-i", action="store_true", help="a line of one dot does not end the mail (also -oi)")
    parser.add_argument("-f", "-r", dest="sender", metavar="ADDRESS", help="who hears of failures; <> for nobody")
    parser.add_argument("-F", dest="name", metavar="NAME", default="", help="the name for a From line that is missing")
    parser.add_argument("-N", dest="notify", metavar="WORDS", default="", help="of what the sender hears (NOTIFY)")
    parser.add_argument("-R", dest="ret", choices=("full", "hdrs", "FULL", "HDRS"), default="",
                        help="what comes back of a failed mail")
    parser.add_argument("-V", dest="envid", metavar="ID", default="", help="the sender's own name for the envelope")
    parser.add_argument("-b", dest="mode", metavar="MODE", default="m", help="m alone: take a mail")
    parser.add_argument("-o", dest="others", metavar="X", action="append", default=[], help="i as -i; others: ignored")
    parser.add_argument("-B", dest="body", metavar="TYPE", help="ignored: it is seen")
    parser.add_argument("-v", action="store_true", help="ignored")
    parser.add_argument("--hostname", metavar="NAME", default=os.uname().nodename, help="our name [%(default)s]")
    parser.add_argument("--queue", metavar="DIR", type=absolute, default=SPOOL, help="where it lies [%(default)s]")
    options = parser.parse(arguments)
    if options.mode not in MODES:
        parser.error(f"-b{options.mode}: only -bm is here; see smtpd, mailq, fd0 queue")
    if not options.recipient and not options.t:
        parser.error("to whom? name recipients, or say -t")
    try:
        _queue(options, sys.stdin.buffer)
    except Wrong as wrong:
        status, text = wrong.args
    except PermissionError as error:
        status, text = NOT_ALLOWED, f"{options.queue}: {error.strerror}"
    except OSError as error:
        status, text = NO_ROOM, f"{error.filename or options.queue}: {error.strerror}"
    else:
        return 0
    print(f"sendmail: {text}", file=sys.stderr)
    return status


def _queue(options, file):
    from daemons.stores.queuewriter import QueueWriter
    from daemons.wire import mailheaders, tracefields
    from daemons.wire.queuelines import Recipient
    host = options.hostname
    head, body = mailheaders.split(_text(file, options.i or "i" in options.others))
    fields = mailheaders.parse(head)
    try:
        addresses = [_address(one, host, NOT_A_USER) for one in options.recipient]
        addresses += mailheaders.recipients(fields) if options.t else []
    except ValueError as error:
        raise Wrong(DATA, f"the header: {error}") from None
    addresses = list(dict.fromkeys(addresses))
    if not addresses:
        raise Wrong(USAGE, "nobody to send it to: no To, Cc or Bcc")
    user = _user()
    sender = None if options.sender in ("", "<>") else _address(options.sender or user, host, DATA)
    if options.t:
        head = fields.without(lambda field: field.name in ("bcc", "resent-bcc")) + b"\r\n"
        fields = mailheaders.parse(head)
    now = time.time()
    writer = QueueWriter(options.queue)
    is_global = any(not one.is_ascii for one in (*addresses, *([sender] if sender else [])))
    text = (head + body).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    with writer.new(str(sender or ""), [Recipient(str(one), options.notify) for one in addresses], now,
                    is_global or not head.isascii(), user=user, protocol="local", envid=options.envid,
                    ret=options.ret.upper(), body="" if text.isascii() else "8BITMIME") as message:
        offset = time.localtime(now).tm_gmtoff // 60
        message.write(tracefields.received(server=host, with_="local", id=message.id, seconds=now, offset=offset,
                                           recipients=addresses))
        message.write(tracefields.completion(fields, server=host, unique=message.id, seconds=now, offset=offset))
        if fields.get("from") is None:
            message.write(_from(options.name, sender or _address(user, host, DATA)))
        message.write(text)
        message.commit()
    writer.close()


def _text(file, dots):
    """All of it, or up to a line of one dot."""
    if dots:
        return file.read()
    lines = []
    for line in file:
        if line.rstrip(b"\r\n") == b".":
            break
        lines.append(line)
    return b"".join(lines)


def _address(text, host, status):
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


def _user():
    import pwd
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:                    # a container's user need have no name
        return f"uid{os.getuid()}"
