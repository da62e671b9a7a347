"""Clients that call again and again while something is done to the server, and what became of each call."""

import re
import threading

from tests.live import clients

CALLERS = 4


class Load:
    """`with` ends the callers, and then every call has either been answered or failed."""

    def __init__(self, box, port, data, expected, strict=True):
        self.box, self.port, self.data, self.expected = box, port, data, expected
        self.strict = strict            # one failure is enough: there is nothing to wait for
        self.over, self.answered, self.failures = threading.Event(), 0, []
        self.counted = threading.Condition()
        self.threads = [threading.Thread(target=self._call_on) for _ in range(CALLERS)]

    def _call_on(self):
        with self.box.network():
            while not self.over.is_set():
                try:
                    answer = clients.converse(("127.0.0.1", self.port), self.data, seconds=30)
                    failure = None if re.search(self.expected, answer) else f"answered {answer!r}"
                except OSError as error:
                    failure = repr(error)
                with self.counted:
                    self.answered += failure is None
                    self.failures += [failure] if failure else []
                    self.counted.notify_all()

    def more(self, count):
        """Wait for so many more calls to be answered."""
        with self.counted:
            goal = self.answered + count
            enough = self.counted.wait_for(lambda: self.answered >= goal or (self.strict and self.failures), 60)
        assert enough, "calls are not answered"

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.more(CALLERS)
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
