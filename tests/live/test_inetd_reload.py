"""Our inetd reads its files again at SIGHUP: what is still wanted stays open, and whoever talks may go on."""

import os
import signal
import socket
import sys

import pytest

from tests.live import clients, inetds, machine
from tests.live.inetds import HOST, LISTENER, Inetd, asked, defaults, pythonic, said_and_heard, service

address = other = third = inetds.address        # fixtures
folder, python = inetds.folder, inetds.python


def hello(name, address, word="hello", **attributes):
    """A service that says a word."""
    return service(name, address, "/bin/echo", word, **attributes)


def test_conversations_and_sockets_survive_and_the_next_caller_gets_what_changed(address, other, third):
    talk = service("talk", address, "/bin/cat")
    with Inetd(talk + hello("word", other, "old") + hello("gone", third)) as inetd, clients.connect(address) as sock:
        assert said_and_heard(sock) and asked(other) == "old\n"
        before = [machine.listeners("stream", where) for where in (address, other)]
        inetd.reload(talk.replace("/bin/cat", "/bin/true") + hello("word", other, "new"))
        assert "RELOADING=1" in inetd.told
        inetd.log.wait_for("reload services=2 kept=2 new=0 gone=1$")
        assert [machine.listeners("stream", where) for where in (address, other)] == before
        assert said_and_heard(sock) and (asked(other), asked(address)) == ("new\n", "")
        with pytest.raises(ConnectionRefusedError):
            clients.connect(third)


def test_a_service_that_is_gone_lets_its_conversations_finish_and_a_new_one_opens(address, other):
    flags = {"log_on_success": "EXIT"}
    with Inetd(service("cat", address, "/bin/cat", **flags)) as inetd, clients.connect(address) as sock:
        assert said_and_heard(sock)
        inetd.reload(hello("new", other))
        assert asked(other) == "hello\n"
        assert not machine.listeners("stream", address) and said_and_heard(sock)
        inetd.reload(hello("taken", address))           # the port can be had again meanwhile
        assert asked(address) == "hello\n" and said_and_heard(sock)
        sock.shutdown(socket.SHUT_WR)
        inetd.log.wait_for("EXIT service=cat status=0")
        assert inetd.end() == 0


def test_a_waiting_server_goes_on_and_the_next_one_gets_what_changed(address, python):
    with Inetd(pythonic("echo", address, python(LISTENER), wait="yes")) as inetd:
        assert clients.converse(address, b"hello") == b"hello"
        servers, socket_ = inetd.children(), machine.listeners("stream", address)
        upper = python(LISTENER.replace("sendall(data)", "sendall(data.upper())"))
        inetd.reload(pythonic("echo", address, upper, wait="yes"))
        assert clients.converse(address, b"hello") == b"hello"
        assert (inetd.children(), machine.listeners("stream", address)) == (servers, socket_)
        os.kill(servers[0], signal.SIGTERM)
        machine.until(lambda: inetd.children() == [], what="end of server")
        assert clients.converse(address, b"hello") == b"HELLO"
        assert machine.listeners("stream", address) == socket_


@pytest.mark.parametrize("first", ["yes", "no"])
def test_wait_may_change_and_the_socket_stays(address, python, first):
    waits, each = pythonic("echo", address, python(LISTENER), wait="yes"), service("echo", address, "/bin/cat")
    texts = [waits, each] if first == "yes" else [each, waits]
    with Inetd(texts[0]) as inetd, clients.connect(address) as sock:
        assert said_and_heard(sock)
        before = machine.listeners("stream", address)
        inetd.reload(texts[1])
        inetd.log.wait_for("reload services=1 kept=1 new=0 gone=0$")
        assert clients.converse(address, b"hello") == b"hello"
        assert machine.listeners("stream", address) == before
        if first == "no":               # a server of its own is asked nothing; one that waits was told to end
            assert said_and_heard(sock)


