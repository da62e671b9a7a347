"""qotd: tells a quote of the day (RFC 865), over TCP and UDP.

Quotes come from fortune files (--quotes), a program (--exec), the few of our own, or an SQLite table (--database):

    CREATE TABLE quotes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, offensive INTEGER NOT NULL DEFAULT 0);

One that does not fit is never cut: another one is told.  A UDP answer is no longer than its question, or whoever
forges a sender could have us send more octets than he does; --reply-limit allows more.
"""

import os
from _random import Random  # all of the module random that we need, without the modules that it loads

from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice, number, path, seconds, size, switch

LONGEST = 511           # RFC 865, Quote Syntax: "it should be less than 512 characters"
MOST_PRINTED = 4096     # octets that --exec may print, before tabs, escapes and blank lines are gone
DAY = 86400
OFFENSIVE = {"no": (False,), "yes": (False, True), "only": (True,)}

OURS = (b"What is not running cannot be broken into.",
        b"A daemon is polite: it speaks when it is spoken to.",
        b"The log is a letter to somebody who was asleep. Perhaps to you.",
        b"Two servers that thank each other for their thanks will never sleep again.",
        b"Whoever asks what is on descriptor 0 need not be told.",
        b"An octet saved is a packet earned.",
        b"First the file, then the directory, then the promise.")


class NoQuote(Exception):
    """There is none, and somebody should know why."""


def shares(text):
    """Fortune files and folders, with their shares as fortune(6) takes them: /a,/b or 20%=/a,80%=/b."""
    wanted = []
    for word in text.replace(",", " ").split():
        percent, _, name = word.rpartition("%=")
        wanted.append((number(percent) if percent else None, path(name)))
    given = sum(percent or 0 for percent, _ in wanted)
    rest = [name for percent, name in wanted if percent is None]
    if not wanted:
        raise ValueError("names no file")
    if given > 100 or (given < 100 and not rest) or (given == 100 and rest):
        raise ValueError(f"percentages add up to {given}" + (f", and nothing is left for {rest[0]}" if rest else ""))
    return wanted


def command(text):
    """A program and its arguments, in words as a shell reads them; but there is no shell."""
    from shlex import split
    words = split(text)
    if not words or not os.path.isfile(path(words[0])) or not os.access(words[0], os.X_OK):
        raise ValueError(f"not a program that can be run: {words[0] if words else text!r}")
    return words


def octets(text):
    """A number of octets that a quote may have."""
    value = size(text)
    if value > LONGEST:
        raise ValueError(f"must be {LONGEST} or less: RFC 865 has no longer quotes")
    return value


SERVICE = Service(
    "qotd", port=17, rfcs=(865,), sockets=("stream", "dgram"), protocol="qotd",
    about="Tell a quote of the day.", reads=("--quotes", "--database", "--exec"), needs=("exec:--exec",),
    options=(
        Option("quotes", shares, None, "fortune files or folders of them: /a,/b or 20%=/a,80%=/b"),
        Option("equal", switch, "no", "all fortune files are as likely, however many quotes they have"),
        Option("offensive", choice(*OFFENSIVE), "no", "tell what fortune(6) tells with -a (yes) or -o (only)"),
        Option("database", path, None, "SQLite database with a table quotes (id, text, offensive)"),
        Option("exec", command, None, "program that prints a quote: '/usr/games/fortune -s'"),
        Option("exec-time", seconds, "5", "how long it may take"),
        Option("choice", choice("random", "day", "client"), "random",
               "another quote each time, one for each day, or one for each client and day"),
        Option("charset", choice("ascii", "utf-8"), "ascii", "signs that quotes may have; others are not told"),
        Option("reply-limit", octets, "0", "octets a datagram may have, however few the question had"),
    ),
    events=(
        Event("failed", "err", "session why", "the program of --exec told no quote"),
    ),
    examples=("qotd --quotes=/usr/share/games/fortunes --choice=day",
              "qotd --quotes=70%=/srv/ours,30%=/usr/share/games/fortunes --charset=utf-8"),
    description="Tells a quotation, then closes; over UDP it answers each datagram with one, which is no longer than "
                "the question unless --reply-limit says so. One that does not fit is never cut: another one is told. "
                "What the caller sends is ignored.\n\n"
                "Quotations come from files in the format of fortune(6) (--quotes), from a table in an SQLite database "
                "(--database), or from a program (--exec). Without any of these a few of its own are told.")


