"""Memory of an idle conversation: KiB of PSS each, 5,000 in one process of threads, 300 in forked children.

The server gets a listener as from a wait launcher, ten clients connect, its memory is read; then so many more connect
and say nothing, and it is read again once all are being served.  The client ends live in another process.
PSS counts a page that several processes share once (smaps_rollup, summed over the process tree); page tables and
kernel stacks, which it leaves out, stand beside it.
"""

import os
import resource
import socket
import time

from . import load, procfs, rounds, servers

BARS = {"thread": 32, "fork": 600}                      # KiB
CONVERSATIONS = {"thread": 5000, "fork": 300}
FIRST, SPARE = 10, 100


def main():
    """Measure, print, and return whether the bars are met."""
    chosen = servers.options(__doc__)
    print("memory: KiB for each idle conversation")
    met = []
    with servers.Workplace(chosen) as place:
        for model, bar in BARS.items():
            count = affordable(CONVERSATIONS[model])
            for label, argv in place.ours("echod", f"--model={model}", f"--max={count + SPARE}").items():
                value, beside = _each(argv, model, count)
                title = f"echod {model}{label}, {count} at once"
                met.append(rounds.verdict(title, value, bar, most=True, unit=" KiB") or bool(label))
                print(f"  {'':<40} {beside:10.2f} KiB more in page tables and kernel stacks")
    return all(met)


def affordable(count):
    """As many as the limit of descriptors allows one process here, once it is raised as far as we may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if count + SPARE > hard:
        print(f"  only {hard - SPARE} conversations: the hard limit of descriptors is {hard} (ulimit -Hn)")
    return min(count, hard - SPARE)


def _each(argv, model, count):
    """PSS, and page tables with kernel stacks, in KiB, that one more conversation takes."""
    with servers.Server(argv) as server, Callers(server.address) as callers:
        callers.call(FIRST)
        before = settled(server.pid, model, FIRST)
        callers.call(count)
        after = settled(server.pid, model, FIRST + count)
    return [(more - less) / count for less, more in zip(before, after)]


def settled(pid, model, count):
    """PSS and kernel memory once so many conversations are being held, or as many as there are after ten seconds."""
    end = time.monotonic() + 10
    while _held(pid, model) < count:
        if time.monotonic() > end:
            raise load.Broken(f"{_held(pid, model)} conversations are held instead of {count}")
        time.sleep(0.05)
    time.sleep(0.5)                     # the last of them reach their wait
    return procfs.pss(pid), procfs.kernel_memory(pid)


def _held(pid, model):
    return (procfs.threads(pid) if model == "thread" else len(procfs.tree(pid))) - 1


class Callers:
    """A process that connects as often as it is told and keeps all connections open until it is let go.

    Where there is a `question`, it asks that on each, and waits for some answer.
    """

    def __init__(self, address, question=b""):
        self.address, self.question = address, question

    def __enter__(self):
        reader, self.order = os.pipe()
        self.answer, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.order)
                self._obey(reader, writer)
            finally:
                os._exit(0)
        os.close(reader)
        os.close(writer)
        return self

    def __exit__(self, *_):
        os.close(self.order)            # the end of its orders
        os.close(self.answer)
        os.waitpid(self.pid, 0)

    def call(self, count):
        """Return once it holds so many more connections."""
        os.write(self.order, b"%d\n" % count)
        if not os.read(self.answer, 1):
            raise load.Broken("the clients could not connect")

    def _connected(self):
        sock = socket.create_connection(self.address, 10)
        if self.question:
            sock.sendall(self.question)
            sock.recv(65536)
        return sock

    def _obey(self, orders, answers):
        held = []
        while count := os.read(orders, 64):
            held += [self._connected() for _ in range(int(count))]
            os.write(answers, b".")


if __name__ == "__main__":
    raise SystemExit(not main())
