"""chargend: generates characters (RFC 864), over TCP and UDP.

RFC 864's datagrams of 0 to 512 octets for any question made this service a weapon: a question with a forged sender
is answered with more octets to somebody else.  So an answer has as many as the question at most, unless --reply-limit
allows more.
"""

import os

from daemons.kernel.serve import main
from daemons.kernel.service import Option, Service
from daemons.kernel.values import size

LONGEST = 512           # octets in a datagram, RFC 864
WIDTH = 72
RING = bytes(range(ord(" "), ord("~") + 1))     # "the ASCII printing characters": 95 of them

# RFC 864, Data Syntax: line N has characters 0+N mod 95 through 71+N mod 95; after 95 lines all begins anew
PAGE = b"".join((RING * 2)[first:first + WIDTH] + b"\r\n" for first in range(len(RING)))
PAGES = PAGE * 9        # near 64 KiB, which the stream writes in one go
NO_END = 1 << 62


def octets(text):
    """A number of octets that a datagram of ours may have."""
    value = size(text)
    if value > LONGEST:
        raise ValueError(f"must be {LONGEST} or less: RFC 864 has no longer datagrams")
    return value


SERVICE = Service("chargend", port=19, rfcs=(864,), sockets=("stream", "dgram"),
                  about="Generate characters.",
                  options=(Option("most", size, "64M", "octets to send in one conversation; 0 for no end"),
                           Option("reply-limit", octets, "0",
                                  "octets a datagram may have, however few the question had")),
                  description="Sends characters for as long as the caller listens: lines of 72 printing characters, "
                              "each beginning one later in the ASCII order than the line before. Over UDP it answers "
                              "each datagram with one of its own.\n\n"
                              "Answers over UDP are never longer than the question unless --reply-limit says so: who "
                              "forges a sender could otherwise have us send more than he does.")


def talk(stream, options):
    """RFC 864, TCP: until the calling user terminates the connection.

    What it sends meanwhile stays unread in the kernel, which throws it away with the connection.
    """
    left = options.most or NO_END
    while left:
        piece = PAGES[:left] if left < len(PAGES) else PAGES
        stream.send(piece)
        left -= len(piece)
    return "most"


def answer(packet, options):
    """RFC 864, UDP: a random number of characters, between 0 and 512."""
    limit = min(LONGEST, max(len(packet.data), options.reply_limit))
    return PAGE[:int.from_bytes(os.urandom(4), "big") % (limit + 1)]


if __name__ == "__main__":
    main(SERVICE, talk, answer)
