"""Lists a folder again and again, moves and flags what it finds, until its standard input ends; looks once more then.

    python -m tests.crash.reading FOLDER FLAG

Prints how many messages it has seen at the end, how many it ever saw go, and how many have changed their UID.
"""

import select
import sys

from daemons.stores.maildir import Folder


def main(path, flag):
    """Read."""
    uids, gone, changed, ended = {}, set(), set(), False
    with Folder(path) as folder:
        while not ended:
            ended = bool(select.select([sys.stdin], [], [], 0)[0])
            messages = folder.messages()
            now = {message.key: message.uid for message in messages}
            gone |= uids.keys() - now.keys()
            changed |= {key for key in uids.keys() & now.keys() if uids[key] != now[key]}
            uids.update(now)
            for message in folder.accept(messages)[::2]:
                folder.flag(message, flag.encode())
            for message in messages[::7]:
                with folder.open(message) as file:
                    file.read(100)
        print(len(now), len(set(now.values())), len(gone), len(changed), folder.index.trouble)


if __name__ == "__main__":
    main(*sys.argv[1:])
