"""Hypothesis on the hunt, and what it caught: each failure becomes a file that is replayed ever after.

    tests/hostile/cases/NAME/*      octets that once broke the program or codec NAME

The suite's runs are the same each time; `pytest tests/hostile/test_octets.py --hypothesis-profile=deep` hunts longer.
"""

import hashlib
import os

from hypothesis import given

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")


def hunt(name, strategy, packed, body, cases=CASES):
    """Try `body` on what the strategy draws; the smallest that fails is kept as packed(it) says."""
    failed = []

    @given(strategy)
    def attempt(drawn):
        try:
            body(drawn)
        except Exception:
            failed[:] = [drawn]
            raise

    try:
        attempt()
    except BaseException as error:
        if failed:
            error.add_note(f"kept as {keep(name, packed(failed[0]), cases)}")
        raise


def keep(name, octets, cases=CASES):
    """Write a case down; returns its path."""
    folder = os.path.join(cases, name)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, hashlib.sha256(octets).hexdigest()[:12])
    with open(path, "wb") as file:
        file.write(octets)
    return path


def kept(name, cases=CASES):
    """The cases of a program or codec."""
    folder = os.path.join(cases, name)
    found = []
    for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, entry), "rb") as file:
            found.append(file.read())
    return found
