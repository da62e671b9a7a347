"""fd0 user: who may log in to the programs that ask for a password, and with which; and where mail goes."""

import argparse

from daemons.kernel.values import number, size, words
from daemons.stores.accounts import DEFAULT, SCOPES

from . import useraccounts, userfile
from .arguments import Parser
from .programs import NotOurs


class Action:
    """One thing to do: the function, what words it takes, how many, which options go with it, and what it does."""

    __slots__ = ("about", "function", "least", "most", "options", "takes")

    def __init__(self, function, takes, least, most, *options, about=""):
        self.function, self.takes, self.least, self.most, self.options = function, takes, least, most, options
        self.about = about


ONE, NONE, MANY = ("one NAME", 1, 1), ("no NAME", 0, 0), 1000
IN_FILE = {
    "add": Action(userfile.add, *ONE, "password_stdin", "digest"),
    "list": Action(userfile.show, *NONE),
    "passwd": Action(userfile.change, *ONE, "password_stdin", "digest"),
    "remove": Action(userfile.remove, *ONE)}
IN_ACCOUNTS = {
    "add": Action(useraccounts.add, *ONE, "password_stdin", "apop", "scope", "expires", "octets", "messages",
                  about="an account; as NAME@DOMAIN it gets mail"),
    "list": Action(useraccounts.show, "one DOMAIN or none", 0, 1, about="all accounts, or those of a domain"),
    "passwd": Action(useraccounts.change, *ONE, "password_stdin", "apop", about="another password"),
    "remove": Action(useraccounts.remove, *ONE, about="an account, and what leads to it; its mail stays on the disk"),
    "import": Action(useraccounts.bring, "one FILE", 1, 1, about="accounts from a file of names and passwords"),
    "quota": Action(useraccounts.quota, *ONE, "octets", "messages", about="how much mail there may be; shown without"),
    "disable": Action(useraccounts.disable, *ONE, about="let nobody log in as this one; mail still comes"),
    "enable": Action(useraccounts.enable, *ONE, "scope", "expires", about="undo disable"),
    "alias add": Action(useraccounts.add_alias, "ADDRESS TARGET ...", 2, MANY, about="mail for one goes to others"),
    "alias import": Action(useraccounts.bring_aliases, "FILE DOMAIN", 2, 2, about="aliases out of a file"),
    "alias list": Action(useraccounts.show_aliases, *NONE, about="all aliases"),
    "alias remove": Action(useraccounts.remove_alias, "ADDRESS and TARGETs, or ADDRESS for all", 1, MANY,
                           about="one that an address leads to, or all of them"),
    "app add": Action(useraccounts.add_application, "NAME LABEL", 2, 2, "scope", "networks", "expires",
                      about="a password for one program of theirs, which is shown once"),
    "app list": Action(useraccounts.show_applications, *ONE, about="the labels of these passwords"),
    "app remove": Action(useraccounts.remove_application, "NAME LABEL", 2, 2, about="such a password"),
    "domain add": Action(useraccounts.add_domain, "one DOMAIN", 1, 1, about="take mail for it, whoever is in it"),
    "domain list": Action(useraccounts.show_domains, *NONE, about="all domains that mail is taken for"),
    "domain remove": Action(useraccounts.remove_domain, "one DOMAIN", 1, 1, about="take no more mail for it")}
# what words an action takes, as usage tells them
TYPED = {"one NAME": "NAME", "no NAME": "", "one DOMAIN": "DOMAIN", "one DOMAIN or none": "[DOMAIN]",
         "one FILE": "FILE", "ADDRESS and TARGETs, or ADDRESS for all": "ADDRESS [TARGET ...]"}
SPECIAL = {"password_stdin": False, "digest": None, "apop": None, "scope": None, "networks": None, "expires": None,
           "octets": None, "messages": None}            # options that go with some actions, as they are when not given
SECRETS = ("password_stdin", "digest")


def main(arguments):
    """Do one action in a database of accounts, or in a file of passwords; returns 0."""
    parser = _parser()
    options = parser.parse(arguments)
    if options.users is not None and options.accounts is not None:
        parser.error("--users is a file, and --accounts a database; it is one or the other")
    where, table, module = ("--users", IN_FILE, userfile) if options.users is not None \
        else ("--accounts", IN_ACCOUNTS, useraccounts)
    options.accounts = options.accounts or DEFAULT
    options.apop = {"yes": True, "no": False}.get(options.apop)
    action = _chosen(parser, options, table, where)
    try:
        action.function(options)
    except KeyError as error:
        name = error.args[0]
        raise NotOurs(f"{module.called(options)}: no {name} there{_near(name, module.names(options))}") from None
    except ValueError as error:
        raise NotOurs(error) from None
    return 0


