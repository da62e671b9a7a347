"""fingerd: tells about the users of this machine (RFC 1288), and answers for names that are no users.

A name is looked for among --aliases, --pages and accounts, in this order.  Whatever a user or a client wrote is
shown as plain lines; what must not be known (~/.nofinger, --hide) is told in the same words as what is not there.
"""

import os
import pwd
import time

from daemons.kernel.ends import End, TooLong
from daemons.kernel.options import networks
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice, path, seconds, several, size, switch, words
from daemons.stores import logins, plans
from daemons.wire.fingerlines import HEADING, LIMIT, Person, Query, build, idle, pair, parse, row
from daemons.wire.plaintext import decoded, plain

SCRIPT = ".efingerd"            # the user's program that answers for her, under the name that efingerd gave it
MATCHES = 20                    # people of one name that are shown
PORT = 79
FACTS = ("office", "phone", "directory", "shell", "logins", "project", "plan")

# all that we say of our own accord
NO_SUCH_USER = "No such user"
NOBODY_HERE = "No one logged on"
LIST_DENIED = "Finger online user list denied"          # RFC 1288, 3.2.2
FORWARD_DENIED = "Finger forwarding service denied"     # RFC 1288, 3.2.1
FORWARD_FAILED = "No answer from there"
TOO_LONG = "Query too long"
NOTHING_NOW = "Nothing to tell now"
NO_PLAN = "No Plan."


def hosts(text):
    """Hosts, separated by commas or blanks: name or name:port."""
    found = {}
    for word in words(text):
        name, colon, port = word.partition(":")
        if not name or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
            raise ValueError(f"not a host or host:port: {word!r}")
        found[name.lower()] = int(port or PORT)
    return found


SERVICE = Service(
    "fingerd", port=PORT, rfcs=(1288,), model="fork", needs=("homes",), reads=("/etc/passwd", "/home", "/var/run/utmp"),
    about="Tell about the users of this machine.", defaults=(("timeout", "30"), ("session", "120")),
    options=(
        Option("list-to", networks, None, "who may ask who is logged in; others are refused [this machine]"),
        Option("show", several(*FACTS), "logins,project,plan", "what is told of a user beside the name"),
        Option("show-long", several(*FACTS), "logins,project,plan,office,directory,shell", "the same for finger -l (/W)"),
        Option("match", choice("login", "names"), "login", "find users by login name, or by words of the full name too"),
        Option("hide", words, "", "login names that finger does not know"),
        Option("aliases", path, None, "file of other names, in lines alias: user or alias: /file"),
        Option("pages", path, None, "folder of pages: finger NAME@here shows its file NAME"),
        Option("scripts", choice("no", "pages", "users", "yes"), "no",
               "run executable pages, users' ~/.efingerd, or both, for an answer"),
        Option("script-time", seconds, "5", "how long a script may take"),
        Option("banner", path, None, "file shown before every answer"),
        Option("no-user", path, None, "file shown where there is no such user"),
        Option("most", size, "16K", "octets shown of a file or a script's output"),
        Option("utmp", path, "/var/run/utmp", "file of those logged in"),
        Option("forward", hosts, None, "hosts that user@host is passed on to, as name or name:port [none]"),
    ),
    events=(
        Event("query", "info", "session about verbose hosts result people", "a question, and what came of it"),
        Event("unsafe", "notice", "session file why", "a file that is not what it must be, and was not shown"),
        Event("script", "notice", "session file why", "a script that failed, or was not run"),
    ),
    examples=("fingerd --list-to=192.0.2.0/24 --pages=/srv/finger --banner=/etc/motd",
              "fingerd --show=plan --show-long=plan,office --hide=root,daemon"))


def setup(options):
    """The aliases; what else is named must be there."""
    for name in (options.pages, options.banner, options.no_user):
        if name is not None:
            os.stat(name)
    return plans.aliases(options.aliases) if options.aliases else {}


class Inquiry:
    """One question, who asks it, and what it may be answered with."""

    def __init__(self, stream, options, query):
        self.stream, self.options, self.query = stream, options, query
        self.facts = options.show_long if query.verbose else options.show
        self.people = []

    def tell(self, data):
        """Say a text, whatever its octets, as plain lines."""
        for line in plain(decoded(data or b"")):
            self.stream.say(line)

    def present(self):
        """Everybody who is logged in."""
        try:
            return logins.present(self.options.utmp, self.stream.time())
        except (OSError, ValueError) as error:
            self.stream.log("unsafe", file=self.options.utmp, why=error)
            return []


def talk(stream, options, aliases):
    """RFC 1288, 2.1: one line is asked, the answer ends with the connection."""
    try:
        query = parse(stream.line(LIMIT))
    except TooLong:
        stream.say(TOO_LONG)
        return "toolong"
    inquiry = Inquiry(stream, options, query)
    if options.banner:
        inquiry.tell(plans.shown(options.banner, options.most))
    if query.hosts:
        result = forward(inquiry)
    elif query.name:
        result = look_up(inquiry, aliases.get(query.name, query.name))
    else:
        result = list_all(inquiry)
    stream.log("query", about=query.name, verbose="yes" if query.verbose else "no", hosts="@".join(query.hosts),
               result=result, people=",".join(inquiry.people))
    return result


