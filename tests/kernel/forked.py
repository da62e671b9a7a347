"""Do something in a child, for what cannot be undone in this process: descriptors, signals, an exec."""

import json
import os
import sys


def forked(action):
    """What `action()` returns (as JSON has it), from a forked child; fails with what it raised there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            sys.stdin = None            # pytest's has no descriptor
            said = {"value": action()}
        except BaseException as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    said = json.loads(everything(reader))
    os.waitpid(pid, 0)
    assert "error" not in said, said["error"]
    return said["value"]


def everything(fd):
    """All that comes out of a descriptor, which is closed then."""
    with open(fd, "rb") as file:
        return file.read()