def _parser():
    parser = Parser("user", "Keep the accounts: who may log in, with which password and to what, and where mail goes. "
                            "Of passwords only what scrypt and SCRAM make of them is kept. Somebody at a terminal is "
                            "asked, twice; a password is never an argument. With --users it is a file of passwords, "
                            "for HTTP, with add, list, passwd and remove.",
                    examples=(
        ("fd0 user add alice@example.org", "asks for her password, and takes mail for her"),
        ("fd0 user passwd alice@example.org --password-stdin < SECRET", ""),
        ("fd0 user quota alice@example.org --octets=2G", ""),
        ("fd0 user disable alice@example.org", "enable lets her in again"),
        ("fd0 user app add alice@example.org phone", "makes a password and shows it once"),
        ("fd0 user alias add info@a.org alice@a.org", "mail for the one goes to the other"),
        ("fd0 user alias add @a.org alice@a.org", "all that nobody else has"),
        ("fd0 user alias import FILE a.org", "a file like /etc/aliases, for names of a.org"),
        ("fd0 user import FILE", "lines NAME:HASH or NAME<TAB>PASSWORD"),
        ("fd0 user add bob --users=FILE", "with --digest=REALM by HTTP's Digest too"),
        ("fd0 user list --users=FILE", "the names")),
                    actions=[(f"{name} {TYPED.get(action.takes, action.takes)}".rstrip(), action.about)
                             for name, action in IN_ACCOUNTS.items()])
    parser.add_argument("words", nargs="*", metavar="NAME", help="whom or what it is about")
    parser.add_argument("--accounts", metavar="DSN", help=f"the database: a path, or postgresql://... [{DEFAULT}]; "
                                                          "add and import make it if there is none")
    parser.add_argument("--users", metavar="FILE", help="a file of passwords instead; add makes it if there is none")
    parser.add_argument("--password-stdin", action="store_true", help="read it, one line, from the standard input")
    parser.add_argument("--digest", metavar="REALM", help="keep what HTTP's Digest needs in this realm: with it, "
                                                          "who reads the file can log in; empty: no longer")
    parser.add_argument("--apop", choices=("yes", "no"), help="keep the password itself, as APOP and CRAM-MD5 need: "
                                                              "who reads the database then has it")
    parser.add_argument("--scope", metavar="SERVICES", type=_scope,
                        help=f"only for these of {','.join(SCOPES)}, or all")
    parser.add_argument("--from", metavar="NETWORKS", type=words, dest="networks",
                        help="only from these IP networks, as 192.0.2.0/24")
    parser.add_argument("--expires", metavar="DAY", type=_day, help="from that day on no longer, as 2030-12-31 (it "
                                                                    "begins in UTC), or never")
    parser.add_argument("--octets", metavar="SIZE", type=_limit(size),
                        help="the most that mail may take, as 2G; or none")
    parser.add_argument("--messages", metavar="NUMBER", type=_limit(number),
                        help="the most messages that there may be, or none")
    return parser


def _chosen(parser, options, table, where):
    """The row of what is to be done; what does not go with it is an error, which repeats no word: it may be a password.
    """
    what = options.action
    if what not in table and where == "--accounts":
        verb = options.words.pop(0) if options.words else ""
        what = f"{what} {verb}" if f"{what} {verb}" in table else what
    action = table.get(what)
    if action is None:
        parser.error(f"{what} is followed by add, list or remove" if where == "--accounts"
                     else f"{what} is nothing for a file of passwords; it has {', '.join(table)}")
    if not action.least <= len(options.words) <= action.most:
        parser.error(f"{what} takes {action.takes}, and no password")
    for name, default in SPECIAL.items():
        if getattr(options, name) != default and name not in action.options:
            spelled = {"networks": "from"}.get(name, name)
            parser.error(f"{what} needs no password" if name in SECRETS and "password_stdin" not in action.options
                         else f"{what} with {where} takes no --{spelled}")
    return action


def _near(name, names):
    from difflib import get_close_matches
    near = get_close_matches(name, names, 1)
    return f" (did you mean {near[0]}?)" if near else ""


# -- kinds of values --


def _scope(text):
    found = [] if text == "all" else words(text)
    for word in found:
        if word not in SCOPES:
            raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(SCOPES)}, nor all")
    return found


def _day(text):
    """Seconds since 1970; 0 for never."""
    from datetime import UTC, datetime
    if text == "never":
        return 0
    try:
        return int(datetime.strptime(text, useraccounts.DAY).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day, as 2030-12-31, nor never") from None


def _limit(kind):
    """The kind of a limit, 0 for none."""
    def limit(text):
        try:
            return 0 if text == "none" else kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, nor none") from None
    return limit
