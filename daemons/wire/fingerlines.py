"""What a finger client asks, and what it is told, as values and lines (RFC 1288, 2.3 and 2.5)."""

LIMIT = 512 + 2                 # octets in a query line with its CR LF
DAY, HOUR, MINUTE = 86400, 3600, 60


class Query:
    """One question: about `name`, or about all ("") - to be passed on to `hosts`, the last of them first."""

    __slots__ = ("hosts", "name", "verbose")

    def __init__(self, name: str = "", hosts: tuple[str, ...] = (), verbose: bool = False) -> None:
        self.name, self.hosts, self.verbose = name, hosts, verbose


def parse(line: bytes) -> Query:
    """The query of one line, whatever its octets; those that are not UTF-8 stay, as surrogates."""
    #   {Q1} ::= [{W}|{W}{S}{U}]{C}         RFC 1288, 2.3; everybody also sends {U}{C}
    #   {Q2} ::= [{W}{S}][{U}]{H}{C}
    text = line.decode("utf-8", "surrogateescape").strip(" \t")
    head, _, rest = text.partition(" ")
    verbose = head in ("/W", "/w")
    name, *hosts = (rest if verbose else text).split("@")
    return Query(name.strip(" \t"), tuple(host.strip(" \t") for host in hosts), verbose)


def build(query: Query) -> bytes:
    """The line that asks for this, without its ending."""
    text = "@".join((query.name, *query.hosts))
    return (f"/W {text}".rstrip() if query.verbose else text).encode("utf-8", "surrogateescape")


class Person:
    """The comment field of an account, where the full name stands: name, office and two telephones (passwd(5))."""

    __slots__ = ("home_phone", "name", "office", "office_phone")

    def __init__(self, comment: str, login: str) -> None:
        parts = [printable(part).strip() for part in comment.split(",")] + [""] * 4
        # an ampersand has stood for the login name since the days of paper tape
        self.name = parts[0].replace("&", login.capitalize())
        self.office, self.office_phone, self.home_phone = parts[1:4]


def printable(text: str) -> str:
    """The text without what a terminal might obey, on one line."""
    return text if text.isprintable() else "".join(sign for sign in text if sign.isprintable())


def pair(left: str, right: str = "") -> str:
    """One or two facts on one line."""
    return f"{left:39} {right}".rstrip()


def idle(seconds: float) -> str:
    """A time without a keystroke, in the table's five columns."""
    whole = max(int(seconds), 0)
    if whole >= DAY:
        return f"{whole // DAY}d"
    if whole >= HOUR:
        return f"{whole // HOUR}:{whole % HOUR // MINUTE:02}"
    return str(whole // MINUTE) if whole >= MINUTE else ""


HEADING = f"{'Login':10} {'Name':24} {'Tty':8} {'Idle':>5}  {'Login Time':16} From"


def row(login: str, name: str, terminal: str, rest: str, since: str, host: str) -> str:
    """One login as a row of the table below HEADING."""
    return f"{login:10} {name[:24]:24} {terminal:8} {rest:>5}  {since:16} {host}".rstrip()
