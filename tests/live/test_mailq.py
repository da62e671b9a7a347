"""mailq with real servers before it: what it says to them, what it makes of what they say, and what a kill costs."""

import os
import signal
import smtplib
import socket
import tempfile
import time
from pathlib import Path

import pytest

from daemons.stores import accounts
from daemons.stores.maildelivery import Delivery
from daemons.stores.maildir import Folder
from daemons.wire.queuelines import Recipient
from tests import certificates
from tests.live import launchers, machine, mailhops, processes
from tests.live.mailhops import TEXT, Hop, Mailq, Names
from tests.serving import Serving

RECORDS = ("mx-host=one.test,mx.one.test,10", "host-record=mx.one.test,127.0.0.1",
           "host-record=plain.test,127.0.0.1", "mx-host=none.test,.,0",
           "mx-host=both.test,dead.test,5", "mx-host=both.test,mx.one.test,10", "host-record=dead.test,127.0.0.9",
           "mx-host=loop.test,us.test,5", "mx-host=loop.test,mx.one.test,10",
           "mx-host=lost.test,gone.test,5", "host-record=six.test,::1")


@pytest.fixture(scope="module")
def names():
    mailhops.need()
    made = Names(*RECORDS)
    yield made
    made.end()


@pytest.fixture
def hop():
    mailhops.need()
    made = Hop()
    yield made
    made.end()


@pytest.fixture
def mailq(tmp_path, names, hop):
    made = Mailq(tmp_path, f"--resolver={names.place}", f"--port={hop.port.number}",
                 f"--accounts={accounts_of(tmp_path)}", f"--mail={tmp_path}/mail", "--retry=30")
    yield made
    made.end()


def accounts_of(folder):
    path = f"{folder}/accounts.db"
    made = accounts.open(path, create=True)
    made.add_domain("example.org")
    made.add_user("alice@example.org", b"a password of hers")
    made.add_alias("team@example.org", "alice@example.org", "bob@one.test")
    made.add_user("dave@example.org", b"a password of his")
    made.set_quota("dave@example.org", None, 1)
    made.add_user("erin@example.org", b"a password of hers, too")
    made.set_quota("erin@example.org", 100, None)
    made.add_alias("crew@example.org", "alice@example.org", "dave@example.org", "bob@one.test")
    return path


def inbox(folder, user="alice"):
    """The texts in alice's inbox, or in that of another one."""
    made = accounts.open(f"{folder}/accounts.db")
    place = made.mailbox_of(f"{user}@example.org").folder
    try:
        with Folder(f"{folder}/mail/{place}") as box:
            return [b"".join(box.octets(one)) for one in box.messages()]
    except FileNotFoundError:
        return []


def fill(folder, user="dave"):
    """Have the inbox of one who may have a single mail hold it."""
    place = accounts.open(f"{folder}/accounts.db").mailbox_of(f"{user}@example.org").folder
    with Folder(f"{folder}/mail/{place}") as box:
        box.create()
        with Delivery(box) as delivery:
            delivery.write(b"Subject: the first\r\n\r\n")
            delivery.keep()


# -- where it goes --


@pytest.mark.parametrize("domain", ["one.test", "plain.test", "both.test", "[127.0.0.1]"])
def test_mail_goes_to_the_servers_of_its_domain(mailq, hop, domain):
    mailq.put(f"bob@{domain}")
    mailq.start().until_empty()
    assert [(sender, to, text) for sender, to, text, *_ in hop.mails] == [
        ("alice@example.org", [f"bob@{domain}"], TEXT)]
    line, = mailq.told("sent ")
    assert f"to=bob@{domain}" in line and "250 2.0.0 taken" in line and f":{hop.port.number}" in line
    assert mailq.stop() == 0


def test_a_server_that_has_ipv6_alone(mailq, hop):
    machine.need_ipv6()
    other = Hop("::1", hop.port)
    try:
        mailq.put("bob@six.test")
        mailq.start().until_empty()
        assert other.recipients() == ["bob@six.test"]
    finally:
        other.controller.stop()


@pytest.mark.parametrize("domain, status, words", [
    ("none.test", "5.1.10", "takes no mail"), ("nowhere.test", "5.1.2", "no such domain"),
    ("loop.test", "5.4.6", "loops back"), ("lost.test", "5.4.4", "no address")])
