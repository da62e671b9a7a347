"""fd0 sendmail: a mail from a local program into the queue, with the options and exit statuses of every sendmail.

Who may not write to the queue, as hardly any user may, has the mail server of this machine take it by SMTP: no program
has to gain rights for that, and what the server answers is the answer.
"""

import os
import sys
import time

from daemons.stores.queuefolder import SPOOL

from .arguments import DECLARE, Parser, absolute
from .owners import owner_of

# sysexits(3)
USAGE, DATA, NOT_A_USER, REFUSED, LATER = 64, 65, 67, 69, 75
SERVER = "localhost:25"
PATIENCE = 300.0                        # seconds for a reply (RFC 5321, 4.5.3.2)
NOBODY_THERE = 550, b"5.1.1"            # a reply that means the recipient
TAKE, LIST, ALIASES = "m", "p", "i"     # of -b; others are smtpd's (s) and mailq's (d)
# options of other sendmails: without a value, with one, and with one that is attached or missing
FLAGS, VALUED, ATTACHED = "GIUcimnstvx", "ABCDFLNOQRVXbefhopr", "dq"
IGNORED = set("GUcmnsvx" "ABCDLOQXehp" "d")
ALL = "all"                             # what -q without a value is for


class SendmailParser(Parser):
    """A Parser that ends as sendmail does."""

    def error(self, message):
        """Say what is wrong, and end."""
        print(f"sendmail: {message}", file=sys.stderr)
        sys.exit(USAGE)

    def parse(self, arguments):
        """The values, of a command line such as other sendmails take: `-ti`, `-fann@example.org`, `-- ADDRESS`."""
        if arguments is DECLARE:
            return super().parse(arguments)
        words, addresses = _sorted(arguments)
        options = super().parse(words)
        options.recipient += addresses
        return options


class Wrong(Exception):
    """The mail cannot be taken: the exit status and a sentence."""


def main(arguments):
    """Queue one mail, or do what else its options say; returns the exit status."""
    parser = _parser()
    options = parser.parse(arguments)
    if options.aliases or options.mode == ALIASES:
        return 0                        # newaliases: aliases are in the accounts, and need nothing made of them
    if options.mode == LIST:
        from . import queue
        return queue.main(["list", f"--queue={options.queue}"])
    if options.mode != TAKE:
        instead = "speak SMTP to port 25 of smtpd" if options.mode == "s" else "see smtpd, mailq and fd0 queue"
        parser.error(f"-b{options.mode}: only -bm, -bp and -bi are here; {instead}")
    if not options.recipient and not options.t and not options.now:
        parser.error("to whom? name recipients, or say -t")
    try:
        _hurry(options) if options.now else _take(options)
    except Wrong as wrong:
        status, text = wrong.args
    except OSError as error:
        status, text = LATER, f"{error.filename or options.queue}: {error.strerror}"
    else:
        return 0
    print(f"sendmail: {text}", file=sys.stderr)
    return status


def _parser():
    parser = SendmailParser(
        "sendmail", "Put the mail on standard input into the queue, as programs expect of /usr/sbin/sendmail; mailq "
                    "delivers it. Who may not write to the queue has the server at --server take it, which lets mail "
                    "go elsewhere if its option relay-from has 127.0.0.1 and ::1.", examples=(
            ("fd0 sendmail bob@example.net <mail", "to this address"),
            ("fd0 sendmail -t -i <mail", "to all in To, Cc and Bcc; a lone dot is text"),
            ("fd0 sendmail -q", "try everything in the queue now")))
    parser._optionals.conflict_handler = "resolve"      # -h is no call for help here
    parser.add_argument("recipient", nargs="*", metavar="ADDRESS", help="to whom")
    parser.add_argument("-t", action="store_true", help="to all in To, Cc and Bcc, too; Bcc is taken out")
    parser.add_argument("-i", action="store_true", help="a line of one dot does not end the mail (also -oi)")
    parser.add_argument("-f", "-r", dest="sender", metavar="ADDRESS", help="who hears of failures; <> for nobody")
    parser.add_argument("-F", dest="name", metavar="NAME", default="", help="the name for a From line that is missing")
    parser.add_argument("-N", dest="notify", metavar="WORDS", default="", help="of what the sender hears (NOTIFY)")
    parser.add_argument("-R", dest="ret", choices=("full", "hdrs", "FULL", "HDRS"), default="",
                        help="what comes back of a failed mail")
    parser.add_argument("-V", dest="envid", metavar="ID", default="", help="the sender's own name for the envelope")
    parser.add_argument("-b", dest="mode", metavar="MODE", default=TAKE,
                        help="m: take a mail; p: list the queue; i: nothing, as newaliases needs nothing here")
    parser.add_argument("-I", dest="aliases", action="store_true", help="as -bi")
    parser.add_argument("-q", dest="now", metavar="WHAT", help="try everything in the queue now, whatever is named")
    parser.add_argument("-o", dest="others", metavar="X", action="append", default=[], help="i as -i; others: ignored")
    parser.add_argument("-h", metavar="HOPS", help="ignored, as are most letters that other sendmails have")
    parser.add_argument("--hostname", metavar="NAME", default=os.uname().nodename, help="our name [%(default)s]")
    parser.add_argument("--queue", metavar="DIR", type=absolute, default=SPOOL, help="where it lies [%(default)s]")
    parser.add_argument("--server", metavar="HOST:PORT",
                        help=f"have this server take it, and not the queue [{SERVER} for who may not write there]")
    return parser