def test_a_waiting_server_that_does_not_end_is_ended_after_the_grace(address, python):
    stubborn = python("import signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LISTENER)
    text = pythonic("echo", address, stubborn, wait="yes", log_on_success="EXIT")
    with Inetd(text + hello("other", (HOST, 1), disable="yes"), "--grace=0.1") as inetd:
        assert clients.converse(address, b"hello") == b"hello"
        inetd.reload("")
        inetd.log.wait_for("EXIT service=echo status=SIGKILL")
        assert not machine.listeners("stream", address)


def test_a_path_that_is_kept_stays_and_one_that_is_not_goes(folder):
    kept, gone = str(folder / "kept"), str(folder / "gone")
    with Inetd(service("kept", kept, "/bin/cat") + service("gone", gone, "/bin/cat")) as inetd:
        before = os.stat(kept)
        inetd.reload(service("kept", kept, "/bin/cat"))
        assert os.stat(kept).st_ino == before.st_ino and not os.path.exists(gone)
        assert clients.converse(kept, b"hello") == b"hello"


@pytest.mark.parametrize("broken, why", [
    ("service word\n{\n    port = 1\n", "xinetd.conf:1: no '}' for the section"),
    ("servise word\n{\n}\n", "'servise' does not begin a section"),
    ("include /no/such/file\n", "cannot read /no/such/file"),
    ("includedir /no/such/folder\n", "cannot read /no/such/folder"),
    ("defaults\n{\n    no_access = 1.2.3.4.5\n}\n", "no_access: "),
    ("}\n", "xinetd.conf:1: "),
    (None, "others may write to it"),
])
def test_a_broken_file_changes_nothing_and_is_said(address, other, broken, why):
    text = hello("word", address, "old")
    with Inetd(text) as inetd:
        before = machine.listeners("stream", address)
        if broken is None:
            inetd.file.chmod(0o666)
        inetd.reload((broken or "") + hello("word", address, "new") + hello("more", other))
        record = inetd.log.wait_for("not reloaded, all services stay as they are: ")
        assert why in record.text and record.priority == "err"
        assert asked(address) == "old\n" and machine.listeners("stream", address) == before
        assert not machine.listeners("stream", other) and not inetd.lines("reload")
        inetd.file.chmod(0o644)
        inetd.reload(hello("word", address, "new"))
        assert asked(address) == "new\n"


def test_a_missing_file_changes_nothing(address):
    with Inetd(hello("word", address)) as inetd:
        inetd.file.unlink()
        inetd.tell(signal.SIGHUP)
        inetd.log.wait_for("not reloaded, .*cannot read .*No such file")
        assert asked(address) == "hello\n"


def test_a_service_that_is_wrong_now_stays_as_it_was_and_the_others_change(address, other, third):
    with Inetd(hello("bad", address, "old", no_access="127.0.0.2") + hello("good", other, "old")) as inetd:
        inetd.reload(hello("bad", address, "new", no_access="127.0.0.2/255") + hello("good", other, "new")
                     + hello("worse", third, umask="9"))
        inetd.log.wait_for(r"config at=\S+:\d+ severity=error text=.no_access: ")
        inetd.log.wait_for("reload services=2 kept=2 new=0 gone=0 refused=bad$")
        assert (asked(address), asked(other)) == ("old\n", "new\n")
        assert asked(address, source="127.0.0.2") == "" and not machine.listeners("stream", third)
        inetd.reload(hello("good", other, "new"))       # not wanted any more
        assert not machine.listeners("stream", address)


def test_with_strict_a_warning_changes_nothing(address):
    with Inetd(hello("word", address, "old"), "--strict") as inetd:
        inetd.reload(hello("word", address, "new", colour="red"))
        inetd.log.wait_for("not reloaded, .*--strict, and 1 problem")
        assert asked(address) == "old\n"


def test_changed_defaults_hold_for_the_next_caller(address, other):
    services = hello("one", address) + hello("two", other, no_access="", instances="7")
    with Inetd(services) as inetd:
        assert (asked(address), asked(other)) == ("hello\n", "hello\n")
        inetd.reload(defaults(no_access="127.0.0.1", log_on_failure="HOST") + services)
        assert (asked(address), asked(other)) == ("", "hello\n")
        inetd.log.wait_for("FAIL service=one")
        inetd.reload(services)
        assert asked(address) == "hello\n"


def test_a_service_that_found_its_port_taken_is_tried_again(address, other):
    text = hello("late", address) + hello("word", other)
    with socket.create_server(address), Inetd(text) as inetd:
        inetd.log.wait_for("FAIL service=late")
        inetd.reload(text)
        inetd.log.wait_for("FAIL service=late", count=2)
    with socket.create_server(address) as foreign, Inetd(text) as inetd:
        foreign.close()
        inetd.reload(text)
        assert asked(address) == "hello\n"
        inetd.log.wait_for("reload services=2 kept=1 new=1 gone=0")


def test_errors_may_go_to_the_log_from_now_on(address):
    server = ["/bin/sh", "-c", "echo${IFS}oops>&2"]
    with Inetd(service("sh", address, *server)) as inetd:
        assert asked(address) == "oops\n"
        inetd.reload(service("sh", address, *server, stderr="log"))
        assert asked(address) == ""
        inetd.log.wait_for("stderr service=sh text=oops")
        inetd.reload(service("sh", address, *server))
        assert asked(address) == "oops\n"


def test_nobody_is_lost_while_it_reads_its_files_again_and_again(address):
    texts = [service("cat", address, "/bin/cat", cps="0 0", instances=number) for number in ("500", "400")]
    with Inetd(texts[0]) as inetd:
        for number in range(60):
            written = inetd.file.with_name("written")       # in one step: it may be read any time
            written.write_text(texts[number % 2])
            written.replace(inetd.file)
            inetd.tell(signal.SIGHUP)
            assert clients.converse(address, b"hello") == b"hello"
        inetd.log.wait_for("reload ")
        assert inetd.end() == 0
        assert not inetd.lines("FAIL")


def test_a_changed_program_is_found_for_each_caller_anew(address, folder):
    script = folder / "script"
    script.write_text("#!/bin/sh\necho old\n")
    script.chmod(0o755)
    with Inetd(service("script", address, script)):
        assert asked(address) == "old\n"
        new = folder / "new"
        new.write_text(f"#!{sys.executable} -IS\nprint('new')\n")
        new.chmod(0o755)
        new.rename(script)
        assert asked(address) == "new\n"
