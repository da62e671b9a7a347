"""A mail filter that says what was written down, at a Unix socket; each of its conversations has a thread."""

import contextlib
import os
import socket
import struct
import threading

CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, PROGRESS, SKIP = (b"\0\0\0\1" + kind for kind in
                                                               (b"c", b"a", b"r", b"t", b"d", b"p", b"s"))
SILENCE, HANG_UP = object(), object()
ALL = 0xdf                      # actions
QUIET = ("D", "A", "K", "Q")    # what nobody answers


def said(kind, *words):
    """A packet of a filter: numbers, and octets as they are."""
    data = b"".join(struct.pack(">I", word) if isinstance(word, int) else word for word in words)
    return struct.pack(">I", len(data) + 1) + kind.encode() + data


def agreement(version=6, actions=ALL, steps=0):
    """What a filter answers to an offer."""
    return said("O", version, actions, steps)


class Filter:
    """A filter at `path`; `told` is what it heard: (kind, data) of each packet, of all conversations in turn.

    `answers` maps a kind to octets that are said to it, or to a list of them for one packet after another, of which the
    last stays; SILENCE says nothing, HANG_UP closes.
    """

    def __init__(self, path, answers=None, **terms):
        self.path, self.answers = str(path), {"O": agreement(**terms), **(answers or {})}
        self.told, self.calls, self._threads, self._conversations = [], 0, [], []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._start(self._accept)

    @property
    def option(self):
        """How smtpd is told of it."""
        return f"--milters=unix:{self.path}"

    def kinds(self, but="DO"):
        """The kinds of what it heard, as one text."""
        return "".join(kind for kind, _ in self.told if kind not in but)

    def of(self, kind):
        """The data of each packet of this kind."""
        return [data for one, data in self.told if one == kind]

    def macros(self, kind):
        """What it was told before packets of this kind."""
        found = {}
        for data in self.of("D"):
            if data[:1] == kind.encode():
                words = [word.decode() for word in data[1:].split(b"\0")[:-1]]
                found.update(zip(words[::2], words[1::2]))
        return found

    def end(self):
        """Hang up, and await the ends of all conversations."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for one in self._conversations:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()
        os.unlink(self.path)

    def settle(self):
        """Await the ends of all conversations that were begun: then all that was said has been heard."""
        for thread in self._threads[1:]:
            thread.join(10)

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.calls += 1
                self._conversations.append(sock)
                self._start(self._converse, sock)

    def _converse(self, sock):
        with sock, sock.makefile("rb") as file, contextlib.suppress(OSError):
            while len(head := file.read(5)) == 5:
                kind, data = chr(head[4]), file.read(int.from_bytes(head[:4], "big") - 1)
                self.told.append((kind, data))
                answer = self._next(kind)
                if kind == "Q" or answer is HANG_UP:
                    return
                if answer is not SILENCE:
                    sock.sendall(answer)

    def _next(self, kind):
        answer = self.answers.get(kind, SILENCE if kind in QUIET else CONTINUE)
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer
