"""Names and addresses, asked for within a time: libc's resolver waits as long as resolv.conf says, and cannot be told.

The question is asked in a thread of its own.  Who has waited long enough goes on without an answer; the thread ends
when the resolver does, and there are never more than so many of them.
"""

import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable

from .addresses import address
from .dial import NoAnswer, addresses_of, name_of
from .ends import End

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar
    Answer = TypeVar("Answer", list[str], str)

AT_ONCE = 16            # questions that are being asked, those included for which nobody waits any more

_lock, _asked = allocate_lock(), 0


def forwards(name: str, seconds: float) -> list[str]:
    """The addresses of a name, in the resolver's order.  Raises NoSuchName and NoAnswer."""
    return _in_time(lambda: _distinct([address(where).host for _, where in addresses_of(name)]), seconds)


def backwards(host: str, seconds: float) -> str:
    """The name of an address that leads back to it, "" without one.  Raises NoAnswer."""
    return _in_time(lambda: name_of(host) or "", seconds)


def own_names(seconds: float) -> list[str]:
    """The names of this machine: the kernel's, then those that its addresses have.  Raises NoAnswer."""
    own = os.uname().nodename
    return _in_time(lambda: _distinct([own, *filter(None, map(name_of, _addresses(own)))]), seconds)


def _addresses(name: str) -> list[str]:
    try:
        return _distinct([address(where).host for _, where in addresses_of(name)])
    except End:                         # a machine need not be known under its own name
        return []


def _distinct(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _in_time(question: "Callable[[], Answer]", seconds: float) -> "Answer":
    """What the question gives, or raises.  Raises NoAnswer when that takes longer."""
    global _asked
    with _lock:
        if _asked >= AT_ONCE:
            raise NoAnswer("too many questions are still unanswered")
        _asked += 1
    answers: list[Answer] = []
    troubles: list[Exception] = []
    done = allocate_lock()
    done.acquire()

    def ask() -> None:
        global _asked
        try:
            answers.append(question())
        except Exception as error:      # whatever it is, it is for who asked
            troubles.append(error)
        finally:
            with _lock:
                _asked -= 1
            done.release()

    start_new_thread(ask, ())
    if not done.acquire(timeout=seconds):
        raise NoAnswer(f"no answer within {seconds:g} seconds")
    if troubles:
        raise troubles[0]
    return answers[0]
