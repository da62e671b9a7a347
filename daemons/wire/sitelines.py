"""The file of sites: which hosts there are, and what holds for which of their paths; text into values.

    # before the first host: for every host
    header   *            Referrer-Policy: same-origin
    host     www.example.org example.org
    root     /srv/www/example
    listing  yes
    cache    *.css        max-age=86400
    redirect /old/        /new/
    cgi      /cgi-bin/
    protect  /private/    Members only

A line is a word and what it is about.  A pattern is a path with all that is below it, `*` for everything, or
`*` with the end of a name.
"""

from collections.abc import Callable

from . import pathpatterns
from .httpfields import VALUE, is_token
from .httpstatus import Refused
from .httptarget import authority, decoded
from .numbers import number as whole_number

YES = {"yes": True, "no": False}


class Wrong(ValueError):
    """A line that cannot be understood: its number and a sentence."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}")


class Section:
    """What is said of some hosts; of no hosts: of all.

    single    word -> its value, for words that count once: root, listing, index, users, login, hsts
    rules     (word, pattern, rest) for the others, in order
    """

    __slots__ = ("hosts", "line", "rules", "single")

    def __init__(self, hosts: tuple[str, ...], line: int) -> None:
        self.hosts, self.line = hosts, line
        self.single: dict[str, str] = {}
        self.rules: list[tuple[str, str, str]] = []


# word -> what must follow: for single words the kind, for rules how many words after the pattern, None for any text
SINGLE = {"root": "path", "listing": "switch", "index": "names", "users": "path", "login": "login",
          "hsts": "number"}
RULES = ("header", "cache", "redirect", "rewrite", "gone", "type", "error", "protect", "cgi", "scgi", "fastcgi", "wsgi",
         "proxy", "dav", "mailconfig")


def parse(text: str) -> list[Section]:
    """The sections of a file, of which the first is about all hosts; raises Wrong."""
    sections, seen = [Section((), 0)], set[str]()
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.replace("\t", " ").partition(" ")
        rest = rest.strip(" ")
        if word == "host":
            hosts = tuple(_host(name, number) for name in rest.split())
            if not hosts:
                raise Wrong(number, "host needs a name")
            if twice := seen & set(hosts):
                raise Wrong(number, f"{twice.pop()} was named before")
            seen |= set(hosts)
            sections.append(Section(hosts, number))
        elif word in SINGLE:
            _single(sections[-1], word, rest, number)
        elif word in RULES:
            sections[-1].rules.append(_rule(word, rest, number))
        else:
            raise Wrong(number, f"no such word: {word}; there are host {' '.join((*SINGLE, *RULES))}")
    return sections


def _host(name: str, line: int) -> str:
    """A host's name; *.example.org for all names below one."""
    try:
        known, port = authority(name.removeprefix("*."))
    except Refused:
        raise Wrong(line, f"not a host name: {name}") from None
    if "*" in known:
        raise Wrong(line, f"not a host name, nor *.NAME for all below one: {name}")
    if port is not None or not known:
        raise Wrong(line, f"a host name has no port: {name}")
    return f"*.{known}" if name.startswith("*.") else known


def _single(section: Section, word: str, rest: str, line: int) -> None:
    kind = SINGLE[word]
    if not rest:
        raise Wrong(line, f"{word} needs a value")
    if word in section.single:
        raise Wrong(line, f"{word} was said before")
    if kind == "path" and not rest.startswith("/"):
        raise Wrong(line, f"{word} needs an absolute path, not {rest}")
    if kind == "switch" and rest not in YES:
        raise Wrong(line, f"{word} is yes or no, not {rest}")
    if kind == "login" and rest not in ("basic", "digest"):
        raise Wrong(line, f"login is basic or digest, not {rest}")
    if kind == "number":
        _number(word, rest, line)
    if kind == "names" and ("/" in rest or any(name.startswith(".") for name in rest.split())):
        raise Wrong(line, f"{word} has names of files, not paths")
    section.single[word] = rest


def _number(word: str, rest: str, line: int) -> None:
    try:
        whole_number(rest, most=2**31)
    except ValueError as error:
        raise Wrong(line, f"{word}: {error}") from None


def _rule(word: str, rest: str, line: int) -> tuple[str, str, str]:
    pattern, _, rest = rest.partition(" ")
    rest = rest.strip(" ")
    check = CHECKS[word]
    about_paths = check not in (_error_page, _media_type)
    why = (pathpatterns.why_not(pattern) if about_paths else "") or check(pattern, rest)
    if why:
        raise Wrong(line, f"{word}: {why}")
    return word, _decoded(word, pattern, line), rest