def test_where_nobody_can_take_it_the_sender_is_told(mailq, hop, tmp_path, domain, status, words):
    mailq.put(f"bob@{domain}")
    mailq.start().until_empty()
    assert hop.mails == []
    notice, = inbox(tmp_path)
    assert f"Status: {status}".encode() in notice and f"<bob@{domain}>".encode() in notice
    assert mailq.told("bounced", words)


def test_routes_and_smarthost_go_before_the_domains_own_servers(mailq, hop, tmp_path):
    relay = Hop()
    try:
        (tmp_path / "routes").write_text(f"one.test 127.0.0.1:{relay.port.number}\nplain.test -\n")
        mailq.put("bob@one.test", "carol@plain.test", "dave@sub.one.test")
        mailq.start(f"--routes={tmp_path}/routes", f"--smarthost=[127.0.0.1]:{relay.port.number}").until_empty()
        assert relay.recipients() == ["bob@one.test", "dave@sub.one.test"]
        assert hop.recipients() == ["carol@plain.test"]
    finally:
        relay.end()


def test_sighup_sends_waiting_mail_where_the_new_routes_say(mailq, hop, tmp_path):
    hop.says["bob@one.test"] = "451 4.7.1 not now"
    routes = tmp_path / "routes"
    routes.write_text("")
    id = mailq.put("bob@one.test")
    mailq.start(f"--routes={routes}").until("deferred", id)
    relay = Hop()
    try:
        routes.write_text(f"one.test 127.0.0.1:{relay.port.number}\n")
        mailq.process.first.send_signal(signal.SIGHUP)
        mailq.until("reload ")
        from daemons.stores.queuecontrol import QueueControl
        control = QueueControl(mailq.path)
        control.retry([id])
        control.close()
        mailq.until_empty()
        assert relay.recipients() == ["bob@one.test"] and hop.mails == []
    finally:
        relay.end()


# -- what servers say --


def test_each_recipient_has_a_reply_of_its_own(mailq, hop, tmp_path):
    hop.says.update({"late@one.test": "450 4.2.0 come again", "never@one.test": "550 5.1.1 nobody"})
    id = mailq.put("bob@one.test", "late@one.test", "never@one.test")
    mailq.start().until("deferred", "late@one.test")
    machine.until(lambda: inbox(tmp_path), what="notice")
    assert hop.recipients() == ["bob@one.test"]
    notice, = inbox(tmp_path)
    assert b"Final-Recipient: rfc822; never@one.test" in notice and b"late@" not in notice
    assert b"Diagnostic-Code: smtp; 550 5.1.1 nobody" in notice and b"Remote-MTA: dns; mx.one.test" in notice
    message, = mailq.left()
    assert message["id"] == id and [one["state"] for one in message["recipients"]] == [
        "delivered", "deferred", "bounced"]


@pytest.mark.parametrize("verb, said", [("MAIL", "451 4.3.0 no"), ("DATA", "452 4.3.1 full"), ("MAIL", "drop"),
                                        ("DATA", "drop"), ("EHLO", "421 4.3.2 closing"), ("MAIL", "421 4.3.2 bye")])
def test_what_is_temporary_waits(mailq, hop, tmp_path, verb, said):
    hop.says[verb] = said
    mailq.put("bob@one.test")
    mailq.start().until("deferred", "bob@one.test")
    message, = mailq.left()
    assert message["recipients"][0]["state"] == "deferred" and inbox(tmp_path) == []
    assert mailq.stop() == 0


@pytest.mark.parametrize("verb, said", [("MAIL", "550 5.7.1 not from you"), ("DATA", "554 5.6.0 bad text")])
def test_what_is_refused_bounces(mailq, hop, tmp_path, verb, said):
    hop.says[verb] = said
    mailq.put("bob@one.test")
    mailq.start().until_empty()
    assert said.encode() in inbox(tmp_path)[0]


def test_a_server_without_ehlo_is_greeted_by_helo(mailq, hop):
    hop.says["EHLO"] = "502 5.5.1 what"
    mailq.put("bob@one.test")
    mailq.start().until_empty()
    assert hop.recipients() == ["bob@one.test"]