def _sorted(arguments):
    """(words, addresses after a `--`): each option a word of its own with its value, without those we ignore."""
    words, rest = [], iter(arguments)
    for word in rest:
        if word == "--":
            break
        if word[:1] != "-" or word == "-" or word[:2] == "--":
            words.append(word)
            continue
        for at, letter in enumerate(word[1:], 2):
            if letter in FLAGS:
                found, is_last = [f"-{letter}"], False
            elif letter in ATTACHED:
                found, is_last = [f"-{letter}{word[at:] or ALL}"], True
            else:                       # with a value, or unknown, which the parser will say
                found, is_last = _with_value(letter, word[at:], rest), True
            words += [] if letter in IGNORED else found
            if is_last:
                break
    return words, list(rest)


def _with_value(letter, value, rest):
    """An option and its value, which may be the next word."""
    value = value or (next(rest, None) if letter in VALUED else None)
    if value is None and letter in IGNORED:
        return []
    return [f"-{letter}{value}"] if value else [f"-{letter}"] if value is None else [f"-{letter}", ""]


def _hurry(options):
    """Have the runner try everything now."""
    from daemons.stores.queuecontrol import QueueControl, Unknown
    from daemons.stores.queuefiles import Damaged
    with owner_of(options.queue):
        control = QueueControl(options.queue)
        try:
            for id in control.ids():
                try:
                    control.retry([id])
                except Unknown:         # delivered meanwhile
                    continue
                except Damaged as error:
                    print(f"sendmail: {id}: {error}", file=sys.stderr)
        finally:
            control.close()


def _take(options):
    """A mail from standard input, into the queue or to a server."""
    letter = Letter(options, sys.stdin.buffer)
    if options.server is None and _may_write(options.queue):
        with owner_of(options.queue):
            _queue(options, letter)
    else:
        _hand_over(options, letter)


class Letter:
    """A mail as it came: `sender` is a Mailbox or None, `addresses` are Mailboxes, `text` has CR LF; raises Wrong."""

    __slots__ = ("addresses", "fields", "is_global", "name", "now", "sender", "text", "user")

    def __init__(self, options, file):
        from daemons.wire import mailheaders
        host = options.hostname
        head, body = mailheaders.split(_text(file, options.i or "i" in options.others))
        self.fields = mailheaders.parse(head)
        try:
            addresses = [_address(one, host, NOT_A_USER) for one in options.recipient]
            addresses += mailheaders.recipients(self.fields) if options.t else []
        except ValueError as error:
            raise Wrong(DATA, f"the header: {error}") from None
        self.addresses = list(dict.fromkeys(addresses))
        if not self.addresses:
            raise Wrong(USAGE, "nobody to send it to: no To, Cc or Bcc")
        self.user, self.name, self.now = _user(), options.name, time.time()
        self.sender = None if options.sender in ("", "<>") else _address(options.sender or self.user, host, DATA)
        if options.t:
            head = self.fields.without(lambda field: field.name in ("bcc", "resent-bcc")) + b"\r\n"
            self.fields = mailheaders.parse(head)
        everybody = (*self.addresses, *([self.sender] if self.sender else []))
        self.is_global = not head.isascii() or any(not one.is_ascii for one in everybody)
        self.text = (head + body).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    @property
    def offset(self):
        """Of our local time, in minutes."""
        return time.localtime(self.now).tm_gmtoff // 60

    def completion(self, host, unique):
        """The header fields that are missing."""
        from daemons.wire import tracefields
        made = tracefields.completion(self.fields, server=host, unique=unique, seconds=self.now, offset=self.offset)
        if self.fields.get("from") is None:
            made += _from(self.name, self.sender or _address(self.user, host, DATA))
        return made


def _may_write(queue):
    """May we, or does it lack only what we may make?"""
    return os.access(f"{queue}/tmp", os.W_OK | os.X_OK) and os.access(f"{queue}/mail", os.W_OK | os.X_OK)


def _queue(options, letter):
    from daemons.stores.queuewriter import QueueWriter
    from daemons.wire import tracefields
    from daemons.wire.queuelines import Recipient
    host = options.hostname
    writer = QueueWriter(options.queue)
    with writer.new(str(letter.sender or ""), [Recipient(str(one), options.notify) for one in letter.addresses],
                    letter.now, letter.is_global, user=letter.user, protocol="local", envid=options.envid,
                    ret=options.ret.upper(), body="" if letter.text.isascii() else "8BITMIME") as message:
        message.write(tracefields.received(server=host, with_="local", id=message.id, seconds=letter.now,
                                           offset=letter.offset, recipients=letter.addresses))
        message.write(letter.completion(host, message.id))
        message.write(letter.text)
        message.commit()
    writer.close()


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
    mail, rcpt, text = [], [], letter.completion(options.hostname, os.urandom(9).hex())
    text += letter.text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")   # RFC 5321, 2.3.8
    if not text.isascii() and client.has_extn("8bitmime"):
        mail.append("BODY=8BITMIME")
    if letter.is_global and client.has_extn("smtputf8"):
        client.command_encoding = "utf-8"
        mail.append("SMTPUTF8")
    if client.has_extn("dsn"):
        mail += [f"RET={options.ret.upper()}"] * bool(options.ret) + [f"ENVID={options.envid}"] * bool(options.envid)
        rcpt = [f"NOTIFY={options.notify.upper()}"] * bool(options.notify)
    try:
        _check("the sender", client.mail(str(letter.sender or ""), mail))
        for one in letter.addresses:
            _check(str(one), client.rcpt(str(one), rcpt))
        _check("the mail", client.data(text))
    except UnicodeEncodeError:
        raise Wrong(REFUSED, "the server takes no addresses in UTF-8 (RFC 6531)") from None


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
