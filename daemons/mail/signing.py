"""DKIM signatures on mail that is submitted, made by dkimpy with the keys of --dkim-keys (RFC 6376, RFC 8463).

A mail is signed for the domain of its From field, by each key that has a line of that domain, or else of the nearest
domain above it; nobody's mail is signed as another's.
"""

from daemons.stores.libraries import library
from daemons.wire import dkimtexts, mailheaders
from daemons.wire.dkimtexts import RSA

from .signatures import body_hash, headers, prepare

PROBE, FORMS = b"From: <probe@%s>\r\n\r\n", b"relaxed/relaxed"


class Key:
    """One key: whose mail it signs, under which selector, and as what."""

    __slots__ = ("algorithm", "domain", "private", "selector")

    def __init__(self, line, algorithm, private):
        self.domain, self.selector = line.domain.encode(), line.selector.encode()
        self.algorithm, self.private = algorithm, private


class Signer:
    """Signs with the keys that a file lists; raises ValueError, OSError for what cannot be used."""

    def __init__(self, path):
        self.path, self.files = path, []
        self._dkim, self._keys = prepare(), {}
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            try:
                lines = dkimtexts.lines(file.read())
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
        for line in lines:
            with open(line.path, "rb") as file:
                pem = file.read()
            try:
                algorithm, octets = dkimtexts.key_of(pem)
                key = Key(line, algorithm, self._private(algorithm, octets))
                self._signature(key, mailheaders.parse(PROBE % key.domain), body_hash([], True)[0], 0)
            except (ValueError, LookupError, TypeError, self._dkim.DKIMException,
                    self._dkim.UnparsableKeyError) as error:
                raise ValueError(f"{line.path}: {error}") from None
            self._keys.setdefault(line.domain, []).append(key)
            self.files.append(line.path)

    def sign(self, letter, seconds, may_be):
        """(fields, domain, why not) for a letter; `may_be(mailbox)`: may its client write as this author?"""
        try:
            author = mailheaders.author(letter.fields)
        except ValueError as error:
            return b"", "", str(error)
        keys = self._keys_of(author.domain)
        if not keys:
            return b"", "", f"no key for {author.domain}"
        if not may_be(author):
            return b"", "", f"not the client's own address: {author}"
        fields, (digest, _) = letter.written(), body_hash(letter.body(), True)
        return b"".join(self._signature(key, fields, digest, seconds) for key in keys), keys[0].domain.decode(), ""

    def _private(self, algorithm, octets):
        if algorithm == RSA:
            return self._dkim.parse_pem_private_key(octets)
        return library("nacl.signing", "python3-nacl, or pynacl of PyPI").SigningKey(octets)

    def _keys_of(self, domain):
        """The keys of a domain, or of the nearest one above it that has some."""
        while domain:
            if domain in self._keys:
                return self._keys[domain]
            domain = domain.partition(".")[2]
        return []

    def _signature(self, key, fields, digest, seconds):
        """The field of one key for a mail whose body has this hash.

        It is what dkimpy's sign() does once it has hashed the body, for which it would hold all of it in memory.
        """
        from base64 import b64encode
        dkim = self._dkim
        message = dkim.DKIM(signature_algorithm=key.algorithm.encode())
        message.headers, message.hasher = headers(fields), dkim.HASH_ALGORITHMS[message.signature_algorithm]
        names = dkimtexts.signed_names([field.name for field in fields])
        tags = [(b"v", b"1"), (b"a", message.signature_algorithm), (b"c", FORMS), (b"d", key.domain),
                (b"s", key.selector), (b"t", b"%d" % seconds), (b"h", b" : ".join(names)),
                (b"bh", b64encode(digest)), (b"b", b"0" * 60)]          # its place is kept, so that folds stay
        return b"DKIM-Signature: " + message.gen_header(
            tags, names, dkim.CanonicalizationPolicy.from_c_value(FORMS), b"DKIM-Signature", key.private)