def test_several_mails_go_over_one_connection(mailq, hop):
    hop.says["never@one.test"] = "550 no"
    for number in range(3):
        mailq.put(f"bob{number}@one.test")
        mailq.put("never@one.test", sender="")
    mailq.start().until_empty()
    assert len(hop.recipients()) == 3 and len(hop.sessions) == 1
    assert len(mailq.told("dropped ")) == 3


def test_a_mail_for_very_many_takes_several_transactions(mailq, hop):
    mailq.put(*[f"bob{number}@one.test" for number in range(230)])
    mailq.start().until_empty()
    assert [len(mail[1]) for mail in hop.mails] == [100, 100, 30] and len(set(hop.recipients())) == 230


def test_dsn_is_passed_on_where_the_server_has_it(mailq, hop):
    with mailq.writer.new("alice@example.org", [Recipient("bob@one.test", "SUCCESS", "rfc822;bob@one.test")],
                          envid="QQ314", ret="HDRS") as message:
        message.write(TEXT)
        message.commit()
    mailq.start().until_empty()
    *_, mail_options, rcpt_options, _ = hop.mails[0]
    assert {"RET=HDRS", "ENVID=QQ314"} <= set(mail_options)
    assert rcpt_options == [["NOTIFY=SUCCESS", "ORCPT=rfc822;bob@one.test"]]


# -- TLS and logins --


@pytest.fixture
def authority(tmp_path):
    return certificates.Authority(tmp_path)


@pytest.mark.parametrize("tls, encrypted", [("no", False), ("may", True)])
def test_tls_is_used_where_it_is_offered(tmp_path, names, authority, tls, encrypted):
    server = Hop(certificate=authority.pair("another.test"))
    made = Mailq(tmp_path, f"--resolver={names.place}", f"--port={server.port.number}", f"--starttls={tls}")
    try:
        made.put("bob@one.test")
        made.start().until_empty()
        assert [mail[-1] for mail in server.mails] == [encrypted]
    finally:
        made.end()
        server.end()


@pytest.mark.parametrize("name, word", [("mx.one.test", "sent "), ("another.test", "deferred ")])
def test_tls_that_must_be_needs_a_certificate_for_the_server(tmp_path, names, authority, name, word):
    server = Hop(certificate=authority.pair(name))
    made = Mailq(tmp_path, f"--resolver={names.place}", f"--port={server.port.number}", "--starttls=must",
                 f"--starttls-ca={authority.path}")
    try:
        made.put("bob@one.test")
        made.start().until(word)
        assert len(server.mails) == (word == "sent ")
    finally:
        made.end()
        server.end()


def test_tls_that_must_be_and_is_not_offered_makes_mail_wait(mailq, hop):
    mailq.put("bob@one.test")
    mailq.start("--starttls=must").until("deferred ", "4.7.4")
    assert hop.mails == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("password, word", [("right", "sent "), ("wrong", "deferred ")])
def test_a_smarthost_wants_a_login_and_its_refusal_bounces_nothing(tmp_path, names, mechanism, password, word):
    from aiosmtpd.smtp import AuthResult

    def check(server, session, envelope, name, data):
        return AuthResult(success=(data.login, data.password) == (b"us", b"right"))
    others = [one for one in ("PLAIN", "LOGIN") if one != mechanism]
    server = Hop(authenticator=check, auth_required=True, auth_require_tls=False, auth_exclude_mechanism=others)
    (tmp_path / "password").write_text(f"{password}\n")
    made = Mailq(tmp_path, f"--resolver={names.place}", f"--smarthost=127.0.0.1:{server.port.number}",
                 "--smarthost-user=us", f"--smarthost-password={tmp_path}/password", "--timeout=5")
    try:
        made.put("bob@elsewhere.test")
        made.start().until(word)
        assert len(server.mails) == (word == "sent ") and not made.told("bounced")
    finally:
        made.end()
        server.end()


RELAY = "127.0.0.45"            # where a test that needs port 465 has it for itself


