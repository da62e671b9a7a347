"""A program of ours as a process of its own that listens on loopback, for what no conversation on paper can show."""

import socket
import subprocess
import sys

from daemons.tools.stubs import CHECKOUT

SECONDS = 60


class Serving:
    """`with Serving("identd", "--reply=uid") as server:` - its `port`, and after the block its `log`, line by line."""

    def __init__(self, name, *options, at="127.0.0.1", port=0):
        self.arguments = [sys.executable, "-m", f"daemons.{name}", f"--listen={at}:{port}", "--log=stderr",
                          "--config=/dev/null", *options]
        self.log = []

    def __enter__(self):
        self.process = subprocess.Popen(self.arguments, cwd=CHECKOUT, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        started = self.process.stderr.readline()
        if " start " not in started:
            self.process.kill()
            raise RuntimeError(started + self.process.stderr.read())
        self.port = int(started.rpartition(":")[2].rstrip('"\n'))
        return self

    def __exit__(self, *_):
        self.process.terminate()
        with self.process.stderr:
            self.log = self.process.stderr.read().split("\n")[:-1]
        self.process.wait(SECONDS)

    def call(self, at="127.0.0.1", source=None):
        """A socket to it."""
        sock = socket.create_connection((at, self.port), SECONDS, source and (source, 0))
        sock.settimeout(SECONDS)
        return sock

    def answer(self, said, **call):
        """All that it answers to these octets, after which we half-close."""
        with self.call(**call) as sock:
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)
            heard = b""
            while piece := sock.recv(65536):
                heard += piece
            return heard

    def events(self, name):
        """The lines of one event."""
        return [line for line in self.log if f" {name} " in line]
