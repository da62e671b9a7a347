"""Names of accounts and addresses in one spelling, so that equal ones compare equal: alice@example.org.

A domain is in small letters and, where it is not ASCII, in its IDNA form (RFC 3490), xn--.  Of a local part only
ASCII letters are folded; it is UTF-8 in Normalization Form C (RFC 6532, 3.1).
An account may have no domain: then it can log in, and has no mail.
"""

from . import mailaddresses
from .httpauth import normal
from .passwordlines import check_name

LONGEST_LOCAL, LONGEST_DOMAIN = 64, 253         # octets (RFC 5321, 4.5.3.1; RFC 1035, 2.3.4)
LONGEST_ADDRESS = 254           # octets of an address elsewhere (RFC 3696, erratum 1690)
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_+=.")  # what stands in the name of a folder as it is


def split(name: str) -> tuple[str, str]:
    """(local part, domain), either of which may be "": alice, @example.org."""
    local, at, domain = name.rpartition("@")
    return (local, domain) if at else (domain, "")


def account_name(name: str) -> str:
    """The one spelling of an account's name, with a domain or without; raises ValueError."""
    local, domain = split(check_name(name))
    if not local or len(local.encode()) > LONGEST_LOCAL or "@" in local or name.endswith("@"):
        raise ValueError(f"{name[:80]!r} cannot be an account: NAME@DOMAIN, the name of 1 to {LONGEST_LOCAL} octets")
    return f"{_folded(local)}@{domain_name(domain)}" if domain else _folded(local)


def address_name(address: str) -> str:
    """The one spelling of an address here; @DOMAIN stands for all in it.  Raises ValueError."""
    if address.startswith("@"):
        return f"@{domain_name(address[1:])}"
    if not split(address)[1]:
        raise ValueError(f"{address[:80]!r} is no address: NAME@DOMAIN")
    return account_name(address)


def target_name(address: str) -> str:
    """Where an alias leads: an address here or elsewhere, in one spelling; raises ValueError.

    Elsewhere a local part may mean something else in other letters, so it stays as it is; but it is one word.
    """
    local, domain = split(address)
    if not domain:
        raise ValueError(f"{address[:80]!r} is no address: NAME@DOMAIN")
    if local.startswith('"') or (domain.startswith("[") and domain.endswith("]")):
        spelled = f"{local}@{domain.lower()}"
    elif local:
        spelled = f"{normal(local)}@{domain_name(domain)}"
    else:
        spelled = address_name(address)
    if len(spelled.encode("utf-8", "replace")) > LONGEST_ADDRESS or not spelled.isprintable() or " " in spelled:
        raise ValueError(f"{address[:80]!r} is no address that mail could be sent to")
    return spelled


def domain_name(name: str) -> str:
    """The one spelling of a domain, which is that of an envelope (wire.mailaddresses); raises ValueError.

    The dot that may stand at the end of a name of DNS is left out.
    """
    if any(sign in name for sign in mailaddresses.DEVIANT):
        raise ValueError(f"{name[:80]!r} may be two different domains: write it as xn--...")
    try:
        found = mailaddresses.domain(name.removesuffix(".").encode(), utf8=True)
    except ValueError:
        found = ""
    if not 0 < len(found) <= LONGEST_DOMAIN:
        raise ValueError(f"{name[:80]!r} is no name of a domain")
    return found


def sub_address(name: str, separator: str) -> tuple[str, str]:
    """(alice@example.org, news) of alice+news@example.org; the second is "" where there is none (RFC 5233)."""
    local, domain = split(name)
    base, found, detail = local.partition(separator) if separator else (local, "", "")
    return (f"{base}@{domain}", detail) if base and found else (name, "")


def folder_of(name: str) -> str:
    """Where the mail of an account lies below the folder of all: DOMAIN/NAME, whatever its letters; "" without domain.

    Signs that could mean something in a path, and a dot at the beginning, are percent and two hex digits each.
    """
    local, domain = split(name)
    written = "".join(sign if sign in PLAIN else "".join(f"%{octet:02X}" for octet in sign.encode()) for sign in local)
    return f"{domain}/{'%2E' + written[1:] if written.startswith('.') else written}" if domain else ""


def _folded(local: str) -> str:
    return local.encode().lower().decode()              # of octets, only ASCII is folded