@pytest.mark.parametrize("name, word", [(RELAY, "sent "), ("other.test", "deferred ")])
def test_at_port_465_tls_comes_before_the_first_word(tmp_path, name, word):
    try:
        socket.create_server((RELAY, 465)).close()
    except OSError as error:
        machine.unavailable(f"{RELAY} has no port 465 for us: {error.strerror}")
    authority = certificates.Authority(tmp_path)
    chain, key = authority.pair(name)
    accounts.open(f"{tmp_path}/relay.db", create=True).add_user("us@example.org", b"right")
    (tmp_path / "password").write_text("right\n")
    smtpd = [f"--accounts={tmp_path}/relay.db", f"--mail={tmp_path}/mail", f"--queue={tmp_path}/relayed",
             "--hostname=relay.test", f"--tls-cert={chain}", f"--tls-key={key}"]
    made = Mailq(tmp_path, f"--smarthost={RELAY}:465", "--smarthost-user=us@example.org",
                 f"--smarthost-password={tmp_path}/password", "--starttls=must", f"--starttls-ca={authority.path}")
    with Serving("smtpd", *smtpd, at=RELAY, port=465) as relay:
        made.put("bob@elsewhere.test", sender="us@example.org")
        try:
            made.start().until(word, *(["tls=pkix"] if word == "sent " else ["4.7.5"]))
        finally:
            made.end()
    assert [line for line in relay.events("mail") if "user=us@example.org" in line] or word == "deferred "


# -- what stays, and what ends --


def test_a_mail_is_given_up_after_its_lifetime(mailq, hop, tmp_path):
    hop.says["DATA"] = "451 4.3.0 not today"
    mailq.put("bob@one.test", expires=1.0)
    mailq.start().until_empty()
    notice, = inbox(tmp_path)
    assert b"Status: 5.4.7" in notice and b"451 4.3.0 not today" in notice.replace(b"\r\n ", b" ")
    assert mailq.told("expired ")


def test_a_sender_is_warned_once_of_a_delay(mailq, hop, tmp_path):
    hop.says["DATA"] = "451 4.3.0 not today"
    mailq.put("bob@one.test", received=time.time() - 100)
    mailq.start("--warn=1", "--retry=1", "--retry-most=1").until("warned ")
    mailq.until("deferred ", "bob@one.test", count=3)
    machine.until(lambda: inbox(tmp_path), what="notice")
    notice, = inbox(tmp_path)
    assert b"\r\nAction: delayed\r\nStatus: 4.3.0\r\n" in notice and b"\r\nWill-Retry-Until: " in notice


def test_mail_for_an_alias_here_goes_into_the_mailbox_and_elsewhere(mailq, hop, tmp_path):
    mailq.put("team@example.org", sender="x@one.test")
    mailq.start().until_empty()
    assert hop.recipients() == ["bob@one.test"]
    kept, = inbox(tmp_path)
    assert kept.startswith(b"Return-Path: <x@one.test>\r\n") and kept.endswith(TEXT)


def test_a_sub_address_is_its_users(mailq, hop, tmp_path):
    mailq.put("alice+news@example.org")
    mailq.start().until_empty()
    kept, = inbox(tmp_path)
    assert kept.endswith(TEXT) and hop.recipients() == []       # and not a notification that nobody has the address


def test_while_one_of_an_alias_is_full_the_others_have_the_mail_once(mailq, hop, tmp_path):
    fill(tmp_path)
    mailq.put("crew@example.org", sender="x@one.test")
    mailq.start("--retry=1", "--retry-most=1")
    mailq.until("deferred ", "to=dave@example.org", "the mailbox is full", count=4)
    left, = mailq.left()
    assert [(one["address"], one["state"]) for one in left["recipients"]] == [
        ("crew@example.org", "delivered"), ("alice@example.org", "delivered"), ("dave@example.org", "deferred")]
    accounts.open(f"{tmp_path}/accounts.db").set_quota("dave@example.org", None, 2)
    mailq.until_empty()
    assert hop.recipients() == ["bob@one.test"]
    for user in "alice", "dave":
        kept = inbox(tmp_path, user)[-1]
        assert f"\r\nDelivered-To: {user}@example.org\r\n".encode() in kept and kept.endswith(TEXT)


