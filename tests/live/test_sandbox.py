"""Every program does its work inside the sandbox; and what the kernel lacks is told, or with strict stops the start."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from daemons.tools import programs
from tests.live import clients, devlog, installed, machine, processes
from tests.live.launchers import ROOT, WAIT, ByHand, Service
from tests.live.test_launchers import exchange
from tests.play import dialogues

SYSTEM_PYTHON = "/usr/bin/python3"
WITH_DIALOGUES = sorted({dialogue.program for dialogue in dialogues()})
DATAGRAMS = [service.name for service in programs.launched() if "dgram" in service.sockets]
CHANGING = {"timed/time": len, "qotd/file": bool}


@pytest.fixture
def log():
    with devlog.LogSocket() as sock:
        yield sock


def by_hand(log, name, *options, kind="stream"):
    return ByHand(Service(installed.argv(name, f"--log={log.path}", *options), kind, WAIT))


def texts(log, event):
    return [record.text for record in log.records if record.text.startswith(f"{event} ")]


def played(log, dialogue, sandbox):
    """What a program answers to a dialogue over a real connection, and the events it logged, whatever their order.

    Figures are made alike; of what is another answer each time, only the length or that there is one.
    """
    begun, closed = len(log.records), len(texts(log, "close"))
    with by_hand(log, dialogue.program, f"--sandbox={sandbox}", *dialogue.arguments) as host:
        said = clients.converse(host.address, b"".join(dialogue.said))
        log.wait_for(r"\bclose ", count=closed + 1)
        os.kill(host.pid, signal.SIGTERM)
        assert host.wait() == 0
    log.sync()
    events = sorted(record.text.split()[0] for record in log.records[begun:])
    if dialogue.name in CHANGING:
        return CHANGING[dialogue.name](said), events
    return re.sub(rb"\d+", b"0", said), events


@pytest.mark.parametrize("program", WITH_DIALOGUES)
def test_every_dialogue_is_held_inside_as_outside(program, log):
    for dialogue in dialogues(program):
        outside, inside = played(log, dialogue, "off"), played(log, dialogue, "strict")
        assert inside == outside, dialogue.name
        assert not {"crash", "stderr", "unprotected", "unsafe"} & set(inside[1])


def test_every_program_with_a_stream_has_a_dialogue():
    assert [service.name for service in programs.launched() if "stream" in service.sockets] == WITH_DIALOGUES


@pytest.mark.parametrize("name", DATAGRAMS)
def test_every_datagram_program_answers_inside(name, log):
    with by_hand(log, name, "--sandbox=strict", kind="dgram") as host:
        exchange(name, "dgram", host.address)
        assert " sandbox=full " in log.wait_for(r"\bstart ").text
    assert not texts(log, "crash")


@pytest.mark.parametrize("model", ["one", "fork", "thread"])
@pytest.mark.parametrize("restriction", ["--names=yes", "--only-from=localhost", "--only-from=127.0.0.0/8"])
def test_names_and_rules_that_are_loaded_late_work_inside(model, restriction, log):
    with by_hand(log, "echod", "--sandbox=strict", f"--model={model}", restriction) as host:
        said = clients.converse(host.address, b"hello")
        log.wait_for(r"\bopen ")
    with by_hand(log, "echod", "--sandbox=off", f"--model={model}", restriction) as host:
        assert clients.converse(host.address, b"hello") == said
        log.wait_for(r"\bopen ", count=2)
    opened = [re.sub(r"\d{2,}|session=\w+", "", text) for text in texts(log, "open")]
    assert opened[0] == opened[1] and not texts(log, "crash")


# What a need lets through.

def test_a_program_that_runs_another_may_only_when_asked_to(log):
    with by_hand(log, "qotd", "--sandbox=strict", "--exec=/bin/echo a quote") as host:
        assert clients.converse(host.address) == b"a quote\r\n"


def test_fingers_scripts_pages_and_aliases_work_inside(tmp_path, log):
    os.chmod(tmp_path, 0o755)
    pages, elsewhere = tmp_path / "pages", tmp_path / "elsewhere"
    pages.mkdir()
    elsewhere.write_text("found by an alias\n")
    (pages / "plain").write_text("a page\n")
    (pages / "running").write_text("#!/bin/sh\necho it runs: $FINGER_NAME\n")
    (pages / "running").chmod(0o755)
    (tmp_path / "aliases").write_text(f"other: {elsewhere}\n")
    command = [*installed.argv("fingerd", f"--log={log.path}", f"--pages={pages}", "--scripts=pages",
                               f"--aliases={tmp_path}/aliases", "--sandbox=strict")]
    with ByHand(Service(command, wait=WAIT)) as host:
        assert clients.converse(host.address, b"plain\r\n") == b"a page\r\n"
        assert clients.converse(host.address, b"other\r\n") == b"found by an alias\r\n"
        answer = clients.converse(host.address, b"running\r\n")
    if os.geteuid() == 0:
        assert log.wait_for(r"\bscript ").text.endswith('why="not run as root"')
    else:
        assert answer == b"it runs: running\r\n"


def test_identd_finds_owners_inside(log):
    with by_hand(log, "identd", "--sandbox=strict", "--reply=uid") as host, clients.connect(host.address) as sock:
        sock.sendall(b"%d, %d\r\n" % (host.address[1], sock.getsockname()[1]))
        answer = sock.makefile("rb").readline()
    assert re.search(rb" : USERID : OTHER : %d\r\n$" % os.geteuid(), answer), answer


# The life of a server that is kept.

@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_a_server_that_became_somebody_else_starts_anew_and_is_closed_in_again(log):
    probe = [SYSTEM_PYTHON, "-IS", *installed.argv("echod", f"--log={log.path}")]
    if subprocess.run([*probe, "--version"], user="nobody", capture_output=True, check=False).returncode:
        machine.unavailable("nobody can run our programs from this folder with the system's Python")
    with ByHand(Service([*probe, "--user=nobody", "--sandbox=strict"], wait=WAIT)) as host:
        for turn in (1, 2, 3):
            assert log.wait_for(r"\bstart .* sandbox=full ", count=turn).pid == host.pid
            assert clients.converse(host.address, b"hello") == b"hello"
            server, = host.servers()
            assert status(server)["Uid"].split() == ["65534"] * 4
            assert (status(server)["NoNewPrivs"], status(server)["Seccomp"]) == ("1", "2")
            assert {status(server)[kind] for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {"0" * 16}
            os.kill(host.pid, signal.SIGHUP)
        log.wait_for(r"\bstart ", count=4)
    assert [re.search(r"conversations=(\d+)", text)[1] for text in texts(log, "stop")] == ["1", "1", "1"]


def root_of(pid):
    """A process' root directory, or nothing if it is gone."""
    with contextlib.suppress(FileNotFoundError):
        return os.readlink(f"/proc/{pid}/root")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its root directory")
