"""fingerd: tells about the users of this machine (RFC 1288), and answers for names that are no users.

A name is looked for among --aliases, --pages and accounts, in this order.  Whatever a user or a client wrote is
shown as plain lines; what must not be known (~/.nofinger, --hide) is told in the same words as what is not there.
"""

import os
import time

from daemons.kernel.ends import End, TooLong
from daemons.kernel.options import networks
from daemons.kernel.serve import main
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice, hosts, path, seconds, several, size, words
from daemons.stores import plans
from daemons.wire.fingerlines import HEADING, LIMIT, Person, Query, build, idle, pair, parse, printable, row
from daemons.wire.plaintext import decoded, plain

SCRIPT = ".efingerd"            # the user's program that answers for her, under the name that efingerd gave it
PORT = 79
FORWARD_SECONDS = 10            # for reaching another host, and again for each of its answers
FACTS = ("office", "phone", "directory", "shell", "logins", "project", "plan")

# all that we say of our own accord
NO_SUCH_USER = "No such user"
NOBODY_HERE = "No one logged on"
LIST_DENIED = "Finger online user list denied"          # RFC 1288, 3.2.2
FORWARD_DENIED = "Finger forwarding service denied"     # RFC 1288, 3.2.1
FORWARD_FAILED = "No answer from there"
TOO_LONG = "Query too long"
NOTHING_NOW = "Nothing to tell now"
NOT_HERE = "Not logged in."
NO_PLAN = "No Plan."


SERVICE = Service(
    "fingerd", port=PORT, rfcs=(1288,), model="fork", needs=("homes", "exec:--scripts", "network:--forward"),
    reads=("/etc/passwd", "--utmp", "--pages", "--banner", "--no-user"),
    about="Tell about the users of this machine.", busy=b"Try again later\r\n",
    defaults=(("timeout", "30"), ("session", "120")),
    options=(
        Option("list-to", networks, None, "who may ask who is logged in; others are refused [this machine]"),
        Option("show", several(*FACTS), "logins,project,plan", "what is told of a user beside the name"),
        Option("show-long", several(*FACTS), "logins,project,plan,office,directory,shell", "the same for finger -l"),
        Option("match", choice("login", "names"), "login", "find users by login name, or by full names too"),
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
        Option("forward", hosts(PORT), None, "hosts that user@host is passed on to [none]"),
    ),
    events=(
        Event("query", "info", "session about verbose hosts result people", "a question, and what came of it"),
        Event("unsafe", "notice", "session file why", "a file that is not what it must be, and was not shown"),
        Event("script", "notice", "session file why", "a script that failed, or was not run"),
        Event("forward", "notice", "session host why", "another host did not answer a query passed on to it"),
    ),
    examples=("fingerd --list-to=192.0.2.0/24 --pages=/srv/finger --banner=/etc/motd",
              "fingerd --show=plan --show-long=plan,office --hide=root,daemon"),
    description="Tells who is logged in, and about users of this machine: full name, how long idle, plan and project, "
                "as far as --show and --show-long allow. A name is looked for among --aliases, --pages and accounts, "
                "in this order, so that it can answer for names that are no users, too.\n\n"
                "The list of those who are logged in is for this machine alone unless --list-to names others. Queries "
                "for users elsewhere are refused unless --forward names that host. A user who has a file ~/.nofinger, "
                "and whoever is named by --hide, is told of in the same words as somebody who does not exist. Files "
                "that a user could not have written herself, links out of her home, and whatever could move a "
                "reader's terminal are not shown.")


def setup(options):
    """The aliases; what else is named must be there."""
    for name in (options.pages, options.banner, options.no_user):
        if name is not None:
            os.stat(name)
    aliases = plans.aliases(options.aliases) if options.aliases else {}
    options.learnt += [target for target in aliases.values() if target.startswith("/")]
    return aliases


class Inquiry:
    """One question, who asks it, and what it may be answered with."""

    def __init__(self, stream, options, query):
        self.stream, self.options, self.query = stream, options, query
        self.facts = options.show_long if query.verbose else options.show
        self.about = []

    def tell(self, data):
        """Say a text, whatever its octets, as plain lines."""
        for line in plain(decoded(data or b"")):
            self.stream.say(line)

    def present(self):
        """Everybody who is logged in."""
        from daemons.stores import logins
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
        result = look_up(inquiry, aliases.get(query.name))
    else:
        result = list_all(inquiry)
    stream.log("query", about=query.name, verbose="yes" if query.verbose else "no", hosts="@".join(query.hosts),
               result=result, people=",".join(inquiry.about))
    return result


# -- {C}: who is here --


def list_all(inquiry):
    """RFC 1288, 2.5.1: all who are logged in, with their full names, or a refusal."""
    from daemons.stores import people
    stream = inquiry.stream
    if not may_list(stream.peer, inquiry.options.list_to):
        stream.say(LIST_DENIED)
        return "list-denied"
    hidden = inquiry.options.hide
    rows = [as_row(entry, one) for one in inquiry.present() if (entry := people.account(one.login.user, hidden))]
    for line in [HEADING, *rows] if rows else [NOBODY_HERE]:
        stream.say(line)
    return "list"


def may_list(peer, allowed):
    """Is this peer one of those who may enumerate our users?"""
    if not peer.host:                   # behind two pipes may be anybody
        return peer.word == "terminal" or peer.word.startswith("unix:")
    if allowed is None:
        return peer.host == "::1" or peer.host.startswith("127.")
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