def test_one_that_smtpd_left_to_the_queue_for_want_of_room_is_that_mailbox_and_no_alias(mailq, hop, tmp_path):
    accounts.open(f"{tmp_path}/accounts.db").add_alias("dave@example.org", "dave@example.org", "alice@example.org")
    fill(tmp_path)
    dave = Recipient("dave@example.org")
    dave.final = True
    with mailq.writer.new("x@one.test", [dave]) as message:
        message.write(TEXT)
        message.commit()
    mailq.start("--retry=1", "--retry-most=1").until("deferred ", "to=dave@example.org", "the mailbox is full")
    accounts.open(f"{tmp_path}/accounts.db").set_quota("dave@example.org", None, 2)
    mailq.until_empty()
    assert len(inbox(tmp_path, "dave")) == 2 and inbox(tmp_path) == []


def test_a_mail_that_a_mailbox_can_never_hold_comes_back_at_once(mailq, hop, tmp_path):
    mailq.put("erin@example.org")
    mailq.start().until_empty()
    assert mailq.told("bounced ", "552 5.2.2") and b"Status: 5.2.2" in inbox(tmp_path)[0]


def test_the_sender_hears_of_the_one_of_an_alias_who_never_had_room(mailq, hop, tmp_path):
    fill(tmp_path)
    with mailq.writer.new("alice@example.org", [Recipient("crew@example.org", "SUCCESS,FAILURE",
                                                          "rfc822;crew@example.org")]) as message:
        message.write(TEXT)
        message.commit()
    mailq.start("--retry=1", "--retry-most=1", "--lifetime=3")
    mailq.until_empty()
    kept = inbox(tmp_path)
    assert [text.endswith(TEXT) for text in kept].count(True) == 1 and hop.recipients() == ["bob@one.test"]
    told = sorted((b"\r\nAction: " + action, b"\r\nFinal-Recipient: rfc822; " + who + b"\r\n" in text)
                  for text in kept for action, who in ((b"delivered", b"alice@example.org"),
                                                       (b"failed", b"dave@example.org"))
                  if b"\r\nOriginal-Recipient: rfc822; crew@example.org\r\n" in text
                  and b"\r\nAction: " + action in text)
    assert told == [(b"\r\nAction: delivered", True), (b"\r\nAction: failed", True)]


def test_there_is_one_runner_for_a_queue(mailq):
    mailq.start().until("start ")
    second = mailq.run()
    assert second.returncode == 111 and "another mailq" in second.stderr


def test_new_mail_is_delivered_at_once(mailq, hop):
    mailq.start().until("start ")
    mailq.put("bob@one.test")
    machine.until(lambda: hop.mails, what="mail")


@pytest.mark.parametrize("option", ["--routes=/nowhere/routes", "--resolver=x:y:z", "--smarthost=a:b",
                                    "--smarthost-user=me", "--accounts=/nowhere/accounts.db"])
def test_what_is_wrong_with_options_is_said(mailq, option):
    found = mailq.run(option)
    assert found.returncode == 100 and found.stderr.startswith("mailq") and "Traceback" not in found.stderr


# -- kills --


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "bob0@one.test", "DATA", "after"])
def test_a_kill_costs_no_mail_and_repeats_at_most_one(mailq, hop, verb):
    """All processes are killed where one mail's conversation has come so far; then another mailq does the rest."""
    killed = []
    before = hop.said

    def said(server, what, usual):
        if what == verb and not killed:
            killed.append(what)
            kill()
            return "421 gone"
        reply = before(server, what, usual)
        if verb == "after" and what == "DATA" and not killed:
            killed.append(what)
            kill()
        return reply

    def kill():
        for pid in mailq.process.alive():
            os.kill(pid, signal.SIGKILL)
    hop.said = said
    for number in range(5):
        mailq.put(f"bob{number}@one.test")
    mailq.start("--workers=1", "--per-destination=1")
    if verb == "EHLO":
        mailq.until("start ")
        killed.append(verb)
        kill()
    machine.until(lambda: killed and mailq.process.first.poll() is not None, what="kill")
    mailq.start().until_empty()
    got = hop.recipients()
    assert set(got) == {f"bob{number}@one.test" for number in range(5)} and len(got) <= 6


def test_told_to_stop_it_finishes_what_it_began(mailq, hop):
    for number in range(5):
        mailq.put(f"bob{number}@one.test")
    mailq.start("--workers=1").until("sent ")
    assert mailq.stop() == 0
    left = [one["address"] for message in mailq.left() for one in message["recipients"]]
    assert sorted(hop.recipients() + left) == [f"bob{number}@one.test" for number in range(5)]