@pytest.mark.parametrize("sandbox", ["strict", "off"])
@pytest.mark.parametrize("model", ["fork", "thread"])
def test_a_server_below_another_root_is_closed_in_there(model, sandbox, tmp_path, log):
    with by_hand(log, "echod", f"--chroot={tmp_path}", f"--sandbox={sandbox}", f"--model={model}",
                 "--only-from=127.0.0.0/8", "--log=stderr") as host:
        machine.until(lambda: " start " in host.log(), what="start")
        assert clients.converse(host.address, b"hello") == b"hello"
        assert {root for pid in {host.pid, *host.servers()} if (root := root_of(pid))} == {str(tmp_path)}
        machine.until(lambda: " close " in host.log(), what="close")
        assert " reason=done " in host.log() and f" sandbox={'full' if sandbox == 'strict' else 'off'} " in host.log()


def status(pid):
    """The lines of /proc/PID/status."""
    with open(f"/proc/{pid}/status") as file:
        return {name: value.strip() for name, value in (line.split(":", 1) for line in file)}


def test_a_server_that_dies_is_replaced_and_the_new_one_is_closed_in(log):
    with by_hand(log, "echod", "--sandbox=on") as host:
        assert clients.converse(host.address, b"hello") == b"hello"
        first, = host.servers()
        os.kill(first, signal.SIGKILL)
        log.wait_for(rf"\bcrash pid={first} status=SIGKILL")
        assert clients.converse(host.address, b"hello") == b"hello"
        second, = host.servers() - {first}
        assert status(second)["Seccomp"] == "2" and status(host.pid)["Seccomp"] == "0"


@pytest.mark.parametrize("options, closed", [(["--sandbox=off"], set()), (["--processes=3"], {"2"}), ([], {"2"})])
def test_no_process_is_there_that_is_not_needed(options, closed, log):
    with by_hand(log, "echod", *options) as host:
        assert clients.converse(host.address, b"hello") == b"hello"
        expected = 0 if not closed else 3 if options else 1
        machine.until(lambda: len(host.servers()) == expected, what="processes")
        # each closes itself in as it begins
        machine.until(lambda: {status(pid)["Seccomp"] for pid in host.servers()} == closed, what="the sandbox of each")


