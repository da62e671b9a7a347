"""Queries and replies of the identification protocol, both ways (RFC 1413).

    6193, 23                                a query: port on the server, port on the client
    6193, 23 : USERID : UNIX : stjohns      an answer
    6195, 23 : ERROR : NO-USER              another

Whoever writes a reply makes it here, so that no user's name can become a second line or a field of its own.
"""

from .numbers import number

LIMIT = 1000                    # octets in a line, RFC 1413, 6, note 2
LONGEST_USER = 512              # octets in a user id, RFC 1413, 6
LONGEST_TOKEN = 64              # in everything else

INVALID_PORT, NO_USER, HIDDEN_USER, UNKNOWN_ERROR = "INVALID-PORT", "NO-USER", "HIDDEN-USER", "UNKNOWN-ERROR"
BLANKS = b" \t"


class Reply:
    """What the answer to a query says: a user id with the system and charset it belongs to, or an error."""

    __slots__ = ("charset", "error", "ports", "system", "user")

    def __init__(self, ports: tuple[int, int], *, error: str = "", user: bytes = b"", system: str = "UNIX",
                 charset: str = "") -> None:
        self.ports, self.error, self.user, self.system, self.charset = ports, error, user, system, charset


def query(local: int, remote: int) -> bytes:
    """The line that a client sends to ask about this port of the server and this one of its own."""
    return b"%d, %d" % (local, remote)


def ports(line: bytes) -> tuple[int, int]:
    """The two ports of a query, whatever its octets: 0 stands for what is no number of up to five digits."""
    #   <port-pair> ::= <integer> "," <integer>     RFC 1413, 6; blanks may stand around each of the three
    left, _, right = line.partition(b",")
    return _port(left), _port(right)


def are_valid(pair: tuple[int, int]) -> bool:
    """Are both port numbers of TCP?"""
    return all(0 < port < 65536 for port in pair)


def is_identity(user: bytes) -> bool:
    """Can this be sent as a user id that no client will misread: printable, without a colon, not too long?"""
    if not 0 < len(user) <= LONGEST_USER or b":" in user:
        return False
    try:
        text = user.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return text.isprintable() and text == text.strip()


def is_token(word: str) -> bool:
    """Can this be the name of an operating system, a charset or an error?"""
    return 0 < len(word) <= LONGEST_TOKEN and word.isascii() and word.isprintable() and not set(" ,:") & set(word)


def build(reply: Reply) -> bytes:
    """A reply's line, without its ending; raises ValueError for a user id or word that must not be sent."""
    # blanks as in the examples of RFC 1413, 4: clients skip them, and some expect them
    pair = b"%d, %d" % reply.ports
    if reply.error:
        return pair + b" : ERROR : " + _token(reply.error)
    if not is_identity(reply.user):
        raise ValueError(f"not to be sent as a user id: {reply.user!r}")
    charset = b" , " + _token(reply.charset) if reply.charset else b""
    return pair + b" : USERID : " + _token(reply.system) + charset + b" : " + reply.user


def parse(line: bytes) -> Reply:
    """What a server's line says; raises ValueError.  The user id comes without the blanks around it."""
    pair, kind, *rest = line.split(b":", 3)
    fields = [field.strip(BLANKS) for field in (kind, *rest)]
    if fields[0] == b"ERROR" and len(fields) == 2:
        return Reply(ports(pair), error=_word(fields[1]))
    if fields[0] != b"USERID" or len(fields) != 3:
        raise ValueError(f"neither USERID nor ERROR: {line[:80]!r}")
    system, _, charset = fields[1].partition(b",")
    if not fields[2] or set(fields[2]) & {0, 10, 13}:
        raise ValueError(f"no user id: {line[:80]!r}")
    return Reply(ports(pair), user=fields[2], system=_word(system.strip(BLANKS)),
                 charset=_word(charset.strip(BLANKS)) if charset else "")


def _port(digits: bytes) -> int:
    #   <integer> ::= 1*5<digit>
    try:
        return number(digits.strip(BLANKS), 0, 99999)
    except ValueError:
        return 0


def _token(word: str) -> bytes:
    if not is_token(word):
        raise ValueError(f"not a word of a reply: {word!r}")
    return word.encode()


def _word(field: bytes) -> str:
    word = field.decode("latin-1")
    if not is_token(word):
        raise ValueError(f"not a word of a reply: {word[:40]!r}")
    return word