def test_the_hop_is_a_real_server(hop):
    """Another client finds the same there."""
    with smtplib.SMTP("127.0.0.1", hop.port.number) as client:
        client.sendmail("a@b.test", ["c@d.test"], "Subject: x\r\n\r\ny\r\n")
    assert hop.recipients() == ["c@d.test"]


def test_hundreds_of_mails_reach_postfixs_smtp_sink(mailq, names):
    sink = launchers.CACHE / "postfix/usr/sbin/smtp-sink"
    if not sink.exists():
        machine.unavailable("smtp-sink: run tests/live/fetch.sh")
    port = machine.Port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    folder = processes.new_folder("sink")
    process = processes.Processes([str(sink), *user, "-d", f"{folder}/%M.", f"127.0.0.1:{port.number}", "100"], {
        "LD_LIBRARY_PATH": str(launchers.CACHE / "postfix/usr/lib/postfix")})
    try:
        for number in range(300):
            mailq.put(f"bob{number}@one.test")
        mailq.start(f"--port={port.number}").until_empty()
        texts = [file.read_bytes() for file in Path(folder).iterdir()]
        assert len(texts) == 300 and all(b"\n..\n" in text or b"\n..\r\n" in text for text in texts)
    finally:
        process.end()
        port.release()


# -- the sandbox --


def inner(mailq):
    """The process in the sandbox, which the first one watches over."""
    children = Path(f"/proc/{mailq.process.first.pid}/task/{mailq.process.first.pid}/children")
    return machine.until(lambda: children.read_text().split(), what="process in the sandbox")


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_it_says_whether_it_is_closed_in(mailq, hop, sandbox):
    mailq.put("bob@one.test", "alice@example.org")
    mailq.start(f"--sandbox={sandbox}").until_empty()
    line, = mailq.told("start ")
    assert ("sandbox=off" in line) == (sandbox == "off") and hop.recipients() == ["bob@one.test"]
    status = Path(f"/proc/{inner(mailq)[0]}/status").read_text() if sandbox == "auto" else ""
    assert sandbox == "off" or "NoNewPrivs:\t1" in status


def test_explain_tells_what_it_may_do(mailq, tmp_path):
    mailq.argv = lambda *more: [*Mailq.argv(mailq, *more), f"--routes={tmp_path}/routes"]
    (tmp_path / "routes").write_text("")
    done = mailq.run("--explain")
    assert done.returncode == 0 and f"will         empty {mailq.path} as us.test" in done.stdout
    assert "no_new_privs what we run gets no more rights" in done.stdout and "seccomp      " in done.stdout
    assert "runs none" in done.stdout or "NOT ENFORCED" in done.stdout


@pytest.mark.parametrize("told", [True, False], ids=["SIGHUP", "kill"])
def test_files_that_were_replaced_are_read_in_a_new_sandbox(mailq, hop, told):
    """In /tmp the file is allowed and not its folder, so that another in its place is out of reach from within."""
    fd, routes = tempfile.mkstemp(prefix="fd0-routes-", dir="/tmp")
    os.close(fd)
    relay = Hop()
    try:
        mailq.start(f"--routes={routes}").until("start ")
        first = inner(mailq)
        with open(f"{routes}.new", "w") as file:
            file.write(f"one.test 127.0.0.1:{relay.port.number}\n")
        os.replace(f"{routes}.new", routes)
        if told:
            mailq.process.first.send_signal(signal.SIGHUP)
            mailq.until("stop ", "replaced")
        else:
            os.kill(int(first[0]), signal.SIGKILL)
        mailq.until("start ", count=2)
        mailq.put("bob@one.test")
        mailq.until_empty()
        assert relay.recipients() == ["bob@one.test"] and hop.mails == []
        assert mailq.stop() == 0
    finally:
        os.unlink(routes)
        relay.end()


def test_when_the_one_outside_is_killed_another_may_begin(mailq, hop):
    mailq.start().until("start ")
    old = mailq.process
    inside = int(inner(mailq)[0])
    os.kill(old.first.pid, signal.SIGKILL)
    machine.until(lambda: not processes.running(inside), what="end of the one inside")
    assert mailq.told("stop ", "why=orphaned")
    old.end()
    mailq.put("bob@one.test")
    mailq.start().until_empty()
    assert hop.recipients() == ["bob@one.test"]
