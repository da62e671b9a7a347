"""Our inetd and Debian's xinetd with the same files: what a client sees is equal, or the difference has a name.

Each row of the table is a configuration and what a client does with it; the result must be one value for both.
A row with a `difference` says what xinetd gives instead, and why ours is other.
"""

import contextlib
import os
import re
import signal
import socket
import time

import pytest

from tests.live import clients, inetds, machine, processes
from tests.live.launchers import OurInetd, Xinetd

HOST = "127.0.0.1"


def service(name, server="/bin/cat", **attributes):
    """The text of a service, in an order that xinetd survives."""
    values = {"id": name, "type": "UNLISTED", "flags": "NOLIBWRAP", "socket_type": "stream", "protocol": "tcp",
              "wait": "no", "user": "root", "port": 1, "server": server, "cps": "1000 1", **attributes}
    last = {key: values.pop(key) for key in ("server_args",) if key in values}
    rows = "".join(f"    {key} = {value}\n" for key, value in {**values, **last}.items() if value is not None)
    return f"service {name}\n{{\n{rows}}}\n"


def shell(name, script, **attributes):
    """A service that is a line of shell, whose blanks are tabs here."""
    return service(name, "/bin/sh", server_args="-c " + script.replace(" ", "${IFS}"), **attributes)


def internal(name, **attributes):
    return service(name, None, type="INTERNAL UNLISTED", **attributes)


def muxed(name, server, kind="TCPMUX", **attributes):
    return service(name, server, type=f"{kind} UNLISTED", port=None, **attributes)


def span(first, last):
    """access_times from so many minutes before now to so many after it."""
    return "-".join(time.strftime("%H:%M", time.localtime(time.time() + 60 * minutes)) for minutes in (first, last))


# what clients do: each takes the launcher and returns what was seen

def say(data=b"", name="one", **how):
    return lambda host: clients.converse(host.addresses[name], data, **how)


def each(*actions):
    return lambda host: [action(host) for action in actions]


def second_caller(host):
    """What the same source sees while it is served, and for per_source another one."""
    with clients.connect(host.addresses["one"]) as first:
        first.sendall(b"x")
        assert first.recv(1) == b"x"
        return clients.converse(host.addresses["one"]), clients.converse(host.addresses["one"], source="127.0.0.9")


def from_elsewhere(host):
    return clients.converse(host.addresses["one"], source="127.0.0.9")


def kind_of_lines(name):
    """What is said, with every digit and letter turned into one."""
    def act(host):
        with clients.connect(host.addresses[name]) as sock:
            seen = sock.makefile("rb").readline()
        return re.sub(rb"[0-9]+", b"0", re.sub(rb"[A-Za-z]+", b"A", seen))
    return act


def first_line(name):
    def act(host):
        with clients.connect(host.addresses[name]) as sock:
            return sock.makefile("rb").readline(74)
    return act


def ask(name, data=b"hello"):
    return lambda host: clients.ask(host.addresses[name], data)


def redirected(host):
    """Both ways through a redirect, with a half-close."""
    with socket.create_server((HOST, TARGET.number)) as server, clients.connect(host.addresses["one"]) as caller:
        server.settimeout(10)
        caller.sendall(b"question")
        caller.shutdown(socket.SHUT_WR)
        with server.accept()[0] as called:
            called.settimeout(10)
            question = b""
            while data := called.recv(100):
                question += data
            called.sendall(b"answer")
        return question, clients.exchange(caller, half_close=False)


def nobody_there(host):
    return clients.converse(host.addresses["one"])


def then_denied(host):
    """A conversation goes on, and a reload forbids its caller: does it go on?"""
    with clients.connect(host.addresses["one"]) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        text = host.configuration.read_text().replace("only_from = 127.0.0.0", "only_from = 10.0.0.0")
        host.configuration.write_text(text)
        if isinstance(host, OurInetd):
            os.kill(host.pid, signal.SIGHUP)
            return sock.recv(1)
        host.reload()
        sock.sendall(b"y")
        return sock.recv(1)


def burst(host):
    """How many of some callers at once are served."""
    callers, served = [], 0
    for _ in range(6):
        with contextlib.suppress(ConnectionRefusedError):       # the port is closed already
            callers.append(clients.connect(host.addresses["one"]))
    for sock in callers:
        with sock:
            try:
                sock.sendall(b"x")
                sock.shutdown(socket.SHUT_WR)
                served += sock.recv(1) == b"x"
            except OSError:
                continue
    return served


