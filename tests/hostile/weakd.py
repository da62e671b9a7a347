"""weakd: does what a program may but none of ours does yet, so that the kit's tests can fail.  Only tests start it."""

import os

from daemons.kernel.ends import TooLong
from daemons.kernel.running import Failed, output
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import path

SERVICE = Service("weakd", about="Be a test's victim.", busy=b"421 not now\r\n", sockets=("stream", "dgram"),
                  model="fork", writes=("--spool",),
                  options=(Option("spool", path, None, "file to append to"),),
                  events=(Event("said", "notice", "session text", "what the peer said"),
                          Event("unwritten", "err", "session why", "the spool takes nothing")))


def end(stream, options, words):
    """End with the peer's own words in the explanation."""
    raise TooLong(f"too long: {words.decode('utf-8', 'surrogateescape')}")


def say(stream, options, words):
    """Log what the peer says, all in one."""
    stream.log("said", text=words)
    stream.say("200 said")


def store(stream, options, words):
    """Append to the spool; what was acknowledged is on disk, and what is not was refused."""
    try:
        fd = os.open(options.spool, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, words + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        stream.log("unwritten", why=error.strerror)
        return stream.say("452 no room")
    stream.say("250 stored")


def execute(stream, options, words):
    """Run a shell command and say what it printed, or how it failed."""
    try:
        stream.say(b"200 " + output(["/bin/sh", "-c", words.decode()], 5, 1000).strip())
    except Failed as failure:
        stream.say(f"451 {failure}")


def close(stream, options, words):
    """End well."""
    return "quit"


VERBS = {verb.__name__.encode(): verb for verb in (end, say, store, execute, close)}


def talk(stream, options):
    while True:
        verb, _, words = stream.line(100_000).partition(b" ")
        if verb not in VERBS:
            stream.say("500 what?")
        elif VERBS[verb](stream, options, words):
            return "quit"


def answer(packet, options):
    return packet.data * 10             # what no program should do


if __name__ == "__main__":
    main(SERVICE, talk, answer)
