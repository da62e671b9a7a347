"""fd0 queue: as an administrator types it, with mail that strangers sent."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from daemons.stores import queuefolder
from daemons.stores.mailqueue import Queue
from daemons.stores.queuewriter import QueueWriter
from daemons.tools.__main__ import main
from daemons.wire.queuelines import Recipient
from tests.sources import ROOT

NONE = "0" * 14


@pytest.fixture
def path(tmp_path):
    queuefolder.make(str(tmp_path / "q"))
    return str(tmp_path / "q")


@pytest.fixture
def put(path):
    """Queue a message that came 7500 seconds ago; returns its name."""
    writer = QueueWriter(path)

    def one(*addresses, sender="alice@example.org", text=b"Subject: x\r\n\r\nhello\r\n", **more):
        with writer.new(sender, [Recipient(each) for each in addresses or ("bob@example.net",)],
                        received=time.time() - 7500, **more) as message:
            message.write(text)
            return message.commit()
    yield one
    writer.close()


@pytest.fixture
def fd0(path, capfdbinary):
    """(exit status, lines, complaint) of `fd0 queue`."""
    def run(*arguments):
        try:
            status = main(["queue", *arguments, f"--queue={path}"])
        except SystemExit as end:
            status = end.code
        out, complaint = capfdbinary.readouterr()
        return status, out.decode().splitlines(), complaint.decode()
    return run


def deferred(path, id, *records):
    """Have a worker put recipients off: (place, reply, seconds)."""
    queue = Queue(path)
    with queue.take(id, time.time()) as job:
        for place, reply, seconds in records:
            job.defer([job.envelope.recipients[place]], reply, time.time() + seconds, "mx.example.net")
    queue.close()


# ------------------------------------------------------------------ looking

def test_list(fd0, put, path):
    assert fd0("list") == (0, [f"{path} is empty"], "")
    one, two = put(), put("carol@example.com", *(f"user{each}@example.com" for each in range(9)), sender="")
    deferred(path, one, (0, "451 later", 725))
    fd0("hold", two)
    with open(f"{path}/mail/{NONE}", "wb"):
        pass
    status, lines, complaint = fd0("list")
    rows = [re.split(r"  +", line) for line in lines]
    assert complaint == "fd0 queue: no mailq empties it now; see mailq(8)\n"
    assert (status, rows[0]) == (0, ["ID", "AGE", "SIZE", "STATE", "NEXT TRY", "SENDER", "RECIPIENTS"])
    assert rows[1] == [NONE, "-", "-", "damaged", "-", "-", "its head does not end"]
    assert rows[2] == [one, "2 h 5 min", "21", "deferred", "12 min", "alice@example.org", "bob@example.net"]
    assert rows[3] == [two, "2 h 5 min", "21", "held", "-", "<>",
                       "carol@example.com user0@example.com user1@example.com and 7 more"]
    fd0("release", two)
    assert "  queued    now  " in re.sub(" {2,}now {2,}", "    now  ", fd0("list")[1][3])


def test_list_for_programs(fd0, put):
    assert fd0("list", "--json") == (0, [], "")
    ids = sorted([put(), put("carol@example.com", client="[192.0.2.1]:5")])
    found = [json.loads(line) for line in fd0("list", "--json")[1]]
    assert [one["id"] for one in found] == ids
    assert [one["recipients"][0]["address"] for one in found if one["client"]] == ["carol@example.com"]
    assert [json.loads(line) for line in fd0("show", *ids, "--json")[1]] == found


def test_show(fd0, put, capfdbinary, path):
    id = put("bob@example.net", "carol@example.com", client="[192.0.2.1]:5", text=b"Subject: x\r\n\r\n\xff\0\x1b[2J")
    assert main(["queue", "show", id, f"--queue={path}"]) == 0
    head, _, message = capfdbinary.readouterr().out.partition(b"\n\n")
    assert message == b"Subject: x\r\n\r\n\xff\0\x1b[2J", "as it is, for whoever sends it elsewhere"
    lines = head.decode().splitlines()
    assert lines[:4] == [f"id: {id}", "state: queued", "sender: alice@example.org", "size: 20"]
    assert re.fullmatch(r"received: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", lines[4])
    assert lines[-2:] == ["to: bob@example.net (queued)", "to: carol@example.com (queued)"]
    assert "client: [192.0.2.1]:5" in lines


def test_show_does_not_obey_the_message_at_a_terminal(put, path):
    id = put("b\x1b]0;x\x07ob@example.net", text=b"Subject: x\r\n\r\n\xff\0\x1b[2J\r\nend\r\n")
    outer, inner = os.openpty()
    try:
        done = subprocess.run([sys.executable, "-m", "daemons.tools", "queue", "show", id, f"--queue={path}"], cwd=ROOT,
                              stdout=inner, stderr=subprocess.PIPE, timeout=30)
        assert (done.returncode, done.stderr) == (0, b"")
        shown = os.read(outer, 65536)
    finally:
        os.close(outer)
        os.close(inner)
    assert shown.endswith(b"Subject: x\r\n\r\n\\xff\\x00\\x1b[2J\r\nend\r\n\r\n") and b"to: b\\x1b]0;x\\x07ob@" in shown
    assert not set(shown) & {0, 7, 0x1b}


def test_explain(fd0, put, path):
    id = put("bob@example.net", "carol@example.com")
    deferred(path, id, (0, "451 4.7.1 greylisted", 725))
    assert fd0("explain", id)[1] == [
        f"{id}:", "From alice@example.org, 21 octets, here for 2 h 5 min.",
        "No queue runner listens: nothing is delivered until mailq runs.",
        "bob@example.net: tried once, last 0 s ago; mx.example.net said: 451 4.7.1 greylisted; next try in 12 min.",
        "carol@example.com: not tried yet; it is due as soon as a worker is free."]
    found = json.loads(fd0("explain", id, "--json")[1][0])
    assert found["id"] == id and len(found["explain"]) == 4


def test_summary(fd0, put, path):
    assert fd0("summary")[1][:2] == ["0 messages, 0 octets", "0 recipients"]
    put()
    put("carol@example.com", "dan@example.com")
    queue = Queue(path)
    lines = fd0("summary")[1]
    assert lines[:5] == ["2 messages, 42 octets: 2 queued", "3 recipients: 3 queued", "the oldest came 2 h 5 min ago",
                         "         2 for example.com", "         1 for example.net"]
    assert re.fullmatch(r"\d+ MiB free; a queue runner listens", lines[5])
    queue.close()
    assert json.loads(fd0("summary", "--json")[1][0])["destinations"] == {"example.com": 2, "example.net": 1}


# ------------------------------------------------------------------ meddling

def test_hold_release_retry(fd0, put, path):
    id = put()
    deferred(path, id, (0, "451 later", 725))
    assert fd0("hold", id, "--why=ask Ann") == (0, [f"{id}: held"], "")
    assert f"It is held (ask Ann); fd0 queue release {id} lets it go." in fd0("explain", id)[1]
    assert fd0("release", id) == (0, [f"{id}: released"], "")
    assert fd0("retry", "--all") == (0, [f"{id}: to be tried now"], "")
    queue = Queue(path)
    assert queue.due(time.time(), 9) == {"example.net": [id]}
    queue.close()


def test_reroute(fd0, put):
    put()
    put("carol@example.com")
    assert fd0("reroute", "Example.NET") == (0, ["1 message for Example.NET to be tried now"], "")
    assert fd0("reroute", ".example") == (0, ["0 messages for .example to be tried now"], "")


def test_delete(fd0, put, path):
    one, two = put(), put()
    queue = Queue(path)
    job = queue.take(two, time.time())
    assert fd0("delete", one, two) == (0, [f"{one}: deleted", f"{two}: deleted; a worker has it, and stops before the "
                                           "next recipient"], "")
    assert job.waiting(time.time()) == [] and job.finish() == "gone" and os.listdir(f"{path}/mail") == []
    queue.close()


def test_what_is_not_there_is_named_and_the_rest_is_done(fd0, put, path):
    id = put()
    for action in ("show", "explain", "hold", "release", "retry", "delete"):
        status, lines, complaint = fd0(action, NONE, "../x\x1b", id)
        assert status == 100 and lines
        assert complaint == f"fd0 queue: {NONE} is not there\nfd0 queue: ../x\\x1b is not there\n"
    with open(f"{path}/mail/{NONE}", "wb") as file:
        file.write(b"junk\n\n")
    assert fd0("show", NONE) == (100, [], f"fd0 queue: {NONE}: not a queued message: its first line is another\n")
    assert fd0("delete", "--all") == (0, [f"{NONE}: deleted"], "")
    assert os.listdir(f"{path}/mail") == []


@pytest.mark.parametrize("arguments, complaint", [
    (["delete"], "delete takes one ID or more, or --all"),
    (["hold", NONE, "--all"], "hold takes one ID or more, or --all"),
    (["list", NONE], "list takes no ID"), (["summary", "--all"], "summary takes no ID"),
    (["reroute"], "reroute takes one DOMAIN"), (["reroute", "a", "b"], "reroute takes one DOMAIN"),
    (["retry", NONE, "--why=x"], "--why goes with hold"), (["delete", NONE, "--json"], "delete prints no JSON")])
def test_what_makes_no_sense_is_refused_before_anything_is_done(fd0, put, arguments, complaint):
    id = put()
    assert fd0(*arguments) == (100, [], f"fd0 queue: {complaint}; see fd0 queue --help\n")
    assert fd0("list")[1][1].startswith(id)


def test_where_there_is_no_queue(fd0, path):
    os.rename(path, f"{path}.old")
    assert fd0("list") == (100, [], f"fd0 queue: {path}: there is no queue; say where it lies: --queue=DIR\n")
