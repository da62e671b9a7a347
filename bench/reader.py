"""A syslogd that only counts: a process that drains the socket which our programs get as --log=PATH.

Without it each line would wait in the program's backlog, and we would measure a machine without a log.
"""

import os
import signal
import socket
from collections import Counter

LIFETIME = 300          # seconds, should nobody end it
BAD = (b"Traceback", b"crash ", b"stderr ", b"misuse ", b"lost ")


class Reader:
    """`with Reader(folder) as reader` drains reader.path; `ended` holds the lines counted by event, and bad ones."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "log")
        self.counts, self.bad = Counter(), []

    def __enter__(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(self.path)
        os.chmod(self.path, 0o666)
        result, pen = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(result)
                _drain(sock, pen)
            finally:
                os._exit(1)
        os.close(pen)
        sock.close()
        self.result = result
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGTERM)
        with os.fdopen(self.result, "rb") as result:
            for line in result.read().splitlines():
                count, _, text = line.partition(b" ")
                if count == b"bad":
                    self.bad.append(text.decode("utf-8", "replace"))
                else:
                    self.counts[text.decode()] = int(count)
        os.waitpid(self.pid, 0)


class _End(Exception):
    """Raised into the reader when it is told to end."""


def _drain(sock, pen):
    """Count lines by the event that they begin with; write the counts, and twenty bad lines, to the pen at the end."""
    def end(*_):
        raise _End

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.alarm(LIFETIME)
    counts, bad = Counter(), []
    try:
        while True:
            line = sock.recv(8192)
            text = line.partition(b": ")[2]
            counts[text.partition(b" ")[0]] += 1
            if text.startswith(BAD) and len(bad) < 20:
                bad.append(text)
    except _End:
        words = [b"%d %s" % (count, name) for name, count in counts.items()] + [b"bad " + text for text in bad]
        os.write(pen, b"\n".join(words)[:65536])
        os._exit(0)
