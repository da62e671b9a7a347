"""Measurements against peers that do the same work on this machine, in turn with us.  Never part of the tests."""
