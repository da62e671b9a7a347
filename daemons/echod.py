"""echod: sends back whatever it is sent (RFC 862), over TCP and UDP."""

from daemons.kernel.serve import main
from daemons.kernel.service import Option, Service
from daemons.kernel.values import size

NO_END = 1 << 62

SERVICE = Service("echod", port=7, rfcs=(862,), sockets=("stream", "dgram"),
                  about="Send back whatever is sent.",
                  options=(Option("most", size, "0", "octets to echo in one conversation; 0 for no end"),),
                  description="Sends back whatever it is sent, octet for octet, until the caller has said its last; "
                              "over UDP the same for each datagram. It is there to see whether a line is up, what it "
                              "delays, and what it does to data on the way.\n\n"
                              "Over UDP it never answers a port below 1024 unless --low-ports says so: two echo "
                              "servers that are made to talk to each other would never end.")


def talk(stream, options):
    """RFC 862, TCP: until the calling user terminates the connection; what is underway still goes back."""
    left = options.most or NO_END
    while left and (data := stream.some(left)):
        stream.send(data)
        left -= len(data)
    return "done" if left else "most"


def answer(packet, options):
    """RFC 862, UDP: the data, in one datagram."""
    return packet.data


if __name__ == "__main__":
    main(SERVICE, talk, answer)
