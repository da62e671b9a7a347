r"""Rules of /etc/hosts.allow and /etc/hosts.deny (hosts_access(5), and of hosts_options(5) allow and deny).

    fingerd, sshd: LOCAL, .example.org, 192.0.2. EXCEPT bad.example.org
    ALL EXCEPT ftpd@192.0.2.1: ALL: deny

The first rule of hosts.allow that matches lets in, else the first of hosts.deny keeps out, else everybody may come.
What libwrap would only warn about and skip keeps everybody out where it may have been a restriction; so does a rule
that would run a command (spawn, twist) or change how the server runs: that is not done here.
"""

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network

UNKNOWN, PARANOID = "unknown", "paranoid"       # what somebody is called whose name is not known, or not confirmed
HARMLESS = ("severity",)                        # options that change only what is logged


class Caller:
    """Who calls: `name` and `user` look up what he is called when a rule asks, and give UNKNOWN or PARANOID.

    `patterns` reads a file of patterns that a rule names, and raises OSError.
    """

    def __init__(self, daemon: str, address: str, server: str, *, name: Callable[[], str], user: Callable[[], str],
                 patterns: Callable[[str], Iterable[str]]) -> None:
        self.daemon, self.address, self.server, self.patterns = daemon, address, server, patterns
        self._name, self._user = name, user
        self.known: dict[str, str] = {}

    def name(self) -> str:
        """The confirmed host name, in lower case."""
        return self._once("name", self._name)

    def user(self) -> str:
        """The user."""
        return self._once("user", self._user)

    def _once(self, what: str, look_up: Callable[[], str]) -> str:
        if what not in self.known:
            self.known[what] = look_up().lower()
        return self.known[what]


class Rule:
    """One line: whom it is about, and `fault`, why it cannot be kept, if so.  `says` is "allow", "deny" or ""."""

    __slots__ = ("clients", "daemons", "fault", "line", "says")

    def __init__(self, line: int, daemons: list[str], clients: list[str], says: str, fault: str) -> None:
        self.line, self.daemons, self.clients, self.says, self.fault = line, daemons, clients, says, fault

    def matches(self, caller: Caller) -> bool:
        """Is it about this caller?  A rule that is not understood may be about everybody."""
        if not self.daemons:
            return True
        return (_listed(self.daemons, lambda word: _is_daemon(word, caller))
                and _listed(self.clients, lambda word: _is_client(word, caller)))


def parse(text: str) -> list[Rule]:
    """The rules of a file, in order."""
    rules, start, joined = [], 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        start = start if joined else number
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        joined, line = "", joined + line
        if line.strip() and not line.lstrip().startswith("#"):
            rules.append(_rule(start, _fields(line)))
    if joined.strip():
        rules.append(_rule(start, _fields(joined)))
    return rules


def why_not(allow: Iterable[Rule], deny: Iterable[Rule], caller: Caller) -> str:
    """Why this caller may not come in, in words for the log, or nothing."""
    for file, rules in (("hosts.allow", allow), ("hosts.deny", deny)):
        for rule in rules:
            if not rule.daemons and file == "hosts.allow":
                continue                # it would have let somebody in
            try:
                if not rule.matches(caller):
                    continue
            except (OSError, ValueError) as error:
                return f"{file}:{rule.line}: {getattr(error, 'strerror', None) or error}"
            if rule.fault:
                return f"{file}:{rule.line}: {rule.fault}"
            allowed = rule.says != "deny" if file == "hosts.allow" else rule.says == "allow"
            return "" if allowed else f"{file}:{rule.line}"
    return ""


def _fields(line: str) -> list[str]:
    r"""The parts between colons; none counts that is in brackets, or behind a backslash."""
    fields, depth, escaped = [""], 0, False
    for char in line:
        depth += (char == "[") - (char == "]" and depth > 0)
        if char == ":" and not depth and not escaped:
            fields.append("")
        else:
            fields[-1] = fields[-1][:-1] + char if char == ":" and escaped else fields[-1] + char
        escaped = char == "\\"
    return [field.strip() for field in fields]


def _rule(line: int, fields: list[str]) -> Rule:
    lists = [field.replace(",", " ").split() for field in fields[:2]]
    if len(lists) < 2 or not all(lists):
        return Rule(line, [], [], "", "is not of the form daemons: clients")
    says, fault = "", ""
    for option in fields[2:]:
        word = option.replace("=", " ").split()[:1]
        if word in (["allow"], ["ALLOW"], ["deny"], ["DENY"]):
            says = word[0].lower()
            break                       # libwrap decides there, too, and reads no further
        if word and word[0].lower() not in HARMLESS:
            fault = fault or f"{word[0]} is not done here, so that nobody is let in: use only allow and deny"
    group = next((word for word in lists[0] + lists[1] if word.startswith("@")), "")
    return Rule(line, lists[0], lists[1], says, f"{group} is a netgroup, which is not asked here" if group else fault)


def _listed(words: list[str], matches: Callable[[str], bool]) -> bool:
    """list_1 EXCEPT list_2, which may have an EXCEPT of its own."""
    for place, word in enumerate(words):
        if word.upper() == "EXCEPT":
            return False
        if matches(word):
            rest = [later.upper() for later in words[place:]]
            if "EXCEPT" not in rest:
                return True
            return not _listed(words[place + rest.index("EXCEPT") + 1:], matches)
    return False


def _is_daemon(word: str, caller: Caller) -> bool:
    name, at, host = word.partition("@")
    return _is(name, caller.daemon) and (not at or _is_host(host, caller.server, lambda: UNKNOWN, caller))


def _is_client(word: str, caller: Caller) -> bool:
    user, at, host = word[1:].partition("@")
    if not at:
        return _is_host(word, caller.address, caller.name, caller)
    return _is_host(host, caller.address, caller.name, caller) and _is(word[0] + user, caller.user())


def _is_host(word: str, address: str, name: Callable[[], str], caller: Caller) -> bool:
    upper = word.upper()
    if upper == "ALL":
        return True
    if word.startswith("@"):
        return True                     # the rule's fault is said, and nobody is let in
    if word.startswith("/"):
        return any(_is_host(one, address, name, caller) for line in caller.patterns(word) for one in line.split())
    if upper == "KNOWN":
        return name() not in (UNKNOWN, PARANOID)
    if upper == "LOCAL":
        return "." not in name() and name() not in (UNKNOWN, PARANOID)
    if "/" in word:
        return _is_within(word, address)
    if word.startswith("[") and word.endswith("]"):
        return ip_address(word[1:-1]) == ip_address(address)
    return _is(word, address) or (not _looks_like_an_address(word) and _is(word, name()))


def _is_within(word: str, address: str) -> bool:
    network, _, mask = word.replace("[", "").replace("]", "").partition("/")
    return ip_address(address) in ip_network(f"{network}/{mask}", strict=False)


def _looks_like_an_address(word: str) -> bool:
    return not word.strip("0123456789.")


def _is(word: str, text: str) -> bool:
    """Does the pattern mean this daemon, address, name or user?"""
    word, text = word.lower(), text.lower()
    if word == "all":
        return True
    if word == "known":
        return text != UNKNOWN
    if word.startswith("."):
        return text.endswith(word)
    if word.endswith("."):
        return text.startswith(word)
    if "*" in word or "?" in word:
        from fnmatch import fnmatchcase  # regular expressions: only for who uses them
        return fnmatchcase(text, word.replace("[", "[[]"))
    return word == text
