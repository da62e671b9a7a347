"""Lines that bring accounts from elsewhere: a name and a hash, or a name and the password itself.

    alice@example.org:$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Wm9v...
    bob@example.org:$6$dhn0rqmd$Qoz4...:19700:0:99999:7:::
    carol@example.org:{SHA512-CRYPT}$6$Tf2o...
    dave@example.org<TAB>correct horse battery staple

So files of our own, /etc/shadow, Apache's with bcrypt and Dovecot's can be read.  What comes after the hash and another
colon is not looked at.  Names without a domain are as good as others, but have no mail.
"""

from .accountnames import account_name
from .passwordlines import check_password, parse

CRYPT = ("$y$", "$gy$", "$7$", "$6$", "$5$", "$2b$", "$2y$", "$2a$", "$1$")     # crypt(5), the better first
SCHEMES = ("{CRYPT}", "{SHA512-CRYPT}", "{SHA256-CRYPT}", "{BLF-CRYPT}", "{MD5-CRYPT}")     # as Dovecot marks them
LONGEST = 512                   # octets of a hash
LETTERS = frozenset("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz$=,")
MOST_ROUNDS, MOST_COST = 1_000_000, 15  # of SHA-crypt, and of bcrypt: a second or so
ACCEPTED = "$scrypt$, or of crypt(5): " + " ".join(CRYPT)


class Line:
    """What one line says; either `hash` or `password` is not None."""

    __slots__ = ("hash", "name", "password")

    def __init__(self, name: str, hash: str | None, password: bytes | None) -> None:
        self.name, self.hash, self.password = name, hash, password


def parse_line(line: bytes) -> Line:
    """One line without its end; raises ValueError with nothing in its text that is to be kept secret."""
    octets, tab, password = line.partition(b"\t")
    if tab:
        return Line(account_name(_text(octets)), None, check_password(password))
    octets, colon, rest = line.partition(b":")
    if not colon:
        raise ValueError("neither NAME:HASH nor NAME<TAB>PASSWORD")
    return Line(account_name(_text(octets)), check_hash(_text(rest.partition(b":")[0])), None)


def check_hash(hash: str) -> str:
    """A hash of a kind that can be checked, without Dovecot's mark; raises ValueError."""
    if hash.startswith("{"):
        mark, brace, hash = hash.partition("}")
        if mark.upper() + brace not in SCHEMES:
            raise ValueError(f"a hash of an unknown kind; known are {ACCEPTED}")
    if hash.startswith("$scrypt$"):
        parse(b"user:" + hash.encode())
        return hash
    if not is_crypt(hash):
        if hash[:1] in ("", "!", "*", "x"):
            raise ValueError("has no password")
        raise ValueError(f"a hash of an unknown kind; known are {ACCEPTED}")
    if len(hash) > LONGEST or not LETTERS.issuperset(hash) or not 3 <= hash.count("$") <= 5 or hash.endswith("$"):
        raise ValueError("a hash that is not as crypt(5) writes it")
    _check_cost(hash)
    return hash


def is_crypt(hash: str) -> bool:
    """Is it libcrypt that must check this?"""
    return hash.startswith(CRYPT)


def _check_cost(hash: str) -> None:
    """Raise ValueError where a check would take too long."""
    kind, cost = hash.split("$")[1:3]
    rounds = cost.removeprefix("rounds=")
    if kind in ("5", "6") and rounds != cost and not (rounds.isdigit() and int(rounds[:9]) <= MOST_ROUNDS):
        raise ValueError(f"more than {MOST_ROUNDS} rounds")
    if kind.startswith("2") and not (len(cost) == 2 and cost.isdigit() and int(cost) <= MOST_COST):
        raise ValueError(f"bcrypt of a cost above {MOST_COST}")


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
