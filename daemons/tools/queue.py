"""fd0 queue: mail that waits to be delivered - what is there and why, hold it, hurry it, re-route it, delete it."""

import json
import os
import sys
import time

from daemons.stores.queuecontrol import QueueControl, Unknown
from daemons.stores.queuefiles import Damaged
from daemons.stores.queuefolder import SPOOL
from daemons.stores.queuewake import is_heard
from daemons.wire.queuewords import duration, shown

from .arguments import Parser
from .owners import owner_of
from .programs import NotOurs

HEAD = ("ID", "AGE", "SIZE", "STATE", "NEXT TRY", "SENDER", "RECIPIENTS")
WIDE = 60               # columns of the recipients in a list


def main(arguments):
    """Do one thing to the queue; returns 0, or 100 where a message that was named is not there."""
    parser = Parser("queue", "Look after mail that waits to be delivered. All of it works while mail is delivered: a\n"
                             "message in a worker's hands is stopped before the next recipient.", examples=(
        ("fd0 queue list", "every message, the oldest first"),
        ("fd0 queue explain ID", "why it is still here: each recipient's last reply, next try"),
        ("fd0 queue hold ID --why='ask Ann'", "deliver it no further, until fd0 queue release ID"),
        ("fd0 queue retry --all", "try everything now"),
        ("fd0 queue reroute example.org", "after a change: to today's host, now (.example.org: below)"),
        ("fd0 queue list --json", "a line of JSON for each message")),
                    actions=[(name, about) for name, (_, about) in ACTIONS.items()])
    parser.add_argument("what", nargs="*", metavar="ID", help="names of messages; for reroute a domain")
    parser.add_argument("--all", action="store_true", help="every message, in the place of names")
    parser.add_argument("--why", metavar="TEXT", default="", help="hold: a reason, for whoever looks later")
    parser.add_argument("--json", action="store_true", help="list, show, explain, summary: for programs")
    parser.add_argument("--queue", metavar="DIR", type=os.path.abspath, default=SPOOL,
                        help="where it lies [%(default)s]")
    options = parser.parse(arguments)
    _check(parser, options)
    with owner_of(options.queue):
        return _act(options)


def _act(options):
    if not os.path.isdir(f"{options.queue}/mail"):
        raise NotOurs(f"{options.queue}: there is no queue; say where it lies: --queue=DIR")
    control = QueueControl(options.queue)
    try:
        return ACTIONS[options.action][0](control, options)
    except Unknown as error:
        raise NotOurs(f"{options.queue}: no message {shown(str(error))} there (fd0 queue list)") from None
    except Damaged as error:
        raise NotOurs(f"{options.queue}: {error}") from None
    finally:
        control.close()


def _check(parser, options):
    """Refuse what would do something else than was meant."""
    action, named = options.action, len(options.what)
    if action in ("list", "summary") and (named or options.all):
        parser.error(f"{action} takes no ID")
    if action == "reroute" and (named != 1 or options.all):
        parser.error("reroute takes one DOMAIN")
    if action in NAMED and bool(named) == options.all:
        parser.error(f"{action} takes one ID or more, or --all")
    if options.why and action != "hold":
        parser.error("--why goes with hold")
    if options.json and action not in TOLD:
        parser.error(f"{action} prints no JSON")


def _chosen(control, options):
    return control.ids() if options.all else options.what


def _each(control, options, act):
    """Do it to each message; those that are gone are named, and make the exit status 100."""
    status = 0
    for id in _chosen(control, options):
        try:
            act(id)
        except (Unknown, Damaged) as error:
            if isinstance(error, Unknown) and options.all:
                continue                # delivered meanwhile
            sys.stdout.flush()
            why = f": {error}" if isinstance(error, Damaged) else " is not there"
            print(f"fd0 queue: {shown(id)}{why}", file=sys.stderr)
            status = 100
    return status


# -- looking --


def _list(control, options):
    if options.json:
        for message in control.all():
            print(json.dumps(message))
        return 0
    now = time.time()
    rows = [HEAD, *(_row(message, now) for message in control.all())]
    if len(rows) == 1:
        print(f"{options.queue} is empty")
        return 0
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD) - 1)]
    for *cells, last in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths)), last]).rstrip(), flush=True)
    if not is_heard(options.queue):
        print("fd0 queue: no mailq empties it now; see mailq(8)", file=sys.stderr)
    return 0


