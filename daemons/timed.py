"""timed: tells the time to a machine (RFC 868), over TCP and UDP.

Four octets hold the seconds since 1900 until 2036-02-07 06:28:15 UTC.  A second later we send 0 and count anew, as
NTP does (RFC 5905, 6): the low 32 bits, in which differences stay right.
"""

from daemons.kernel.serve import main
from daemons.kernel.service import Service

SINCE_1900 = 2_208_988_800      # RFC 868, The Time: this corresponds to 00:00  1 Jan 1970 GMT

SERVICE = Service("timed", port=37, rfcs=(868,), sockets=("stream", "dgram"),
                  about="Tell the time in seconds since 1900.",
                  description="Tells the time as a number of 32 bits: seconds since the first of January 1900 in UTC, "
                              "most significant octet first. Over TCP it sends the four octets and closes, over UDP "
                              "it answers each datagram with them. The number wraps around in February 2036, as RFC "
                              "868 has it; callers are expected to know in which era they live. For clocks that must "
                              "be right there is NTP; this is for machines that know nothing else.")


def seconds(now):
    """RFC 868: the time as a 32 bit binary number."""
    return ((int(now // 1) + SINCE_1900) & 0xFFFFFFFF).to_bytes(4, "big")


def talk(stream, options):
    """RFC 868, TCP: send the time and close."""
    stream.send(seconds(stream.time()))


def answer(packet, options):
    """RFC 868, UDP: send a datagram with the time."""
    return seconds(packet.time())


if __name__ == "__main__":
    main(SERVICE, talk, answer)
