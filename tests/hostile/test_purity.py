"""Nothing that a peer sends can forge, split or hide a line of the log, or reach the terminal of who reads it.

Every line is read back by a reader as strict as ours (loglines), which must find exactly the octets that were sent.
"""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel import log as kernel_log
from tests.live import clients, devlog, installed, launchers
from tests.live.launchers import WAIT, ByHand, Service

from . import kit, loglines
from .octets import TRICKS, tricks
from .sink import Sink

WHOLE = 200             # octets of a value that is never cut
texts = st.binary(max_size=WHOLE) | tricks | st.text(max_size=1200).map(
    lambda text: text.encode("utf-8", "surrogatepass"))


def said_is_read(octets, read):
    """Is this value as it was said, or honestly cut?"""
    cut = loglines.CUT.search(read.decode("utf-8", "surrogateescape"))
    if read == octets:
        return True
    kept = read[:len(read) - len(cut[0])] if cut else b"?"
    return octets.startswith(kept) and len(kernel_log.quoted(octets)) > kernel_log.LONGEST_VALUE - 10


@given(st.lists(texts, min_size=1, max_size=6))
def test_what_was_logged_is_read_back_octet_by_octet(values):
    names = ("session", "reason", "why", "seconds", "in", "out")
    with Sink(kit.SERVICES[kit.STREAMS[0]]) as sink:
        sink.log("close", **{f"{name}_": value for name, value in zip(names, values)})
        (event, read), = sink.events
    assert event == "close"
    for name, value in zip(names, values):
        if name in read:                # else the line was full
            assert said_is_read(value, read[name])
    assert len(read) == len(values) or sum(map(len, values)) > 600


@pytest.mark.parametrize("length", range(985, 1003))
def test_a_long_value_is_cut_between_characters_and_never_in_an_escape(length):
    for tail in (b"\x1b\x1b\x1b\x1b\x1b", b"\\\\\\\\\\", b'"""""', "\u0663\u2028".encode() * 3, b"\xff\xff\xff"):
        value = b"x" * length + tail * 40
        with Sink(kit.SERVICES[kit.STREAMS[0]]) as sink:
            sink.log("close", reason=value)
            (_, read), = sink.events
        assert said_is_read(value, read["reason"]), tail


@kit.streams
def test_hostile_words_to_a_program_stay_in_their_lines(name):
    dialogue, sent = kit.starter(name), 0
    options = [one for one in dialogue.arguments if not one.startswith("--log=")]
    with devlog.LogSocket() as log, kit.listening(name, log, *options) as host:
        for trick in TRICKS:
            for data in (trick, trick + b"\r\n"):
                clients.converse(host.address, data[:4000])
                sent += 1
        log.wait_for(" close ", count=sent)
        read = [loglines.parse(record.text) for record in log.records]
        heads = {(record.ident, record.facility) for record in log.records}
    assert heads == {(name, kit.SERVICES[name].facility)}
    known = {event.name for event in (*kernel_log.EVENTS, *kit.SERVICES[name].events)}
    assert {event for event, _ in read} <= known
    assert [event for event, _ in read].count("close") == [event for event, _ in read].count("open") == sent


def test_real_rsyslogd_gets_one_readable_line_for_each_of_ours():
    hosts, count = [], 0
    with devlog.Rsyslog() as log:
        for name in kit.STREAMS:
            with kit.listening(name, log, *kit.starter(name).arguments) as host:
                for trick in TRICKS:
                    clients.converse(host.address, trick[:4000] + b"\r\n")
                    count += 1
                log.wait_for(" close ", count=count)
                hosts.append(name)
        records = log.records
    assert {record.ident for record in records} == set(hosts)
    events = [loglines.parse(record.text)[0] for record in records]
    assert events.count("open") == events.count("close") == count


@pytest.mark.parametrize("model", ["one", "fork", "thread"])
def test_a_peers_words_in_our_own_explanations_forge_nothing(model):
    with devlog.LogSocket() as log:
        service = Service(installed.argv("weakd", f"--log={log.path}", f"--model={model}"), wait=WAIT)
        with ByHand(service) as host:
            tried = [trick for trick in TRICKS if b"\n" not in trick]
            for trick in tried:
                clients.converse(host.address, b"end " + trick + b"\r\n")
            log.wait_for(" close ", count=len(tried))
            assert clients.converse(host.address, b"say still here\r\n") == b"200 said\r\n"
            read = [loglines.parse(record.text) for record in log.records]
    assert [values["reason"] for event, values in read if event == "close"][:len(tried)] == [
        b"toolong"] * len(tried)
    assert "crash" not in [event for event, _ in read]


def test_the_name_of_a_unix_peer_is_his_own_invention(tmp_path):
    names = [b"\0x\n<0>forged", b"\0" + b"\x1b]0;x\x07", b"\0" + b"a=b \"c\"" + b"\xff", b"\0" + b"y" * 100]
    with devlog.LogSocket() as log:
        service = Service(installed.argv("weakd", f"--log={log.path}"), "unix", WAIT)
        with ByHand(service) as host:
            for name in names:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(10)
                    sock.bind(name)
                    sock.connect(host.address)
                    assert clients.exchange(sock, b"say hello\r\n") == b"200 said\r\n"
            log.wait_for(" close ", count=len(names))
            read = [loglines.parse(record.text) for record in log.records]
    wanted = [b"unix:@" + name[1:].decode("utf-8", "backslashreplace").encode() for name in names]
    assert [values["from"] for event, values in read if event == "open"] == wanted


def test_stderr_is_read_by_people_and_gets_the_same_lines():
    lines = b"".join(b"say " + trick + b"\r\n" for trick in TRICKS if b"\n" not in trick)
    done = launchers.pipes(installed.argv("weakd", "--log=stderr"), lines)
    assert done.returncode == 0
    for line in done.stderr.decode().splitlines():      # strictly UTF-8, and every kind of line break
        loglines.parse(line.partition(": ")[2])