def _decoded(word: str, pattern: str, line: int) -> str:
    """A pattern as paths are when they are compared with it: %20 is a blank."""
    try:
        return decoded(pattern.encode("utf-8")).decode("utf-8", "surrogateescape")
    except Refused as refusal:
        raise Wrong(line, f"{word}: {refusal}: {pattern}") from None


def _header(_: str, rest: str) -> str:
    name, colon, value = rest.partition(":")
    if not colon or not is_token(name.strip()) or value.encode("utf-8", "replace").translate(None, VALUE):
        return f"not a header field, NAME: VALUE: {rest}"
    return f"{name.strip()} is the server's own business" if name.strip().lower() in OURS else ""


def _value(_: str, rest: str) -> str:
    return "" if rest and not rest.encode("utf-8", "replace").translate(None, VALUE) else "needs a value"


def _redirect(_: str, rest: str) -> str:
    words = rest.split()
    if words[:1] and words[0] in ("301", "302", "303", "307", "308"):
        words = words[1:]
    good = len(words) == 1 and words[0].isascii() and words[0].isprintable() and rest.isascii()
    if not good or not words[0].startswith(("/", "http://", "https://")) or words[0].startswith("//"):
        return f"needs a path or a URL to go to, after 301, 302, 303, 307 or 308 if it is not 301: {rest}"
    return ""


def _path(_: str, rest: str) -> str:
    return "" if rest.startswith("/") and rest.isascii() and rest.isprintable() and " " not in rest else \
        f"needs a path, not {rest}"


def _media_type(pattern: str, rest: str) -> str:
    kind, slash, sub = rest.partition(";")[0].partition("/")
    if not pattern.startswith(".") or len(pattern) < 2:
        return f"needs an extension such as .wasm, not {pattern}"
    good = slash and is_token(kind) and is_token(sub.strip()) and rest.isascii() and rest.isprintable()
    return "" if good else f"not a media type: {rest}"


def _error_page(pattern: str, rest: str) -> str:
    if len(pattern) != 3 or not pattern.isascii() or not pattern.isdigit() or pattern[0] not in "45":
        return f"needs a status of 400 to 599, not {pattern}"
    return "" if rest.startswith("/") else f"needs the path of a page, not {rest}"


def _nothing(_: str, rest: str) -> str:
    return f"has nothing after the path: {rest}" if rest else ""


def _anything(_: str, rest: str) -> str:
    return ""


def _address(_: str, rest: str) -> str:
    words = rest.split()
    return "" if len(words) in (1, 2) and (words[0].startswith("unix:/") or ":" in words[0]) else \
        f"needs host:port or unix:/path: {rest}"


def _module(_: str, rest: str) -> str:
    rest, *folders = rest.split() or [""]
    if any(not folder.startswith("/") for folder in folders):
        return f"needs absolute paths after MODULE:OBJECT, not {' '.join(folders)}"
    module, _, name = rest.partition(":")
    good = all(part.isidentifier() for part in module.split(".")) and (not name or name.isidentifier())
    return "" if good else f"needs MODULE:OBJECT, not {rest}"


def _url(_: str, rest: str) -> str:
    from . import httpforward
    return _why(httpforward.upstream, rest)


def _dav(_: str, rest: str) -> str:
    return "" if rest in ("", "read", "write") else f"is read or write, not {rest}"


def _mail(_: str, rest: str) -> str:
    from . import mailconfig
    return _why(mailconfig.parse, rest)


def _why(read: Callable[[str], object], rest: str) -> str:
    """Why this cannot be read; "" if it can."""
    try:
        read(rest)
    except ValueError as error:
        return str(error)
    return ""


# fields that say how a message is framed, or what only the server knows
OURS = {"connection", "content-length", "content-range", "date", "keep-alive", "te", "trailer", "transfer-encoding",
        "upgrade"}
CHECKS = {"header": _header, "cache": _value, "redirect": _redirect, "rewrite": _path, "gone": _nothing,
          "type": _media_type, "error": _error_page, "protect": _anything, "cgi": _nothing, "scgi": _address,
          "fastcgi": _address, "wsgi": _module, "proxy": _url, "dav": _dav, "mailconfig": _mail}