# What the kernel lacks.

# runs a program after a filter of its own: this system call has this error, all others pass
WITHOUT = """
import struct, sys, os
sys.path.append(sys.argv[1])
from daemons.kernel import callnumbers, seccomp, syscalls
code = [(seccomp.LOAD, 0, 0, 0), (seccomp.EQUAL, 0, 1, callnumbers.number(sys.argv[2])),
        (seccomp.RETURN, 0, 0, seccomp.ERRNO | int(sys.argv[3])), *seccomp.ALLOWED]
memory = syscalls.Memory(b"".join(struct.pack("HBBI", *one) for one in code))
syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
syscalls.call("seccomp", 1, 0, struct.pack("HxxxxxxQ", len(code), memory.address))
os.execv(sys.argv[4], sys.argv[4:])
"""


def without(call, error, command):
    """A command line that runs another on a kernel where this call fails."""
    return [sys.executable, "-c", WITHOUT, str(ROOT), call, str(error), *command]


def explained(command):
    """What --explain tells about the sandbox: {layer: text}, and the exit status."""
    done = subprocess.run([*command, "--listen=127.0.0.1:0", "--explain"], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=20, check=False)
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    return dict(rows), done.returncode, done.stderr


LACKING = [("landlock_create_ruleset", 38, "landlock", "this kernel has not got it"),
           ("landlock_create_ruleset", 95, "landlock", "it was switched off when the kernel started"),
           ("landlock_create_ruleset", 1, "landlock", "a filter around us does not let it through"),
           ("seccomp", 38, "seccomp", "this kernel has not got it"),
           ("seccomp", 1, "seccomp", "a filter around us does not let it through"),
           ("prctl", 1, "no_new_privs", "a filter around us does not let it through")]


@pytest.mark.parametrize("call, error, layer, why", LACKING)
def test_what_is_lacking_is_explained_and_logged_and_the_rest_still_holds(call, error, layer, why, log):
    command = installed.argv("echod", f"--log={log.path}")
    rows, status_, _ = explained(without(call, error, command))
    assert status_ == 0 and rows["sandbox"] == "part (asked: auto)"
    assert "NOT ENFORCED: " in rows[layer] and why in rows[layer]
    others = {"capabilities", "landlock", "seccomp"} - {layer} - ({"capabilities"} if call == "prctl" else set())
    assert not any("NOT ENFORCED" in rows[one] for one in others)
    with ByHand(Service(without(call, error, command), wait=WAIT)) as host:
        assert clients.converse(host.address, b"hello") == b"hello"
        record = log.wait_for(rf"\bunprotected layer={layer} why=\".*{why}")
    assert record.priority == "notice" and len(texts(log, "unprotected")) <= 2      # prctl: two layers need it
    assert " sandbox=part " in texts(log, "start")[0]


