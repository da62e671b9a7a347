"""identd: tells whose a TCP connection between the asker and this machine is (RFC 1413).

A connection is what it is by four numbers: the two ports of the query, and the two addresses of the connection that
the query came by.  Nobody learns anything about connections that are not his own.

What is told is for the administrator to say (--reply), and with --user-files=yes for the user as well, who puts
one line into ~/.ident: `hide`, `random`, `uid` or `reply WORD`.  --user-may names those that count.  A word that
is somebody else's login name takes the right `impersonate`; one that is a number, or for a connection with
a port below 1024 at either end, never counts.
"""

import os

from daemons.kernel.addresses import Address
from daemons.kernel.ends import End
from daemons.kernel.options import Misuse, networks
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice, count, hosts, path, several, switch, text
from daemons.wire import identlines
from daemons.wire.identlines import HIDDEN_USER, INVALID_PORT, LIMIT, NO_USER, UNKNOWN_ERROR, Reply

PORT = 113
PRIVILEGED = 1024               # lower ports are servers' and root's
FILE, MOST = ".ident", 1024     # the user's file, and the octets of it that are read: more than any reply has
FORWARD_SECONDS = 5             # for reaching one inside host, and again for its answer


def word(value):
    """A user id: printable, without a colon."""
    if not identlines.is_identity(value.encode("utf-8", "surrogateescape")):
        raise ValueError(f"not to be sent as a user id: {value!r}")
    return value


def token(value):
    """A word for an operating system or a charset: UNIX, OTHER, UTF-8."""
    if not identlines.is_token(value):
        raise ValueError(f"not a word of RFC 1413: {value!r}")
    return value


SERVICE = Service(
    "identd", port=PORT, rfcs=(1413,), protocol="auth", facility="auth",
    needs=("netlink", "homes", "network:--forward", "network:--gateways"),
    reads=("/etc/passwd", "/proc/net/tcp", "/proc/net/tcp6"), defaults=(("timeout", "60"),),   # RFC 1413, 2: 60 to 180
    about="Tell whose a TCP connection is.",
    options=(
        Option("reply", choice("user", "uid", "random", "hidden", "static", "token"), "user",
               "what is told: login name, user id, random word, nothing, --name, token"),
        Option("name", word, None, "what --reply=static tells"),
        Option("key-file", path, None, "file with the key of tokens, 16 octets or more, nobody else's to read"),
        Option("decode", text, None, "print what a token holds, and end"),
        Option("system", token, None, "operating system in replies [UNIX with login names, OTHER with all else]"),
        Option("charset", token, None, "charset of user ids, as in UTF-8 [not told, which means US-ASCII]"),
        Option("user-files", switch, "no", "let users choose their reply in ~/.ident"),
        Option("user-may", several("hide", "random", "uid", "reply", "impersonate"), "hide,random,uid",
               "what they may choose"),
        Option("queries", count, "100", "queries answered in one conversation"),
        Option("forward", hosts(PORT), None, "inside hosts to ask about connections that are not ours"),
        Option("gateways", networks, None, "who may ask for others: about ports alone, whatever the other address"),
        Option("only-unknown-error", switch, "no", "tell UNKNOWN-ERROR in place of every other error"),
    ),
    events=(
        Event("query", "info", "session here there uid said why", "a query, whose connection it was, and the answer"),
        Event("unsafe", "notice", "session file why", "a user's file that was not read, or wishes what it may not"),
        Event("blind", "err", "session why", "connections or their owners cannot be seen here"),
        Event("forward", "notice", "session host why", "an inside host did not answer"),
    ),
    examples=("identd --user-files=yes --user-may=hide,random", "identd --reply=token --key-file=/etc/fd0/ident.key",
              "identd --decode=TOKEN --key-file=/etc/fd0/ident.key"),
    description="Tells whose a TCP connection between the asker and this machine is. A caller names the two ports of "
                "a connection; the two addresses are those of the connection by which it asks, so that nobody learns "
                "about connections that are not his own.\n\n"
                "By default the login name is told. --reply chooses a number, a random word, a fixed word, a sealed "
                "token that only the administrator can open, or nothing; with --user-files=yes users choose for "
                "themselves, in ~/.ident, among what --user-may grants.\n\n"
                "The kernel is asked for exactly the connection in question, which takes no longer when there are "
                "many. Under systemd the socket unit passes a socket to ask by, so that the program runs without a "
                "network of its own; --forward and --gateways need one, and fd0 enable --set grants it in a drop-in.")