def look_up(inquiry, alias):
    """RFC 1288, 2.5.2, or 2.5.5 where the name is no user's: an alias, a page, an account."""
    from daemons.stores import people
    options, stream = inquiry.options, inquiry.stream
    if alias and alias.startswith("/"):
        return show_page(inquiry, plans.shown(alias, options.most))
    name = alias or inquiry.query.name
    if options.pages and (result := try_page(inquiry, name)):
        return result
    entries = people.accounts(name, options.hide, options.match == "names")     # RFC 1288, 2.5.3
    inquiry.about = [entry.pw_name for entry in entries]
    if len(entries) == 1 and try_script(inquiry, entries[0]):
        return "script"
    for entry in entries:
        describe(inquiry, entry)
    if not entries:
        stream.say(NO_SUCH_USER)
        inquiry.tell(plans.shown(options.no_user, options.most) if options.no_user else None)
    return "user" if entries else "unknown"


def describe(inquiry, entry):
    """Everything that is told of one user; each fact can be left out (RFC 1288, 3.2.3)."""
    say, facts, person = inquiry.stream.say, inquiry.facts, Person(entry.pw_gecos, entry.pw_name)
    office = ", ".join(part for part in (person.office, person.office_phone) if part)
    known = {"directory": f"Directory: {printable(entry.pw_dir)}", "shell": f"Shell: {printable(entry.pw_shell)}",
             "office": office and f"Office: {office}",
             "phone": person.home_phone and f"Home Phone: {person.home_phone}"}
    say(pair(f"Login: {entry.pw_name}", f"Name: {person.name}"))
    for couple in (("directory", "shell"), ("office", "phone")):
        told = [known[fact] for fact in couple if fact in facts and known[fact]]
        if told:
            say(pair(*told))
    for line in whereabouts(inquiry, entry.pw_name) if "logins" in facts else []:
        say(line)
    for line in own_lines(inquiry, entry, ".project")[:1] if "project" in facts else []:
        say(f"Project: {line}")
    if "plan" in facts:
        plan = own_lines(inquiry, entry, ".plan")
        for line in ["Plan:", *plan] if plan else [NO_PLAN]:
            say(line)


def whereabouts(inquiry, name):
    """Where the user is logged in: what the list tells of her (RFC 1288, 2.5.2)."""
    lines = []
    for one in inquiry.present():
        if one.login.user == name:
            rest = idle(one.idle) if one.idle is not None else ""
            lines.append(f"On since {moment(one.login.since)} on {one.login.terminal}"
                         + (f" from {one.login.host}" if one.login.host else "") + (f", idle {rest}" if rest else ""))
    return lines or [NOT_HERE]


def own_lines(inquiry, entry, name):
    """The lines of a file that the user keeps for finger (RFC 1288, 3.2.4)."""
    try:
        data = plans.own(entry.pw_dir, name, entry.pw_uid, inquiry.options.most)
    except plans.Unsafe as error:
        inquiry.stream.log("unsafe", file=f"{entry.pw_dir}/{name}", why=error)
        return []
    return plain(decoded(data or b""))


# -- pages and scripts --


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
        if script:                      # its text is the administrator's business and never shown
            return "script" if answered_by(inquiry, script, "pages") else ""
    except plans.Unsafe as error:
        inquiry.stream.log("script", file=f"{options.pages}/{name}", why=error)
        return ""
    data = plans.page(options.pages, name, options.most)
    return "" if data is None else show_page(inquiry, data)


def try_script(inquiry, entry):
    """Let the user's own program answer for her (RFC 1288, 3.2.5); False when it does not."""
    try:
        script = plans.script(entry.pw_dir, SCRIPT, entry.pw_uid)
    except plans.Unsafe as error:
        inquiry.stream.log("script", file=f"{entry.pw_dir}/{SCRIPT}", why=error)
        return False
    return script is not None and answered_by(inquiry, script, "users", HOME=entry.pw_dir, USER=entry.pw_name)


def answered_by(inquiry, script, whose, **environment):
    """Run a script and show what it prints; False when it may not run, or prints nothing."""
    stream, options, query = inquiry.stream, inquiry.options, inquiry.query
    if options.scripts not in (whose, "yes"):
        return False
    if os.geteuid() == 0:
        stream.log("script", file=script, why="not run as root")
        return False
    from daemons.kernel.running import Failed, output
    environment.update(FINGER_NAME=query.name, FINGER_LONG="yes" if query.verbose else "no",
                       REMOTE_HOST=stream.peer.host)
    try:
        printed = output([script], options.script_time, options.most, environment, quiet=True)
    except Failed as failure:
        stream.log("script", file=script, why=failure)
        printed = failure.output
    inquiry.tell(printed)
    return bool(printed)


# -- {Q2}: about somebody elsewhere --


def forward(inquiry):
    """RFC 1288, 2.4: pass a query on to one of the hosts allowed, once and never further, or refuse."""
    query, stream = inquiry.query, inquiry.stream
    port = dict(inquiry.options.forward or ()).get(query.hosts[0])
    if port is None or len(query.hosts) > 1 or not query.name.isprintable():
        stream.say(FORWARD_DENIED)
        return "forward-denied"
    from daemons.kernel.dial import call
    try:
        there = call(query.hosts[0], port, seconds=FORWARD_SECONDS, patience=FORWARD_SECONDS)
        there.say(build(Query(query.name, (), query.verbose)))
        inquiry.tell(heard(there, inquiry.options.most))
    except End as end:                  # theirs, not our client's
        stream.say(FORWARD_FAILED)
        stream.log("forward", host=query.hosts[0], why=end)
        return "forward-failed"
    return "forward"


def heard(there, most):
    """What the other host answers, as much as is taken of any answer."""
    data, until = b"", time.monotonic() + FORWARD_SECONDS
    while len(data) < most and time.monotonic() < until and (piece := there.some(most - len(data))):
        data += piece
    there.cut_off()
    return data


if __name__ == "__main__":
    main(SERVICE, talk, setup=setup)
