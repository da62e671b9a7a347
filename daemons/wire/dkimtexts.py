"""DKIM around what a library does: bodies in their relaxed form, private keys, records, lists of keys (RFC 6376).

    # domain        selector    file of the private key
    example.org     mail2026    /etc/fd0/dkim/example.org.mail2026.key

    mail2026._domainkey.example.org. TXT "v=DKIM1; k=rsa; p=MIIB..."
"""

from .mailaddresses import domain as checked

RSA, ED25519 = "rsa-sha256", "ed25519-sha256"           # RFC 6376, 3.3; RFC 8463
# what comes before the 32 octets of an Ed25519 key in PKCS #8 (RFC 8410, 7)
BEFORE_SEED = bytes.fromhex("302e020100300506032b657004220420")
STRING = 255                    # octets of a string in a TXT record (RFC 1035, 3.3)
LONGEST = 4096                  # octets of a signature that is looked at, and of a key's record

# the fields that are signed, each once more than it is there, so that nobody can add another (RFC 6376, 8.15)
SEALED = ("from", "to", "cc", "subject", "date", "message-id", "reply-to", "in-reply-to", "references", "mime-version",
          "content-type", "content-transfer-encoding")
# and those that are signed as often as they are there: whoever passes a mail on may add his own
SIGNED = ("sender", "resent-date", "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-message-id",
          "list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe", "list-post",
          "list-owner", "list-archive")


class Line:
    """One line of a list of keys: mail from `domain` is signed by the key in the file `path`, as `selector`."""

    __slots__ = ("domain", "path", "selector")

    def __init__(self, domain: str, selector: str, path: str) -> None:
        self.domain, self.selector, self.path = domain, selector, path


def lines(text: str) -> list[Line]:
    """The lines of a list of keys; raises ValueError with the number of the line that is wrong."""
    found: list[Line] = []
    for place, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or not words[2].startswith("/"):
            raise ValueError(f"line {place}: a line has a domain, a selector and the absolute path of a key")
        try:
            found.append(Line(checked(words[0].encode(), utf8=True), checked(words[1].encode()), words[2]))
        except ValueError as error:
            raise ValueError(f"line {place}: {error}") from None
    return found


def key_of(pem: bytes) -> tuple[str, bytes]:
    """(algorithm, key) of a private key in a PEM file: all of it for RSA, 32 octets for Ed25519; raises ValueError."""
    from base64 import b64decode
    if b"-----BEGIN RSA PRIVATE KEY-----" in pem:
        return RSA, pem
    head, tail = b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----"
    begin, end = pem.find(head), pem.find(tail)
    if not 0 <= begin < end:
        raise ValueError("not a private key in PEM without a password")
    octets = b64decode(pem[begin + len(head):end])
    if octets.startswith(BEFORE_SEED):
        return ED25519, octets[len(BEFORE_SEED):]
    return RSA, pem


def record(algorithm: str, public: bytes) -> str:
    """The text of a key's TXT record; `public` is a SubjectPublicKeyInfo for RSA, 32 octets for Ed25519."""
    from base64 import b64encode
    return f"v=DKIM1; k={algorithm.partition('-')[0]}; p={b64encode(public).decode()}"


def strings(text: str) -> str:
    """A text as zone files have it: strings in quotes, none too long."""
    return " ".join(f'"{text[start:start + STRING]}"' for start in range(0, len(text), STRING))


class Body:
    """A body with CR LF in the form in which it is hashed, relaxed or simple (RFC 6376, 3.4.3 and 3.4.4), as it passes.

    `size` is the length of the form so far.  Nothing is kept but blanks and line ends of which it is not known yet
    whether they count.
    """

    __slots__ = ("_carry", "_ends", "_relaxed", "size")

    def __init__(self, relaxed: bool) -> None:
        self._relaxed, self._carry, self._ends, self.size = relaxed, b"", 0, 0

    def feed(self, piece: bytes) -> bytes:
        """The next piece of the body; what of its form is sure now."""
        text = self._carry + piece
        kept = len(text.rstrip(b" \t\r" if self._relaxed else b"\r"))
        text, self._carry = text[:kept], text[kept:]
        return self._known(_narrow(text) if self._relaxed else text)

    def end(self) -> bytes:
        """The rest of the form: no more comes."""
        rest = self._known(b"" if self._relaxed else self._carry)
        if self.size or not self._relaxed:
            self.size += 2
            rest += b"\r\n"
        return rest

    def _known(self, text: bytes) -> bytes:
        """Line ends count only if something else comes after them."""
        core = text.rstrip(b"\r\n")
        if core:
            core, self._ends = b"\r\n" * self._ends + core, 0
        self._ends += (len(text) - len(text.rstrip(b"\r\n"))) // 2
        self.size += len(core)
        return core


def _narrow(text: bytes) -> bytes:
    """Blanks in one place as one, and none at the end of a line."""
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text.replace(b" \r\n", b"\r\n")


def signed_names(present: list[str]) -> list[bytes]:
    """The h= of a signature for a mail with fields of these names, in lower case."""
    found = [name for name in SIGNED for _ in range(present.count(name))]
    return [name.encode() for name in [*(name for name in SEALED for _ in range(present.count(name) + 1)), *found]]