class Case:
    """A connection whose owner is known, and what is told of her; `why` is who chose that."""

    def __init__(self, stream, options, key, ports, uid):
        self.stream, self.options, self.key = stream, options, key
        self.ports, self.uid, self.why = ports, uid, options.reply
        from daemons.stores import people
        self.account = people.owner(uid)

    def reply(self, user, system="OTHER"):
        """A reply that gives this user id."""
        return Reply(self.ports, user=user, system=self.options.system or system, charset=self.options.charset or "")


def setup(options):
    """The key of tokens, if there are any; ValueError where options do not belong together."""
    if options.reply == "static" and options.name is None:
        raise ValueError("--reply=static needs --name")
    if (options.reply == "token" or options.decode is not None) and options.key_file is None:
        raise ValueError("tokens need --key-file")
    return key_of(options.key_file) if options.key_file else b""


def key_of(name):
    """The key that a file holds; ValueError if it is short, or not secret."""
    with open(name, "rb") as file:
        mode, key = os.fstat(file.fileno()).st_mode, file.read(4096).strip()
    if mode & 0o007:
        raise ValueError(f"{name}: everybody may use this file; say chmod o= {name}")
    if len(key) < 16:
        raise ValueError(f"{name}: a key of {len(key)} octets is too short; make one: head -c 32 /dev/urandom > {name}")
    return key


def run(options, key):
    """--decode: print what a token holds.  None where the program shall serve."""
    if options.decode is None:
        return None
    from datetime import UTC, datetime

    from daemons.stores import people
    from daemons.wire.audittoken import unseal
    try:
        record = unseal(key, options.decode)
    except ValueError as error:
        raise Misuse(f"decode: {error}") from None
    account = people.owner(record.uid)
    name = account.pw_name if account else "unknown"
    when = datetime.fromtimestamp(record.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"time={when} uid={record.uid} user={name} "
          f"here=[{record.here[0]}]:{record.here[1]} there=[{record.there[0]}]:{record.there[1]}")
    return 0


def talk(stream, options, key):
    """RFC 1413, 2: one query after another, each a line."""
    for _ in range(options.queries):
        ports = identlines.ports(stream.line(LIMIT))
        stream.commands += 1
        reply, uid, why = settle(stream, options, key, ports)
        if reply.error and options.only_unknown_error:
            reply.error = UNKNOWN_ERROR         # RFC 1413, 5: a matter of choice, and never the default
        stream.say(identlines.build(reply))
        said = reply.error or f"{reply.system}:{reply.user.decode('utf-8', 'surrogateescape')}"
        stream.log("query", here=ports[0], there=ports[1], uid="none" if uid is None else uid, said=said, why=why)
    return "queries"


def settle(stream, options, key, ports):
    """The reply to a query, the uid it is about, and why it is what it is."""
    from daemons.kernel.owners import Unknowable
    if not identlines.are_valid(ports):
        return Reply(ports, error=INVALID_PORT), None, "ports"
    try:
        uid = owner(stream, options, ports)
    except Unknowable as error:
        if stream.commands == 1:
            stream.log("blind", why=error)
        return Reply(ports, error=UNKNOWN_ERROR), None, "blind"
    if uid is None:
        return forwarded(stream, options, ports) or (Reply(ports, error=NO_USER), None, "nobody")
    case = Case(stream, options, key, ports, uid)
    reply = wished(case) or CHOICES[options.reply](case)
    return reply, uid, case.why


# -- whose it is --


def owner(stream, options, ports):
    """The uid behind a connection of this very peer with the address at which it asks; None if there is none."""
    from daemons.kernel import owners
    from daemons.wire.proctcp import sockets
    if not stream.peer.host or not stream.local.host:
        raise owners.Unknowable("the query did not come by TCP")
    if is_gateway(stream.peer, options):
        return owners.owner_by_ports(*ports, sockets)
    return owners.owner(Address(stream.local.host, ports[0]), Address(stream.peer.host, ports[1]), sockets)


