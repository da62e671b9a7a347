"""POP3 with a maildrop: the commands of TRANSACTION, and what UPDATE does (RFC 1939, sections 5 to 7).

The session `s` is pop3d's: it has `stream`, `drop`, and says ok(text).  What a command cannot do it raises: Refused,
NoMessage, Expunged, OSError.
"""

from daemons.wire import popreplies
from daemons.wire.commands import LEAVE, Command, Refused, maybe, number

PIECE = 1 << 16         # octets of a message that are read at once
LINES = 2**31 - 1       # the most that TOP may be asked for


def stat(s):
    """STAT: how many messages, and octets in all."""
    s.ok("{} {}".format(*s.drop.stat()))


def scan_listing(s, n=None):
    """LIST: the size of one message, or of all."""
    if n is not None:
        s.ok(f"{n} {s.drop.size(n)}")
        return
    s.ok("{} messages ({} octets)".format(*s.drop.stat()))
    send(s, popreplies.listing(s.drop.sizes()))


def unique_ids(s, n=None):
    """UIDL: the unique id of one message, or of all."""
    if n is not None:
        s.ok(f"{n} {s.drop.uidl(n).decode('ascii')}")
        return
    s.ok("unique-id listing follows")
    send(s, popreplies.listing((n, uid.decode("ascii")) for n, uid in s.drop.uidls()))


def retrieve(s, n):
    """RETR: a message."""
    with s.drop.open(n) as file:
        text = pieces(file)
        s.ok(f"{s.drop.size(n)} octets")
        send(s, popreplies.mail(text))
    s.retrieved += 1


def top(s, n, lines):
    """TOP: the header of a message, and so many lines of its body."""
    if lines > LINES:
        raise Refused("no mail has so many lines")
    with s.drop.open(n) as file:
        text = pieces(file)
        s.ok("the top of it follows")
        send(s, popreplies.top(text, lines))


class Torn(Exception):
    """A message broke off in the middle: what has left cannot be taken back, so the conversation has to end."""


def pieces(file):
    """A message in pieces, of which the first is there at once: raises OSError for it, and Torn for others."""
    first = file.read(PIECE)

    def all_of_it():
        piece = first
        while piece:
            yield piece
            try:
                piece = file.read(PIECE)
            except OSError as error:
                raise Torn(str(error)) from error

    return all_of_it()


def send(s, octets):
    """Send pieces as they come."""
    for piece in octets:
        s.stream.send(piece)


def delete(s, n):
    """DELE: mark a message, for UPDATE."""
    s.drop.delete(n)
    s.ok(f"message {n} is marked")


def reset(s):
    """RSET: no message is marked any more."""
    s.drop.reset()
    s.ok()


def nothing(s):
    """NOOP."""
    s.ok()


def leave(s):
    """QUIT, in either state."""
    return LEAVE


# -- UPDATE --


def update(s):
    """Remove what is marked (RFC 1939, 6); returns the last words."""
    marked = s.messages - s.drop.stat()[0]
    try:
        failed = s.drop.commit()
    except OSError as error:
        failed = [(0, error)] * marked
        s.stream.log("unavailable", why=error)
    for _, error in failed[:1]:
        s.stream.log("unavailable", why=error)
    s.deleted = marked - len(failed)
    if failed:
        return popreplies.reply(False, f"{len(failed)} of {marked} messages could not be removed", popreplies.TEMPORARY)
    return popreplies.reply(True, "bye")


# what else may be said before a login too is pop3d's
COMMANDS = {
    "STAT": Command(stat),
    "LIST": Command(scan_listing, maybe(number)),
    "UIDL": Command(unique_ids, maybe(number)),
    "RETR": Command(retrieve, number),
    "TOP": Command(top, number, number),
    "DELE": Command(delete, number),
    "RSET": Command(reset),
    "NOOP": Command(nothing),
    "QUIT": Command(leave),
}
