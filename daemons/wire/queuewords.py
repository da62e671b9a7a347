"""A queued message for people and programs: what is known of it as plain data, and in sentences why it is here."""

from . import queuelines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def data(id: str, envelope: queuelines.Envelope, claimed: bool) -> "dict[str, Any]":
    """All that is known of a message, as JSON can hold it; times are seconds since 1970, None for none."""
    state = _state(envelope, claimed)
    found = {"id": id, "state": state, "sender": envelope.sender, "size": envelope.size,
             "received": envelope.received, "expires": envelope.expires or None, "held": envelope.held,
             "why": envelope.why, "claimed": claimed, "warned": envelope.warned, "smtputf8": envelope.smtputf8}
    found |= {name: envelope.fact(name) for name in queuelines.FACTS}
    found["recipients"] = [_recipient(one, envelope) for one in envelope.recipients]
    times = [one.next for one in envelope.waiting]
    found["next"] = min(times) if times and not envelope.held else None
    return found


def _state(envelope: queuelines.Envelope, claimed: bool) -> str:
    if envelope.deleted:
        return "deleted"
    if claimed:
        return "active"
    if envelope.held:
        return "held"
    return "deferred" if any(one.attempts for one in envelope.waiting) else "queued"


def _recipient(one: queuelines.Recipient, envelope: queuelines.Envelope) -> "dict[str, Any]":
    state = queuelines.STATES.get(one.sign) or ("held" if envelope.held else "deferred" if one.attempts else "queued")
    return {"address": one.address, "state": state, "attempts": one.attempts, "tried": one.tried or None,
            "next": one.next if one.is_waiting else None, "host": one.host, "reply": one.reply,
            "owed": one.is_owed, "notify": one.notify, "orcpt": one.orcpt}


def explain(message: "dict[str, Any]", now: float, heard: bool) -> list[str]:
    """Why is it still here?  Sentences on the message and on each recipient; `heard`: does a runner listen?"""
    came = f"From {sender(message)}, {message['size']} octets, here for {duration(now - message['received'])}"
    lines = [f"{came}, by its own wish until {duration(message['expires'] - now)} from now." if message["expires"]
             else f"{came}."]
    if message["state"] == "deleted":
        return [*lines, "It is deleted, and goes with the next step of whoever has it."]
    if message["held"]:
        why = f" ({shown(message['why'])})" if message["why"] else ""
        lines.append(f"It is held{why}; fd0 queue release {message['id']} lets it go.")
    if message["claimed"]:
        lines.append("A worker has it right now.")
    elif not heard:
        lines.append("No queue runner listens: nothing is delivered until mailq runs.")
    return lines + [f"{shown(one['address'])}: {_why(one, now, message)}" for one in message["recipients"]]


def _why(one: "dict[str, Any]", now: float, message: "dict[str, Any]") -> str:
    said = f"{shown(one['host']) or 'we'} said: {shown(one['reply'])}" if one["reply"] else "no answer is on record"
    ago = f" {duration(now - one['tried'])} ago" if one["tried"] else ""
    if one["state"] in ("delivered", "bounced"):
        end = "delivered" if one["state"] == "delivered" else "given up"
        owed = "; the sender is still to be told" if one["owed"] else ""
        return f"{end}{ago}{owed}{f'; {said}' if one['reply'] else ''}."
    first = f"tried {_times(one['attempts'])}, last{ago}; {said}" if one["attempts"] else "not tried yet"
    if message["held"]:
        return f"{first}; held."
    if one["next"] <= now:
        return f"{first}; " + ("its turn is now." if message["claimed"] else "it is due as soon as a worker is free.")
    return f"{first}; next try in {duration(one['next'] - now)}."


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def sender(message: "dict[str, Any]") -> str:
    """The sender as people see it."""
    return shown(message["sender"]) or "<> (a notification)"


def shown(text: str) -> str:
    """Text in which nothing moves a cursor: what cannot be printed is written as its octets, \\xNN."""
    return text if text.isprintable() else "".join(
        sign if sign.isprintable() else "".join(f"\\x{octet:02x}" for octet in sign.encode("utf-8", "surrogateescape"))
        for sign in text)


def duration(seconds: float) -> str:
    """A time as a person says it: in its largest unit, and the next where that one is small."""
    left = max(0, int(seconds))
    for place, (size, unit) in enumerate(UNITS):
        if left >= size:
            count, rest = divmod(left, size)
            smaller = rest // UNITS[place + 1][0] if place + 1 < len(UNITS) and count < 10 else 0
            return f"{count} {unit}" + (f" {smaller} {UNITS[place + 1][1]}" if smaller else "")
    return "0 s"
