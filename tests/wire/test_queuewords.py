"""Why a message is still here, in words that an administrator understands and a terminal does not obey."""

import json

import pytest

from daemons.wire.queuelines import Envelope, Recipient, apply, head, record
from daemons.wire.queuewords import data, duration, explain, sender, shown

NOW = 10_000.0
ID = "1ngmpw990t0ay4"


def envelope(**more):
    recipients = [Recipient("bob@example.net"), Recipient("carol@example.com")]
    made = Envelope("alice@example.org", recipients, NOW - 7500, **more)
    head(made)
    made.size = 412
    return made


def said(made, claimed=False, heard=True):
    return explain(data(ID, made, claimed), NOW, heard)


def test_a_message_that_just_came():
    assert said(envelope()) == [
        "From alice@example.org, 412 octets, here for 2 h 5 min.",
        "bob@example.net: not tried yet; it is due as soon as a worker is free.",
        "carol@example.com: not tried yet; it is due as soon as a worker is free."]
    assert said(envelope(), claimed=True)[1:3] == ["A worker has it right now.",
                                                   "bob@example.net: not tried yet; its turn is now."]
    assert said(envelope(), heard=False)[1] == "No queue runner listens: nothing is delivered until mailq runs."


def test_each_recipient_has_its_own_reason():
    made = envelope(expires=NOW + 3600)
    bob, carol = made.recipients
    apply(made, record(NOW - 60, "defer", [bob], next=NOW + 700, host="mx.example.net", reply="451 4.7.1 greylisted")
          + record(NOW - 30, "bounce", [carol], tell="yes", host="", reply="5.1.10 takes no mail"))
    assert said(made) == [
        "From alice@example.org, 412 octets, here for 2 h 5 min, by its own wish until 1 h from now.",
        "bob@example.net: tried once, last 1 min ago; mx.example.net said: 451 4.7.1 greylisted; next try in 11 min.",
        "carol@example.com: given up 30 s ago; the sender is still to be told; we said: 5.1.10 takes no mail."]
    apply(made, record(NOW - 20, "defer", [bob], next=NOW - 1, host="", reply="")
          + record(NOW, "done", [bob], tell="no", host="", reply=""))
    assert said(made)[1] == "bob@example.net: delivered 0 s ago."


def test_held_and_deleted():
    made = envelope()
    apply(made, record(NOW, "hold", why="ask\nAnn") + record(NOW, "defer", [made.recipients[0]], next=NOW, host="",
                                                             reply=""))
    assert said(made)[1:3] == [f"It is held (ask\\x0aAnn); fd0 queue release {ID} lets it go.",
                               "bob@example.net: tried once, last 0 s ago; no answer is on record; held."]
    apply(made, record(NOW, "delete"))
    assert said(made)[1:] == ["It is deleted, and goes with the next step of whoever has it."]


@pytest.mark.parametrize("records, claimed, state, recipients, next", [
    ([], False, "queued", ["queued", "queued"], 0.0), ([], True, "active", ["queued", "queued"], 0.0),
    ([("defer", {"next": 5.0, "host": "", "reply": ""})], False, "deferred", ["deferred", "deferred"], 5.0),
    ([("hold", {"why": ""})], False, "held", ["held", "held"], None),
    ([("delete", {})], False, "deleted", ["queued", "queued"], 0.0)])
def test_the_same_as_data(records, claimed, state, recipients, next):
    made = envelope(client="[192.0.2.1]:5")
    for kind, values in records:
        apply(made, record(1.0, kind, made.recipients if kind == "defer" else [], **values))
    found = json.loads(json.dumps(data(ID, made, claimed)))
    assert (found["id"], found["state"], found["next"], found["client"]) == (ID, state, next, "[192.0.2.1]:5")
    assert [one["state"] for one in found["recipients"]] == recipients


def test_nothing_moves_the_cursor():
    made = envelope()
    made.sender = "\x1b]0;x\x07@\u202eexample\udcff"
    made.recipients[0].address = "a\r\nb@c"
    text = "".join(said(made))
    assert text.isprintable() and "\\x1b]0;x\\x07@\\xe2\\x80\\xaeexample\\xff" in text and "a\\x0d\\x0ab@c" in text
    assert shown("b\u00fccher") == "b\u00fccher"
    made.sender = ""
    assert sender(data(ID, made, False)) == "<> (a notification)"


@pytest.mark.parametrize("seconds, text", [(-5, "0 s"), (0.9, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (725, "12 min"),
                                           (3600, "1 h"), (7500, "2 h 5 min"), (90000, "1 d 1 h"), (10**6, "11 d")])
def test_times_as_people_say_them(seconds, text):
    assert duration(seconds) == text