def _row(message, now):
    if message["state"] == "damaged":
        return message["id"], "-", "-", "damaged", "-", "-", shown(message["why"])
    waiting = [shown(one["address"]) for one in message["recipients"] if one["state"] in ("queued", "deferred", "held")]
    text, count = waiting[0] if waiting else "-", 1
    while count < len(waiting) and len(text) + len(waiting[count]) < WIDE:
        text, count = f"{text} {waiting[count]}", count + 1
    more = f" and {len(waiting) - count} more" if count < len(waiting) else ""
    when = "-" if message["next"] is None else "now" if message["next"] <= now else duration(message["next"] - now)
    return (message["id"], duration(now - message["received"]), str(message["size"]), message["state"], when,
            shown(message["sender"]) or "<>", text + more)


def _show(control, options):
    def act(id):
        message = control.show(id)
        if options.json:
            print(json.dumps(message))
            return
        for name, value in message.items():
            if name != "recipients" and value not in ("", None, False):
                print(f"{name}: {_value(name, value)}")
        for one in message["recipients"]:
            print(f"to: {shown(one['address'])} ({one['state']})")
        print(flush=True)
        if sys.stdout.isatty():         # a stranger wrote it: nothing of it moves the cursor
            for line in b"".join(control.message(id)).split(b"\n"):
                print(shown(line.decode("utf-8", "surrogateescape").rstrip("\r").expandtabs()))
        else:
            for piece in control.message(id):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    return _each(control, options, act)


def _value(name, value):
    if name in ("received", "expires", "next"):
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(value))
    return "yes" if value is True else shown(str(value))


def _explain(control, options):
    def act(id):
        lines = control.explain(id)
        print(json.dumps({"id": id, "explain": lines}) if options.json else "\n".join([f"{id}:", *lines]))
    return _each(control, options, act)


def _summary(control, options):
    found = control.summary()
    if options.json:
        print(json.dumps(found))
        return 0
    print(f"{found['messages']} messages, {found['octets']} octets{_counts(found['states'])}")
    print(f"{sum(found['recipients'].values())} recipients{_counts(found['recipients'])}")
    if found["oldest"]:
        print(f"the oldest came {duration(time.time() - found['oldest'])} ago")
    for domain, count in sorted(found["destinations"].items(), key=lambda item: (-item[1], item[0]))[:20]:
        print(f"    {count:6} for {shown(domain) or '(no domain)'}")
    print(f"{found['free'] >> 20} MiB free; {'a' if found['runner'] else 'no'} queue runner listens")
    return 0


def _counts(numbers):
    return "".join(f"{sign}{count} {name}" for sign, (name, count) in zip([": ", *[", "] * len(numbers)],
                                                                          sorted(numbers.items())))


# -- meddling --


def _hold(control, options):
    return _said(control, options, lambda id: control.hold([id], options.why), "held")


def _release(control, options):
    return _said(control, options, lambda id: control.release([id]), "released")


def _retry(control, options):
    return _said(control, options, lambda id: control.retry([id]), "to be tried now")


def _delete(control, options):
    def act(id):
        gone = control.delete(id)
        print(f"{id}: deleted" if gone else f"{id}: deleted; a worker has it, and stops before the next recipient")
    return _each(control, options, act)


def _reroute(control, options):
    moved = control.reroute(options.what[0])
    print(f"{len(moved)} message{'s' * (len(moved) != 1)} for {shown(options.what[0])} to be tried now")
    return 0


def _said(control, options, act, what):
    def one(id):
        act(id)
        print(f"{id}: {what}")
    return _each(control, options, one)


ACTIONS = {
    "list": (_list, "every message, the oldest first"),
    "show": (_show, "a message, with all that is known of it"),
    "explain": (_explain, "why it is still here"),
    "summary": (_summary, "how many there are, where they are to go, and whether a mailq empties the queue"),
    "hold": (_hold, "deliver it no further, until it is released"),
    "release": (_release, "undo hold; it is tried now"),
    "retry": (_retry, "try it now, and not only when its time has come"),
    "reroute": (_reroute, "after a change of routes: try all mail of a domain now, where it goes today"),
    "delete": (_delete, "remove it; nobody is told")}
NAMED = ("show", "explain", "hold", "release", "retry", "delete")
TOLD = ("list", "show", "explain", "summary")
