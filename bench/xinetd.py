"""A private xinetd on loopback ports, with the services of one bench."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

from . import load, procfs

PATHS = "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ.get("PATH", "/usr/bin:/bin")

HEAD = """defaults
{{
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
    log_type = FILE {folder}/xinetd.service.log
}}
"""
SERVICE = """service {id}
{{
    type = UNLISTED
    flags = IPv4
    bind = 127.0.0.1
    port = {port}
    socket_type = stream
    protocol = tcp
    wait = {wait}
    user = {user}
    server = {server}
{arguments}}}
"""


def program(name, package):
    """The path of an installed program; ends the bench with the Debian package to install where it is missing."""
    path = shutil.which(name, path=PATHS)
    if path is None:
        sys.exit(f"{name} is not installed: apt-get install {package}")
    return path


def free_port():
    """A loopback port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Xinetd:
    """`with Xinetd(folder, {name: (argv, wait)}) as host` serves; host.address[name] is where."""

    def __init__(self, folder, services, ready=load.ready):
        self.folder, self.services, self.ready = folder, services, ready
        self.address = {name: ("127.0.0.1", free_port()) for name in services}

    def __enter__(self):
        path = f"{self.folder}/xinetd.conf"
        with open(path, "w") as file:
            file.write(HEAD.format(folder=self.folder) + "".join(map(self._entry, self.services)))
        with open(f"{self.folder}/xinetd.out", "wb") as out:
            self.process = subprocess.Popen(
                [program("xinetd", "xinetd"), "-dontfork", "-stayalive", "-f", path, "-filelog",
                 f"{self.folder}/xinetd.log", "-pidfile", f"{self.folder}/xinetd.pid"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")})
        try:
            for address in self.address.values():
                self.ready(address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        end(self.process.pid)
        self.process.wait()

    def cpu(self):
        """Microseconds of processor time used by xinetd and the servers that are its children, ended ones too."""
        return sum(procfs.cpu(pid) for pid in procfs.tree(self.process.pid))

    def _entry(self, name):
        (server, *arguments), wait = self.services[name]
        return SERVICE.format(
            id=name.replace(" ", "-"), port=self.address[name][1], wait="yes" if wait else "no",
            user=pwd.getpwuid(os.geteuid()).pw_name, server=server,
            arguments=f"    server_args = {' '.join(arguments)}\n" if arguments else "")


def end(root, seconds=5):
    """Kill a process and all that came of it, by their ids, and return when they are gone (or zombies of ours).

    They are stopped first, until no new one is found, so that none is born behind our back.
    """
    pids = []
    while (found := procfs.tree(root)) != pids:
        pids = found
        _signal(pids, signal.SIGSTOP)
    _signal(pids, signal.SIGKILL)
    limit = time.monotonic() + seconds
    while any(map(procfs.is_running, pids)) and time.monotonic() < limit:
        time.sleep(0.01)


def _signal(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