def environment(host):
    said = clients.converse(host.addresses["one"]).decode().splitlines()
    return sorted(line for line in said if line.split("=")[0] in ("A", "REMOTE_HOST", "KEPT", "HOME"))


@pytest.fixture(scope="module", autouse=True)
def target():
    """A port for redirect to lead to."""
    global TARGET
    TARGET = machine.Port()
    yield
    TARGET.release()


TARGET = None
LISTENER = ("python", "import socket\nlistener = socket.socket(fileno=0)\nfor _ in range(2):\n"
                      "    with listener.accept()[0] as conn:\n        conn.sendall(conn.recv(9))\n")


@pytest.fixture
def files():
    """A folder with banners and a server that waits."""
    folder = processes.new_folder("rows")
    for name in ("always", "success", "fail"):
        with open(f"{folder}/{name}", "w") as file:
            file.write(f"{name}\r\n")
    with open(f"{folder}/listener", "w") as file:
        file.write(f"#!/usr/bin/python3 -IS\n{LISTENER[1]}")
    os.chmod(f"{folder}/listener", 0o755)
    return folder


BANNERS = {"banner": "FILES/always", "banner_success": "FILES/success", "banner_fail": "FILES/fail"}
MUX = internal("tcpmux")
WHO = {"server": "/usr/bin/id", "server_args": "-un"}