# -- {C}: who is here --


def list_all(inquiry):
    """RFC 1288, 2.5.1: all who are logged in, with their full names, or a refusal."""
    stream = inquiry.stream
    if not may_list(stream.peer, inquiry.options.list_to):
        stream.say(LIST_DENIED)
        return "list-denied"
    rows = [as_row(entry, one) for one in inquiry.present() if (entry := account(inquiry.options, one.login.user))]
    for line in [HEADING, *rows] if rows else [NOBODY_HERE]:
        stream.say(line)
    return "list"


def may_list(peer, allowed):
    """Is this peer one of those who may enumerate our users?"""
    if allowed is None:
        return not peer.host or peer.host == "::1" or peer.host.startswith("127.")
    from daemons.kernel.access import denied
    return denied(peer, allowed, None) is None


def as_row(entry, one):
    """A login as a row of the list."""
    login = one.login
    return row(entry.pw_name, Person(entry.pw_gecos, entry.pw_name).name, login.terminal,
               "" if one.idle is None else idle(one.idle), moment(login.since), login.host)


def moment(when):
    """A time as finger has always shown it."""
    return time.strftime("%a %b %e %H:%M", time.localtime(when))


# -- {U}{C}: about somebody --


def look_up(inquiry, name):
    """RFC 1288, 2.5.2, or 2.5.5 where the name is no user's: aliases, pages, accounts."""
    options = inquiry.options
    if name.startswith("/") and name != inquiry.query.name:         # an alias, not what the client wrote
        return show_page(inquiry, plans.shown(name, options.most))
    if options.pages and (result := try_page(inquiry, name)):
        return result
    entries = matching(options, name)
    if not entries:
        inquiry.stream.say(NO_SUCH_USER)
        if options.no_user:
            inquiry.tell(plans.shown(options.no_user, options.most))
        return "unknown"
    if len(entries) == 1 and try_script(inquiry, entries[0]):
        inquiry.people.append(entries[0].pw_name)
        return "script"
    for entry in entries:
        describe(inquiry, entry)
        inquiry.people.append(entry.pw_name)
    return "shown"


def show_page(inquiry, data):
    """A page, or what is said in the place of one that is gone."""
    if data is None:
        inquiry.stream.say(NOTHING_NOW)
    inquiry.tell(data)
    return "page"


def try_page(inquiry, name):
    """What came of showing the page of this name, or of running it; "" if there is none."""
    options = inquiry.options
    try:
        script = plans.page_script(options.pages, name)
    except plans.Unsafe as error:
        inquiry.stream.log("script", file=f"{options.pages}/{name}", why=error)
        return ""
    if script:                          # never shown: its text is the administrator's business
        return "script" if answered_by(inquiry, script, "pages", {}) else ""
    data = plans.page(options.pages, name, options.most)
    return "" if data is None else show_page(inquiry, data)


def account(options, name):
    """The account of this login name, if finger may know it."""
    try:
        entry = pwd.getpwnam(name) if name.isprintable() else None
    except KeyError:
        return None
    return entry if entry and is_known(options, entry) else None


def is_known(options, entry):
    """May finger know this account?"""
    return entry.pw_name not in options.hide and not plans.unlisted(entry.pw_dir)


def matching(options, name):
    """The accounts that a name means (RFC 1288, 2.5.3): by login name, and if so configured by the full name."""
    entry = account(options, name)
    if entry or options.match == "login" or not any(sign.isalpha() for sign in name):
        return [entry] if entry else []
    wanted = set(name.lower().split())
    return [entry for entry in pwd.getpwall()
            if wanted <= set(Person(entry.pw_gecos, entry.pw_name).name.lower().split())
            and is_known(options, entry)][:MATCHES]


def describe(inquiry, entry):
    """Everything that is told of one user; each fact can be left out (RFC 1288, 3.2.3)."""
    say, facts = inquiry.stream.say, inquiry.facts
    person = Person(entry.pw_gecos, entry.pw_name)
    say(pair(f"Login: {entry.pw_name}", f"Name: {person.name}"))
    for line in (" ".join(part for part in (f"Directory: {entry.pw_dir}" if "directory" in facts else "",
                                            f"Shell: {entry.pw_shell}" if "shell" in facts else "") if part),):
        say(line)


# -- scripts --


def try_script(inquiry, entry):
    """Let the user's own program answer for her (RFC 1288, 3.2.5); False when it does not."""
    if inquiry.options.scripts not in ("users", "yes"):
        return False
    try:
        script = plans.script(entry.pw_dir, SCRIPT, entry.pw_uid)
    except plans.Unsafe as error:
        inquiry.stream.log("script", file=f"{entry.pw_dir}/{SCRIPT}", why=error)
        return False
    return bool(script) and answered_by(inquiry, script, "users", {"HOME": entry.pw_dir, "USER": entry.pw_name})
