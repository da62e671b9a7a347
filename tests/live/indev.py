"""Run a command in a /dev of its own, in which /dev/log leads to a given socket.

    indev.py SOCKET -- COMMAND [ARGUMENT...]

The machine's /dev is one for all: a socket bound there would take every program's log lines.  So the command gets a
private mount namespace with a small /dev: the usual devices and a symbolic link /dev/log.  SOCKET, an absolute path,
need not exist.  Needs root.  The command replaces us: same process id, nothing left to clean up.
"""

import os
import sys

# The new /dev is built over the socket's folder, and hides it only until it is moved; so no folder must be made for it.
SCRIPT = """
base=$(dirname "$1")
mount -t tmpfs -o mode=755,nosuid tmpfs "$base"
for name in null zero full random urandom tty; do
    [ -e "/dev/$name" ] || continue
    : > "$base/$name"
    mount --bind "/dev/$name" "$base/$name"
done
for name in pts shm; do
    [ -d "/dev/$name" ] || continue
    mkdir "$base/$name"
    mount --rbind "/dev/$name" "$base/$name"
done
ln -s pts/ptmx "$base/ptmx"
ln -s /proc/self/fd "$base/fd"
ln -s fd/0 "$base/stdin"
ln -s fd/1 "$base/stdout"
ln -s fd/2 "$base/stderr"
ln -s "$1" "$base/log"
mount --move "$base" /dev
shift
exec "$@"
"""


def main(socket="", separator="", *command):
    """Become the command; exit status 127 when it is not there, 1 or 32 when something is not allowed."""
    if separator != "--" or not command or not os.path.isabs(socket):
        sys.exit(__doc__)
    shell = ["sh", "-ec", SCRIPT, "indev.py", socket, *command]
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *shell])


if __name__ == "__main__":
    main(*sys.argv[1:])
