"""Our programs as launchers start them, and peers: argument vectors, and servers on a socket of ours.

Options that every bench takes:

    --python=PATH       the interpreter of our programs and of Python peers, both with -IS [/usr/bin/python3]
    --before=DIR        another checkout of fd0, to run in the same rounds: what did a change bring?
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from daemons.tools import stubs

from . import procfs, xinetd
from .reader import Reader

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
BACKLOG = 4096
LIFETIME = 300          # seconds, for what is left behind when a bench is killed


def options(text, *more):
    """The command line of a bench: `text` is what --help says, `more` adds arguments to the parser."""
    parser = argparse.ArgumentParser(description=text.partition("\n")[0])
    parser.add_argument("--python", default="/usr/bin/python3", metavar="PATH", help="the interpreter [%(default)s]")
    parser.add_argument("--before", metavar="DIR", help="another checkout of fd0 to run in the same rounds")
    for add in more:
        add(parser)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # through every `with`, so that nothing is left
    return parser.parse_args()


class Workplace:
    """`with Workplace(options) as place`: a temporary folder with a drained log, stubs and peers in it."""

    def __init__(self, chosen):
        self.python = chosen.python
        self.checkouts = {"": stubs.CHECKOUT}
        if chosen.before:
            self.checkouts[" before"] = os.path.abspath(chosen.before)

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="fd0-bench-")
        os.chmod(self.folder, 0o755)
        self.reader = Reader(self.folder).__enter__()
        return self

    def __exit__(self, *_):
        self.reader.__exit__()
        shutil.rmtree(self.folder)
        for line in self.reader.bad:
            print(f"  in the log: {line}")

    def ours(self, program, *arguments):
        """{label: argv} of a program's stub: of this checkout, and of --before."""
        found = {}
        for label, library in self.checkouts.items():
            folder = os.path.join(self.folder, "stubs" + label.replace(" ", "-"))
            stubs.write([program], folder, library, self.python)
            found[label] = [os.path.join(folder, program), f"--log={self.reader.path}", *arguments]
        return found

    def peer(self, name):
        """The argv of a Python peer, installed as our programs are: a file with the same first line."""
        path = os.path.join(self.folder, name)
        with open(os.path.join(PEERS, f"{name}.py")) as source, open(path, "w") as file:
            file.write(f"#!{self.python} -IS\n{source.read()}")
        os.chmod(path, 0o755)
        return [path]

    def compiled(self, name):
        """The argv of a peer in C."""
        path = os.path.join(self.folder, f"{name}-c")
        source = os.path.join(PEERS, f"{name}.c")
        subprocess.run([xinetd.program("gcc", "gcc"), "-O2", "-o", path, source], check=True)
        return [path]


def _bounded():
    """In what is about to become a server: end even if the bench is killed and cannot end it."""
    signal.alarm(LIFETIME)


class Server:
    """`with Server(argv) as server`: a program on a listener or datagram socket of ours, as wait launchers start it."""

    def __init__(self, argv, kind=socket.SOCK_STREAM):
        self.argv, self.kind = argv, kind

    def __enter__(self):
        with socket.socket(socket.AF_INET, self.kind) as sock:
            sock.bind(("127.0.0.1", 0))
            if self.kind == socket.SOCK_STREAM:
                sock.listen(BACKLOG)
            self.address = sock.getsockname()
            self.process = subprocess.Popen(self.argv, stdin=sock, stdout=sock, stderr=sock,
                                            preexec_fn=_bounded)        # noqa: PLW1509 - there are no threads here
        self.pid = self.process.pid
        return self

    def __exit__(self, *_):
        xinetd.end(self.pid)
        self.process.wait()

    def cpu(self):
        """Microseconds of processor time that it and all that came of it used."""
        return sum(map(procfs.cpu, procfs.tree(self.pid)))
