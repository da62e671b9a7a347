"""daytimed: tells the date and time (RFC 867), over TCP and UDP.

The time is UTC, and words are English wherever we run.  --format chooses one of

    rfc867      Monday, September 21, 2026 14:13:20-UTC
    nist        61304 26-09-21 14:13:20 00 0 0   0.0 UTC(fd0) *
    iso         2026-09-21T14:13:20Z

The second has the columns of America's NIST: modified Julian day, date, time, and then zeros for what we cannot know:
America's summer time, the next leap second, the error of the clock, how long the line is.

A UDP answer has 22 to 49 octets, though the question may have none.
"""

import time

from daemons.kernel.serve import main
from daemons.kernel.service import Option, Service
from daemons.kernel.values import choice

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")
DAY = 86400
EPOCH = 40587           # 1970-01-01 as a modified Julian day


def rfc867(seconds):
    """RFC 867, Daytime Syntax: "Weekday, Month Day, Year Time-Zone"; strftime would speak the locale's language."""
    now = time.gmtime(seconds)
    return f"{DAYS[now.tm_wday]}, {MONTHS[now.tm_mon - 1]} {now.tm_mday}, {now.tm_year} {_clock(now)}-UTC"


def nist(seconds):
    """JJJJJ YR-MO-DA HH:MM:SS TT L H msADV UTC(label) OTM."""
    now = time.gmtime(seconds)
    day = EPOCH + int(seconds // DAY)
    return f"{day} {now.tm_year % 100:02}-{now.tm_mon:02}-{now.tm_mday:02} {_clock(now)} 00 0 0   0.0 UTC(fd0) *"


def iso(seconds):
    """ISO 8601, in the form of RFC 3339."""
    now = time.gmtime(seconds)
    return f"{now.tm_year}-{now.tm_mon:02}-{now.tm_mday:02}T{_clock(now)}Z"


def _clock(now):
    return f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"


FORMATS = {"rfc867": rfc867, "nist": nist, "iso": iso}

SERVICE = Service("daytimed", port=13, rfcs=(867,), sockets=("stream", "dgram"),
                  about="Tell the date and time.",
                  options=(Option("format", choice(*FORMATS), "rfc867", "how to write it, always in UTC"),),
                  description="Tells the date and time as one line of text for people to read, then closes; over UDP "
                              "it answers each datagram with that line. What the caller sends is ignored.\n\n"
                              "The RFC asks for no particular form; --format chooses among those in use. The time is "
                              "always UTC, so that callers in other time zones understand it.")


def talk(stream, options):
    """RFC 867, TCP: the time, whatever is sent, and close."""
    stream.say(FORMATS[options.format](stream.time()))


def answer(packet, options):
    """RFC 867, UDP: the time in one datagram, whatever was in the other."""
    return FORMATS[options.format](packet.time()).encode() + b"\r\n"


if __name__ == "__main__":
    main(SERVICE, talk, answer)
