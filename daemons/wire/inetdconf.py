"""The text of /etc/inetd.conf, as the sections that xinetd's files would have for it.

One line is one service, in blank-separated fields (inetd(8) of OpenBSD, NetBSD and Debian):

    # service  type    protocol  wait    user    program            its arguments, from argv[0] on
    finger     stream  tcp       nowait  nobody  /usr/lib/fd0/fingerd  fingerd
    127.0.0.1:7007 stream tcp4   wait.40 fd0:fd0 /usr/lib/fd0/echod    echod --idle=30

A line that begins with a blank goes on with the one before; `ADDRESS:` alone holds for the lines after it.
`.40` is how many servers may be started in a minute.  It becomes cps, which counts seconds.
"""

from collections.abc import Iterator

from .numbers import number
from .xinetdconf import Attribute, Problem, Section, Statement

TYPES = ("stream", "dgram", "raw", "rdm", "seqpacket")
LONGEST_PAUSE = 60              # seconds without a start after too many: inetd counts by the minute
EVERYWHERE = "*"

#   inetd's protocol -> ours, and the flag that says which IP; `tcp46` is one socket for both, as xinetd has it
PROTOCOLS = {"tcp": ("tcp", ""), "udp": ("udp", ""), "tcp4": ("tcp", "IPv4"), "udp4": ("udp", "IPv4"),
             "tcp6": ("tcp", "IPv6"), "udp6": ("udp", "IPv6"), "tcp46": ("tcp", ""), "udp46": ("udp", ""),
             "unix": ("unix", "")}


class NotUnderstood(ValueError):
    """A line that is no service; the text says why."""


def is_inetdconf(text: str) -> bool:
    """Does its first line that says anything look like inetd.conf's, and not like xinetd's?"""
    for line in text.split("\n"):
        words = line.split()
        if words and not words[0].startswith("#"):
            if words[0] == "service":   # xinetd's, though it may be called stream
                return False
            return (words[1:2] != [] and words[1] in TYPES) or (len(words) == 1 and words[0].endswith(":"))
    return False


def parse(text: str) -> tuple[list[Statement], list[Problem]]:
    """Return a section for each service of the file, and everything that is wrong with it."""
    sections: list[Section] = []
    problems: list[Problem] = []
    everywhere = EVERYWHERE
    for line, words in _entries(text):
        if len(words) == 1 and words[0].endswith(":"):
            everywhere = words[0][:-1] or EVERYWHERE
            continue
        try:
            sections += _sections(words, line, everywhere)
        except NotUnderstood as error:
            problems.append(Problem(line, str(error)))
    _name(sections)
    return list(sections), problems


def _entries(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each entry's first line number and words."""
    first, words = 0, list[str]()
    for number_, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] not in " \t":
            if words:
                yield first, words
            first, words = number_, []
        words += line.split()
        first = first or number_
    if words:
        yield first, words


def _sections(words: list[str], line: int, everywhere: str) -> list[Section]:
    if len(words) < 6 or (words[5] != "internal" and len(words) < 7):
        raise NotUnderstood("a service has a name, a type, a protocol, wait or nowait, a user, a program, and its "
                            f"arguments from argv[0] on: {words[0]} has {len(words)} words")
    service, sort, protocol, wait, user, server, *arguments = words
    if protocol.partition(",")[0] == "unix":
        return [_section(service, "", (sort, protocol, wait, user, server), arguments, line)]
    hosts, colon, name = service.rpartition(":")
    return [_section(name, host, (sort, protocol, wait, user, server), arguments, line)
            for host in (hosts if colon else everywhere).split(",")]


def _section(name: str, host: str, fields: tuple[str, str, str, str, str], arguments: list[str],
             line: int) -> Section:
    sort, protocol, wait, user, server = fields
    rows = [("socket_type", [sort]), *_protocol(protocol), *_wait(wait), *_user(user)]
    name, kinds, more = _kind(name, protocol)
    rows += more
    if host not in ("", EVERYWHERE):
        rows.append(("bind", [host.strip("[]")]))
    if server == "internal":
        kinds.append("INTERNAL")
    else:
        rows += _program(server, arguments)
    if kinds:
        rows.insert(0, ("type", kinds))
    return Section("service", name, [Attribute(key, "=", values, line) for key, values in _joined(rows)], line)