ROWS = {
    # name: (configuration, what a client does[, (what xinetd gives instead, why)])
    "a server on the connection": (service("one"), say(b"hello")),
    "arguments": (service("one", server_args="-n /proc/self/cmdline"), say()),
    "NAMEINARGS": (service("one", flags="NOLIBWRAP NAMEINARGS", server_args="zero /proc/self/cmdline"), say()),
    "errors go to the caller": (shell("one", "echo out; echo err >&2"), say()),
    "umask, from xinetd": (shell("one", "umask"), say()),
    "umask, from the file": (shell("one", "umask", umask="027"), say()),
    "rlimit_files": (shell("one", "ulimit -n; ulimit -Hn", rlimit_files="77"), say()),
    "rlimit_cpu": (shell("one", "ulimit -t", rlimit_cpu="9"), say()),
    "rlimit_as": (shell("one", "ulimit -v", rlimit_as="512M"), say()),
    "nice": (shell("one", "nice", nice="5"), say()),
    "user": (service("one", **{**WHO, "server_args": "-u"}, user="daemon"), say()),
    "group": (service("one", **{**WHO, "server_args": "-gn"}, user="daemon", group="mail"), say()),
    "no other groups": (service("one", **{**WHO, "server_args": "-Gn"}, user="root"), say()),
    "groups = yes": (service("one", **{**WHO, "server_args": "-Gn"}, user="root", groups="yes"), say()),
    "env and passenv": (service("one", "/usr/bin/env", env="A=$HOME", passenv=""), environment),
    "passenv of one": (service("one", "/usr/bin/env", passenv="KEPT"), environment),
    "the directory": (service("one", "/bin/pwd"), say()),
    "only_from lets in": (service("one", only_from="127.0.0.0"), say(b"x")),
    "only_from keeps out": (service("one", only_from="10.0.0.0"), say()),
    "only_from of nobody": (service("one", only_from=""), say()),
    "no_access keeps out": (service("one", no_access="127.0.0.1"), say()),
    "the better match wins": (service("one", only_from="127.0.0.0", no_access="127.0.0.9"),
                              each(say(b"x"), from_elsewhere)),
    "factors": (service("one", only_from="127.0.0.{1,2}"), each(say(b"x"), from_elsewhere)),
    "a network of bits": (service("one", only_from="127.0.0.0/29"), each(say(b"x"), from_elsewhere)),
    "instances": (service("one", instances="1"), second_caller),
    "per_source": (service("one", per_source="1"), second_caller),
    "access_times, now": (service("one", access_times=span(-30, 30)), say(b"x")),
    "access_times, later": (service("one", access_times=span(30, 60)), say()),
    "max_load": (service("one", max_load="0.001"), say()),
    "banners": (service("one", **BANNERS), say(b"hello")),
    "banners of a refusal": (service("one", only_from="10.0.0.0", **BANNERS), say()),
    "banners of a limit": (service("one", instances="1", banner_fail="FILES/fail"), second_caller),
    "wait = yes": (service("one", "FILES/listener", wait="yes"), each(say(b"a"), say(b"b"), say(b"c"))),
    "redirect": (service("one", None, redirect=f"{HOST} TARGET"), redirected, (
        (b"question", b""), "xinetd forgets the answer once its caller has half-closed; TCP has it otherwise")),
    "redirect to nobody": (service("one", None, redirect=f"{HOST} TARGET"), nobody_there),
    "tcpmux": (MUX + muxed("plain", "/usr/bin/id", server_args="-un", user="daemon")
               + muxed("plus", "/bin/pwd", "TCPMUXPLUS") + service("one", "/bin/pwd", port=2),
               each(*(say(line, "tcpmux", half_close=False) for line in (b"plain\r\n", b"PLAIN\r\n", b"one\r\n",
                                                                        b"plus\r\n", b"help\r\n"))),
               ([b"daemon\n", b"daemon\n", b"-Service name not found\r\n\0", b"+Go\r\n\0/\n",
                 b"-Service name not found\r\n\0"],
                "xinetd has other words, sends the NUL behind them, and no list for help (RFC 1078)")),
    "echo": (internal("echo"), say(b"hello", "echo")),
    "discard": (internal("discard"), say(b"hello", "discard")),
    "time": (internal("time"), lambda host: abs(int.from_bytes(clients.converse(host.addresses["time"]), "big")
                                                - int(time.time()) - 2208988800) < 5),
    "daytime": (internal("daytime"), kind_of_lines("daytime"), (
        b"0 A 0 0:0:0 A\r\n", "RFC 867 leaves the form open; ours is the RFC's own, and in UTC")),
    "chargen": (internal("chargen"), first_line("chargen"),
                (b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n",
                 "RFC 864 begins with the blank, and has 95 characters")),
    "echo of datagrams": (internal("echo", socket_type="dgram", protocol="udp", wait="yes"), ask("echo")),
    "time of datagrams": (internal("time", socket_type="dgram", protocol="udp", wait="yes"),
                          lambda host: len(clients.ask(host.addresses["time"], b""))),
    "a sensor": (service("trap", flags="NOLIBWRAP SENSOR", deny_time="5") + service("one", port=2),
                 each(say(b"x"), say(b"", "trap"), say(), from_elsewhere)),
    "a sensor that never denies": (service("trap", flags="NOLIBWRAP SENSOR", deny_time="NEVER")
                                   + service("one", port=2),
                                   each(say(b"", "trap"), say(b"x"))),
    "cps": (service("one", cps="2 1"), burst, (
        2, "xinetd closes the port, and who waits in its queue is lost; ours lets them wait their turn")),
    "a reload that denies a caller": (service("one", only_from="127.0.0.0"), then_denied, (
        b"y", "xinetd(8) promises that access is checked again, but xinetd 2.3.15 does not do it; ours does")),
    "libwrap keeps out": (service("one", flags="NORETRY"), say()),
    "libwrap lets in by another name": (service("one", flags="NORETRY", libwrap="friend"), say(b"x")),
    "NOLIBWRAP": (service("one"), say(b"x")),
}


def seen(launcher, text, act, files):
    """What a client sees of a launcher with these services."""
    with open(f"{files}/hosts.allow", "w") as file:
        file.write("friend: ALL\n")
    with open(f"{files}/hosts.deny", "w") as file:
        file.write("ALL: ALL\n")
    mounts = "".join(f"mount --bind {files}/{name} /etc/{name} && " for name in ("hosts.allow", "hosts.deny"))
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mounts} exec "$@"', "sh"]
    paths = {"FILES": files, "TARGET": TARGET.number}
    with launcher.of_file(text, paths=paths, environment={"KEPT": "kept", "HOME": "/"}, prefix=prefix) as host:
        return act(host)


@pytest.mark.parametrize("name", ROWS)
def test_a_client_sees_the_same(name, files):
    inetds.need_root()
    text, act, *difference = ROWS[name]
    ours, theirs = (seen(launcher, text, act, files) for launcher in (OurInetd, Xinetd))
    if not difference:
        assert ours == theirs
        return
    [(instead, why)] = difference
    assert theirs == instead and ours != instead and why


def test_the_table_looks_at_something():
    assert len(ROWS) > 45 and sum(len(row) > 2 for row in ROWS.values()) < 8