@pytest.mark.parametrize("call, error, layer, why", LACKING)
@pytest.mark.parametrize("launch", ["by hand", "wait", "nowait"])
def test_strict_does_not_start_without_it(call, error, layer, why, launch, log):
    command = without(call, error, installed.argv("echod", f"--log={log.path}", "--sandbox=strict"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if launch == "by hand":
            process = processes.Processes([*command, "--listen=127.0.0.1:0"], stdin=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL)
        else:
            peer = clients.connect(listener.getsockname())
            sock = listener if launch == "wait" else listener.accept()[0]
            process = installed.as_inetd(command, sock)
            if launch == "nowait":
                sock.close()
        assert process.first.wait(10) == 100
        process.end()
    text = log.wait_for(r"\bmisuse ").text
    assert "--sandbox=strict: " in text and (why in text or call == "prctl") and not texts(log, "start")
    if launch != "by hand":
        with peer:                      # nothing of it reaches the peer
            assert clients.exchange(peer, half_close=False) == b""


@pytest.mark.parametrize("version, lacks", [
    (1, "truncating files, TCP, ioctl on devices, signals and abstract Unix sockets"),
    (2, "truncating files, TCP, ioctl on devices, signals and abstract Unix sockets"),
    (3, "TCP, ioctl on devices, signals and abstract Unix sockets"), (4, "ioctl on devices, signals"),
    (5, "signals and abstract Unix sockets")])
def test_an_older_landlock_does_what_it_can_and_what_it_cannot_is_told(version, lacks, log):
    """strace answers in the kernel's place when the version is asked for; what is set up for it is real."""
    call = "landlock_create_ruleset"
    strace = [machine.program("strace", "strace"), "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
              "-e", f"inject={call}:retval={version}:when=1"]
    command = installed.argv("escaped", f"--log={log.path}")
    rows, status_, _ = explained([*strace, *command])
    assert status_ == 0 and rows["landlock"].startswith(f"version {version}: reads ") and lacks in rows["landlock"]
    assert rows["sandbox"] == "part (asked: auto)"
    with socket.create_server(("127.0.0.1", 0)) as listener, clients.connect(listener.getsockname()) as peer:
        process = installed.as_inetd([*strace, *command], listener)
        peer.sendall(b"reads /etc/shadow\nopens_to_write /etc/passwd\nexecutes /bin/sh\nquit\n")
        assert clients.exchange(peer) == b"refused EACCES\r\nrefused EACCES\r\nrefused EPERM\r\n"
        process.end()
    log.wait_for(r"\bunprotected layer=landlock ")


def test_explain_tells_why_there_is_none():
    rows, *_ = explained(installed.argv("echod", "--sandbox=off"))
    assert rows["sandbox"] == "off (off)" and "landlock" not in rows


def test_explain_tells_what_a_need_opens():
    rows, *_ = explained(installed.argv("fingerd"))
    assert "/home" in rows["landlock"] and "runs none" in rows["landlock"] and "call: none" in rows["landlock"]
    rows, *_ = explained(installed.argv("fingerd", "--scripts=yes", "--forward=192.0.2.1"))
    assert "runs none" not in rows["landlock"] and "call: any" in rows["landlock"]
    assert "IPv4 IPv6" in rows["seccomp"] and "runs programs" in rows["seccomp"]


# Files that are replaced.

def replace(path, text):
    """Put another file in the place of one, as useradd, certbot and editors do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


@pytest.mark.parametrize("options", [[], ["--processes=2"], ["--model=thread"], ["--sandbox=off"]])
def test_a_file_that_was_replaced_is_read_by_a_server_that_is_kept(options, tmp_path, log):
    banner = tmp_path / "banner"
    banner.write_text("first\n")
    with by_hand(log, "fingerd", f"--banner={banner}", *options) as host:
        for text in ("first", "second", "third"):
            replace(banner, f"{text}\n")
            machine.until(lambda text=text: clients.converse(host.address, b"x\r\n").startswith(text.encode()),
                          what="the new file")
        assert not texts(log, "crash")


@pytest.mark.parametrize("options", [["--model=thread"], ["--model=fork"]], ids=" ".join)
def test_nobody_waits_for_conversations_of_before_a_file_was_replaced(options, tmp_path, log):
    banner = tmp_path / "banner"
    banner.write_text("first\n")
    with by_hand(log, "fingerd", f"--banner={banner}", *options) as host, clients.connect(host.address) as before:
        log.wait_for(r"\bopen ")
        replace(banner, "second\n")
        machine.until(lambda: clients.converse(host.address, b"x\r\n").startswith(b"second"), what="the new file")
        assert clients.exchange(before, b"x\r\n"), "who was here before is served to the end"
        assert not texts(log, "crash")


@pytest.mark.parametrize("options", [[], ["--processes=2"]])
def test_a_launched_server_leaves_when_a_file_was_replaced(options, tmp_path, log):
    banner = tmp_path / "banner"
    banner.write_text("first\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = installed.argv("fingerd", f"--log={log.path}", f"--banner={banner}", *options)
        process = installed.as_inetd(command, listener)
        assert clients.converse(listener.getsockname(), b"x\r\n").startswith(b"first")
        replace(banner, "second\n")

        def left():
            """It looks at most once a second, and when somebody calls; who called last waits for the next server."""
            with clients.connect(listener.getsockname()):
                return process.first.poll() is not None
        machine.until(left, what="its end")
        assert process.first.returncode == 0
        assert f"replaced file={banner}" in texts(log, "replaced")[0]
        log.wait_for(r"\bstop why=replaced ")
        process.end()
        again = installed.as_inetd(command, listener)
        assert clients.converse(listener.getsockname(), b"x\r\n").startswith(b"second")
        again.end()