Rows = list[tuple[str, list[str]]]


def _kind(name: str, protocol: str) -> tuple[str, list[str], Rows]:
    """The service's name, its types, and what else its first field says."""
    if protocol.partition(",")[0] == "unix":
        return name.rpartition("/")[2], [], [("bind", [name])]
    if protocol.startswith("rpc/"):
        return name.partition("/")[0], ["RPC"], []
    if name.startswith("tcpmux/"):
        name = name.removeprefix("tcpmux/")
        return name.removeprefix("+"), ["TCPMUXPLUS" if name.startswith("+") else "TCPMUX"], []
    if name.isdigit():
        return name, ["UNLISTED"], [("port", [name])]
    return name, [], []


def _protocol(field: str) -> Rows:
    word, *buffers = field.split(",")
    word = word.removeprefix("rpc/")
    if word not in PROTOCOLS:
        raise NotUnderstood(f"protocol {word} is not one of {', '.join(PROTOCOLS)}")
    protocol, flag = PROTOCOLS[word]
    rows: Rows = [("protocol", [protocol])]
    if flag:
        rows.append(("flags", [flag]))
    for buffer in buffers:                      # sndbuf=64k: no attribute of ours, and so it will be said
        name, _, value = buffer.partition("=")
        rows.append((name, [value]))
    return rows


def _wait(field: str) -> Rows:
    word, dot, most = field.partition(".")
    if word not in ("wait", "nowait"):
        raise NotUnderstood(f"say wait or nowait, not {field}")
    rows: Rows = [("wait", ["yes" if word == "wait" else "no"])]
    if dot:
        try:
            rows.append(("cps", [str(number(most, 1, 10**6)), str(LONGEST_PAUSE)]))
        except ValueError as error:
            raise NotUnderstood(f"{field}: {error}") from None
    return rows


def _user(field: str) -> Rows:
    user, mark, group = field.partition(":" if ":" in field else ".")
    return [("user", [user]), *([("group", [group])] if mark else [])]


def _program(server: str, arguments: list[str]) -> Rows:
    """argv[0] is the program's name in xinetd's files, unless they say NAMEINARGS."""
    if arguments[0] == server.rpartition("/")[2]:
        return [("server", [server]), *([("server_args", arguments[1:])] if arguments[1:] else [])]
    return [("flags", ["NAMEINARGS"]), ("server", [server]), ("server_args", arguments)]


def _joined(rows: Rows) -> Rows:
    """Of two rows for one attribute, one with the values of both."""
    joined: dict[str, list[str]] = {}
    for name, values in rows:
        joined[name] = [*joined.get(name, []), *values]
    return list(joined.items())


def _name(sections: list[Section]) -> None:
    """Ids that differ: the name alone where it is the only one, otherwise with what tells it from its namesakes."""
    names = [section.name for section in sections]
    taken: set[str] = set()
    for section in sections:
        values = {one.name: "".join(one.values) for one in section.attributes}
        name = values.get("server", "").rpartition("/")[2] if section.name.isdigit() else section.name
        parts = [name or section.name]
        if names.count(section.name) > 1 or section.name.isdigit():
            parts += [values["protocol"], values.get("bind", ""), section.name if section.name.isdigit() else ""]
        base = one = "-".join(part for part in parts if part)
        count = 1
        while one in taken:
            count += 1
            one = f"{base}-{count}"
        taken.add(one)
        section.attributes.insert(0, Attribute("id", "=", [one], section.line))


def entry(service: str, sort: str, protocol: str, wait: bool, account: tuple[str, str], server: str,
          argv: list[str]) -> str:
    """One line for a service; raises NotUnderstood where a word has a blank in it, which no line can hold."""
    user, group = account
    words = [service, sort, protocol, "wait" if wait else "nowait", f"{user}:{group}" if group else user,
             server, *argv]
    for word in words:
        if not word or word.split() != [word]:
            raise NotUnderstood(f"inetd.conf has no way to write the word {word!r}")
    return "\t".join(words[:5]) + "\t" + " ".join(words[5:])
