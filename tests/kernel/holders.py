"""Other processes that share a table of limits, each doing what it is told, until it is killed.

    with Holder(path, per_source=1) as other:
        assert other.enter("192.0.2.7") == "in"
        other.kill()                            # as kill -9 does
"""

import json
import os
import signal
import socket

from daemons.kernel import log
from daemons.kernel.ends import Crowded
from daemons.kernel.limits import Shared
from daemons.kernel.limitsfile import LimitsFile
from daemons.kernel.penalties import Penalty


class Holder:
    """A forked process with a table of its own, at `path`; the other arguments are those of Shared."""

    def __init__(self, path, group="g", **limits):
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(20)
        self.file = self.sock.makefile("rw")
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.sock.close()
                log.event = lambda name, *_, **values: None     # there is no syslogd that would read it
                obey(theirs.makefile("rw"), path, group, limits)
            finally:
                os._exit(0)
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.file.close()
        self.sock.close()

    def kill(self):
        """kill -9, and wait until it is gone."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def signal(self, number):
        """Stop it, or have it go on."""
        os.kill(self.pid, number)

    def tell(self, what, *words, now=1000.0, wait=True):
        """Have it do something at this time on the clock; returns what came of it."""
        self.file.write(json.dumps([what, now, *words]) + "\n")
        self.file.flush()
        return self.answer() if wait else None

    def answer(self):
        """What came of what it was told without waiting."""
        return json.loads(self.file.readline())

    def enter(self, source, now=1000.0, **how):
        """Count one in: "in", or why not, with a "!" where that is news."""
        return self.tell("enter", source, now=now, **how)


def obey(file, path, group, limits):
    """What the process does."""
    table = LimitsFile(path)
    shared, holds = Shared(table, group, **limits), []
    shared.join()
    for line in file:
        what, now, *words = json.loads(line)
        table.clock = lambda now=now: now
        file.write(json.dumps(done(shared, holds, what, *words)) + "\n")
        file.flush()


def done(shared, holds, what, source=None, *words):
    """Do one thing, and return what there is to say of it."""
    penalty = Penalty(shared.table, shared.group, source)
    if what == "enter":
        try:
            holds.append((source, shared.enter(source)))
        except Crowded as end:
            return f"{end}!" if end.news else str(end)
        return "in"
    if what == "leave":
        at = [one for one, _ in holds].index(source)
        holds.pop(at)[1].leave()
    elif what == "crowded":
        return shared.crowded(source)
    elif what == "fork":                # a child that outlives us a moment, as one started for a script may
        return os.fork() or signal.sigwait([signal.SIGUSR1])
    elif what == "lock":
        shared.table.__enter__()
    elif what == "unlock":
        shared.table.__exit__(None, None, None)
    elif what == "delay":
        return penalty.delay("user")
    elif what == "failed":
        penalty.failed(*words)
    elif what == "passed":
        penalty.passed("user")
    return None
