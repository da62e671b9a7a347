"""fd0 sendmail: a mail from a local program into the queue, with the options and exit statuses of every sendmail.

Who may not write to the queue, as hardly any user may, has the mail server of this machine take it by SMTP: no program
has to gain rights for that, and what the server answers is the answer.
"""

import os
import sys

from daemons.stores.queuefolder import SPOOL

from .arguments import DECLARE, Parser
from .owners import owner_of
from .sendmailletter import DATA, LATER, NOT_A_USER, SERVER, USAGE, Letter, Wrong, address, take, user

TAKE, LIST, ALIASES, SPEAK = "m", "p", "i", "s"     # of -b; a daemon (d) is smtpd's and mailq's
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


def main(arguments):
    """Queue one mail, or do what else its options say; returns the exit status."""
    parser = _parser()
    options = parser.parse(arguments)
    if options.aliases or options.mode == ALIASES:
        return 0                        # newaliases: aliases are in the accounts, and need nothing made of them
    if options.mode == LIST:
        from . import queue
        return queue.main(["list", f"--queue={options.queue}"])
    if options.mode == SPEAK:
        from . import sendmailsmtp
        return sendmailsmtp.converse(options)
    if options.mode != TAKE:
        parser.error(f"-b{options.mode}: only -bm, -bs, -bp and -bi are here; see smtpd, mailq and fd0 queue")
    if not options.recipient and not options.t and not options.now:
        parser.error("to whom? name recipients, or say -t")
    try:
        _hurry(options) if options.now else take(options, _read(options, sys.stdin.buffer))
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
                        help="m: take a mail; s: speak SMTP; p: list the queue; i: do nothing, as newaliases")
    parser.add_argument("-I", dest="aliases", action="store_true", help="as -bi")
    parser.add_argument("-q", dest="now", metavar="WHAT", help="try everything in the queue now, whatever is named")
    parser.add_argument("-o", dest="others", metavar="X", action="append", default=[], help="i as -i; others: ignored")
    parser.add_argument("-h", metavar="HOPS", help="ignored, as are most letters that other sendmails have")
    parser.add_argument("--hostname", metavar="NAME", default=os.uname().nodename, help="our name [%(default)s]")
    parser.add_argument("--queue", metavar="DIR", type=os.path.abspath, default=SPOOL,
                        help="where it lies [%(default)s]")
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


def _read(options, file):
    """The Letter that came with these options; raises Wrong."""
    from daemons.wire import mailheaders, smtplines
    head, body = mailheaders.split(_text(file, options.i or "i" in options.others))
    fields, host = mailheaders.parse(head), options.hostname
    try:
        addresses = [address(one, host, NOT_A_USER) for one in options.recipient]
        addresses += mailheaders.recipients(fields) if options.t else []
    except ValueError as error:
        raise Wrong(DATA, f"the header: {error}") from None
    if not addresses:
        raise Wrong(USAGE, "nobody to send it to: no To, Cc or Bcc")
    if options.t:
        head = fields.without(lambda field: field.name in ("bcc", "resent-bcc")) + b"\r\n"
    sender = None if options.sender in ("", "<>") else address(options.sender or user(), host, DATA)
    mail = smtplines.Mail(sender, ret=options.ret.upper() or None, envid=options.envid or None)
    notify = tuple(options.notify.upper().split(",")) if options.notify else None
    return Letter(mail, [smtplines.Rcpt(one, notify) for one in dict.fromkeys(addresses)], head, body, options.name)


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
