"""discardd: throws away whatever it is sent (RFC 863), over TCP and UDP."""

from daemons.kernel.serve import main
from daemons.kernel.service import Option, Service
from daemons.kernel.values import size

NO_END = 1 << 62

SERVICE = Service("discardd", port=9, rfcs=(863,), sockets=("stream", "dgram"),
                  about="Throw away whatever is sent.",
                  options=(Option("most", size, "0", "octets to take in one conversation; 0 for no end"),),
                  description="Reads whatever it is sent and throws it away, and never answers. It is there to "
                              "measure what a line can carry in one direction, and as a place to send what must go "
                              "somewhere.")


def talk(stream, options):
    """RFC 863, TCP: until the calling user terminates the connection; no response is sent."""
    most = options.most or NO_END
    while stream.some():
        if stream.received >= most:
            return "most"


def answer(packet, options):
    """RFC 863, UDP: no response is sent."""


if __name__ == "__main__":
    main(SERVICE, talk, answer)