def is_gateway(peer, options):
    """Does this peer ask on behalf of others, whose addresses we then cannot know?"""
    if options.gateways is None:
        return False
    from daemons.kernel.access import denied
    return denied(peer, options.gateways, None) is None


def forwarded(stream, options, ports):
    """What an inside host says of a connection that is not ours; None if none of them knows it."""
    if options.forward is None or is_gateway(stream.peer, options):         # who asks for others is not asked again
        return None
    for host, port in options.forward:
        try:
            reply = ask(host, port, ports, stream.peer)
        except (End, ValueError) as error:
            stream.log("forward", host=host, why=error)
            continue
        if reply and (reply.error == HIDDEN_USER or identlines.is_identity(reply.user)):
            reply.ports = ports
            return reply, None, f"forward:{host}"
    return None


def ask(host, port, ports, asker):
    """Ask another identd as a client; raises End and ValueError.  None if it is the one who asks us."""
    from daemons.kernel.dial import call
    there = call(host, port, seconds=FORWARD_SECONDS, patience=FORWARD_SECONDS)
    try:
        if there.peer.host == asker.host:
            return None
        there.say(identlines.query(*ports))
        return identlines.parse(there.line(LIMIT))
    finally:
        there.cut_off()


# -- what is told --


def by_name(case):
    """The login name; the uid where there is no name, or none that can be sent."""
    name = case.account.pw_name.encode("utf-8", "surrogateescape") if case.account else b""
    if identlines.is_identity(name) and (name.isascii() or case.options.charset):
        return case.reply(name, "UNIX")
    return by_uid(case)


def by_uid(case):
    """The number."""
    return case.reply(b"%d" % case.uid)


def at_random(case):
    """A word that only the log connects with the user."""
    return case.reply(b"u" + os.urandom(4).hex().encode())


def hidden(case):
    """Nothing."""
    return Reply(case.ports, error=HIDDEN_USER)


def static(case):
    """The same for all."""
    return case.reply(case.options.name.encode("utf-8", "surrogateescape"))


def sealed(case):
    """A token that the administrator can read, once somebody complains and sends it."""
    from daemons.wire.audittoken import Record, seal
    here, there = (case.stream.local.host, case.ports[0]), (case.stream.peer.host, case.ports[1])
    return case.reply(seal(case.key, Record(int(case.stream.time()), case.uid, here, there)).encode())


CHOICES = {"user": by_name, "uid": by_uid, "random": at_random, "hidden": hidden, "static": static, "token": sealed}
WISHES = {"hide": hidden, "random": at_random, "uid": by_uid}


def wished(case):
    """The reply that the user chose in ~/.ident, if she may; None where she did not."""
    if not case.options.user_files or case.account is None:
        return None
    from daemons.stores import plans
    home = case.account.pw_dir
    try:
        data = plans.own(home, FILE, case.uid, MOST)
        reply = None if data is None else granted(case, data.decode("utf-8", "replace").split())
    except ValueError as error:
        case.stream.log("unsafe", file=f"{home}/{FILE}", why=error)
        return None
    if reply:
        case.why = FILE
    return reply


def granted(case, wish):
    """The reply that these words of a user's file ask for; ValueError says why not."""
    right = wish[0] if wish else ""
    if len(wish) != (2 if right == "reply" else 1) or right not in (*WISHES, "reply"):
        raise ValueError("must say hide, random, uid or reply WORD")
    if right not in case.options.user_may:
        raise ValueError(f"{right} is not among --user-may")
    if right in WISHES:
        return WISHES[right](case)
    if why := objection(case, wish[1]):
        raise ValueError(why)
    return case.reply(wish[1].encode())


def objection(case, wanted):
    """Why a user cannot have this word for her reply; "" if she can."""
    if not wanted.isascii() or not identlines.is_identity(wanted.encode()) or wanted.isdigit():
        return "not a word that can be a reply"         # a number would pass for a uid
    if min(case.ports) < PRIVILEGED:
        return "not for ports below 1024"
    from daemons.stores import people
    if "impersonate" not in case.options.user_may and wanted != case.account.pw_name and people.is_login(wanted):
        return "the login name of somebody else"
    return ""


if __name__ == "__main__":
    main(SERVICE, talk, setup=setup, run=run)