def setup(options):
    """The quotes; ValueError where options contradict each other or nothing can be told."""
    named = [name for name in ("quotes", "database", "exec") if getattr(options, name)]
    if len(named) > 1:
        raise ValueError(f"--{named[0]} and --{named[1]}: quotes come from one of them")
    if options.exec:
        return Printed(options)
    from daemons.stores.quotes import Quotes
    return Quotes(sources(options), lambda data: worded(data, options.charset), options.equal)


def sources(options):
    """Where quotes come from."""
    if options.quotes:
        from daemons.stores.fortunes import fortunes
        return fortunes(options.quotes, OFFENSIVE[options.offensive], options.equal)
    from daemons.stores.quotes import Source
    if options.database:
        from daemons.stores.quotetable import quotes
        return [Source(options.database, quotes(options.database, OFFENSIVE[options.offensive]))]
    return [Source("ours", OURS)]


class Printed:
    """What a program prints.  It is told again for a second, so that a flood of questions is no flood of programs."""

    def __init__(self, options):
        from _thread import allocate_lock
        from time import monotonic
        if options.choice != "random":
            raise ValueError(f"--choice={options.choice}: which quote --exec tells is for its program to choose")
        self.options, self.clock, self.lock = options, monotonic, allocate_lock()
        self.until, self.quote = 0.0, b""

    def pick(self, draw, limit):
        """As Quotes.pick; raises NoQuote when the program fails."""
        with self.lock:
            if self.clock() >= self.until:
                self._run()
            return self.quote if len(self.quote) <= limit else b""

    def _run(self):
        from daemons.kernel.running import Failed, output
        self.quote = b""
        try:
            printed = output(self.options.exec, self.options.exec_time, MOST_PRINTED)
            self.quote = worded(printed, self.options.charset)
        except Failed as error:
            raise NoQuote(str(error)) from None
        finally:
            self.until = self.clock() + 1
        if not 0 < len(self.quote) <= LONGEST:
            raise NoQuote(f"it printed {len(self.quote)} octets that can be told")


def worded(data, charset):
    """A quote as it is told: lines that end with CR LF, in signs that no terminal obeys; b"" if it cannot be."""
    from daemons.wire.plaintext import decoded, plain, spelt_in_ascii
    lines = plain(decoded(data))
    if charset == "ascii":
        lines = [spelt_in_ascii(line) for line in lines]
        if not all(line.isascii() for line in lines):
            return b""
    return "".join(f"{line}\r\n" for line in lines).encode()


def chance(options, peer, now):
    """A function that draws numbers from 0 to below 1: others each time, or the same for a day or a client's day."""
    seed = os.urandom(16)
    if options.choice != "random":
        client = peer.source if options.choice == "client" else ""
        seed = f"{int(now // DAY)} {client}".encode()
    return Random(int.from_bytes(seed, "big")).random


def quote_for(one, limit, options, quotes):
    """The quote for this stream or packet; b"" when there is none that fits."""
    try:
        return quotes.pick(chance(options, one.peer, one.time()), limit)
    except NoQuote as error:
        one.log("failed", why=error)
        return b""


def talk(stream, options, quotes):
    """RFC 865, TCP: a short message, whatever is sent, and close."""
    quote = quote_for(stream, LONGEST, options, quotes)
    stream.send(quote)
    return "done" if quote else "silent"


def answer(packet, options, quotes):
    """RFC 865, UDP: a quote in one datagram, whatever was in the other."""
    limit = min(LONGEST, max(len(packet.data), options.reply_limit))
    return quote_for(packet, limit, options, quotes) or None


if __name__ == "__main__":
    main(SERVICE, talk, answer, setup)
