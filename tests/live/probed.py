"""probed: does on command what no program should do, and tells what a program's children get.  Only tests start it."""

import os
import subprocess
import sys
import warnings

from daemons.kernel.log import PRIORITIES
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import text

SERVICE = Service("probed", about="Do what one should not.", busy=b"421 not now\r\n", sockets=("stream",),
                  needs=("exec",), reads=("/proc",),
                  options=(Option("fault", text, "", "what goes wrong in setup"),),
                  events=(Event("said", "notice", "session text", "what the peer said"),
                          *(Event(f"at-{name}", name, "session", "an event of this priority") for name in PRIORITIES)))


def setup(options):
    if options.fault == "error":
        raise RuntimeError("no setup\r\n<0>forged \x1b[2J")
    if options.fault == "file":
        open("/nonexistent/file").close()
    if options.fault == "value":
        raise ValueError("a wrong\nvalue")
    os.environ["PROBED"] = "made"


def raises(stream, _):
    stream.send(b"half a rep")
    raise RuntimeError("no talk\r\n<0>forged \x1b[2J")


def warns(stream, _):
    warnings.warn("no warning\r\n<0>forged \x1b[2J", stacklevel=1)


def writes(stream, _):
    os.write(1, b"to descriptor 1\n")
    os.write(2, b"to descriptor 2\r\n<0>forged \x1b[2J\n")


def prints(stream, _):
    print("printed", flush=True)
    print("printed, for a person", file=sys.stderr, flush=True)


def complains(stream, size):
    line = "echo 'a child complains, and does not stop to complain: 0123456789 0123456789' >&2"
    subprocess.run(["sh", "-c", f"for i in $(seq {int(size)}); do {line}; done"], check=True)


def environment(stream, _):
    stream.send(subprocess.run(["env"], stdout=subprocess.PIPE, check=True).stdout)


def files(stream, _):
    """What a child sees that was started with nothing closed for it."""
    stream.send(subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, stdout=subprocess.PIPE,
                               check=True).stdout)


def logs(stream, _):
    for name in PRIORITIES:
        stream.log(f"at-{name}")


def says(stream, words):
    stream.log("said", text=words)


def says_what_is_no_text(stream, _):
    stream.log("said", text="half of a pair: \ud800")


VERBS = {verb.__name__: verb for verb in
         (raises, warns, writes, prints, complains, environment, files, logs, says, says_what_is_no_text)}


def talk(stream, options, _):
    while True:
        verb, _, words = stream.line(100000).partition(b" ")
        if verb == b"quit":
            return "quit"
        VERBS[verb.decode()](stream, words)
        stream.say("200 done")


if __name__ == "__main__":
    main(SERVICE, talk, setup=setup)
