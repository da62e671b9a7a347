"""echod: sends back whatever it is sent (RFC 862), over TCP and UDP."""

from daemons.kernel.serve import main
from daemons.kernel.service import Option, Service
from daemons.kernel.values import size

SERVICE = Service("echod", port=7, rfcs=(862,), sockets=("stream", "dgram"),
                  about="Send back whatever is sent.",
                  options=(Option("most", size, None, "octets to echo in one conversation"),))


def talk(stream, options):
    while data := stream.some():
        stream.send(data)
        if options.most is not None and stream.received >= options.most:
            return "most"


def answer(packet, options):
    return packet.data


if __name__ == "__main__":
    main(SERVICE, talk, answer)
