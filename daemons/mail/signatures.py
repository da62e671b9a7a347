"""DKIM signatures of a mail that has come, verified by dkimpy (RFC 6376, RFC 8301, RFC 8463).

Of many signatures the first SIGNATURES are looked at.  dkimpy is asked only for what cannot be made to take long, or
much memory: it sees the header alone, while the body is hashed here as it is read, however large it is; neither
a signature nor the record of its key may be longer than LONGEST, and a key has LARGEST bits at most.
"""

import time

from daemons.stores.libraries import library
from daemons.wire import dkimtexts
from daemons.wire.dkimtexts import LONGEST
from daemons.wire.mailaddresses import domain as checked

from .lookups import Unknown

SIGNATURES = 8
SECONDS = 20.0                  # for all signatures of a mail
NAMES = 200                     # fields that one signature may name
SMALLEST, LARGEST = 1024, 4096          # bits of an RSA key: what is not taken any more (RFC 8301, 3.2); what costs
LARGEST_EXPONENT = 1 << 32


class Signature:
    """What came of one signature: the `result` of RFC 8601, 2.7.1, and `why`; whose it is, as far as it can be read."""

    __slots__ = ("algorithm", "begins", "domain", "result", "selector", "why")

    def __init__(self):
        self.result, self.why = "neutral", ""
        self.domain = self.selector = self.algorithm = self.begins = ""


class _Verdict(Exception):
    """(result, why) of a signature."""


def prepare():
    """Load dkimpy; raises ValueError where it is not installed."""
    return library("dkim", "python3-dkim, or dkimpy of PyPI")


def verify(lookups, fields, body):
    """The Signatures of a mail, [] where it has none; `body()` are the pieces of its text after the header."""
    signed = [field for field in fields if field.name == "dkim-signature"][:SIGNATURES]
    return _Verifier(lookups, fields, body).all(signed) if signed else []


def body_hash(pieces, relaxed, most=None):
    """(SHA-256, length) of a body in a form; with `most`, the hash is that of so many octets of it."""
    from hashlib import sha256
    made, body = sha256(), dkimtexts.Body(relaxed)

    def add(octets):
        before = body.size - len(octets)
        made.update(octets if most is None else octets[:max(most - before, 0)])

    for piece in pieces:
        add(body.feed(piece))
    add(body.end())
    return made.digest(), body.size


class _Verifier:
    """One mail, on which dkimpy works; each form of its body is hashed once."""

    def __init__(self, lookups, fields, body):
        self._dkim = prepare()
        self._within, self._end = lookups.within(SECONDS), time.monotonic() + SECONDS
        self._message = self._dkim.DKIM(minkey=1)
        self._message.headers = headers(fields)
        self._body, self._hashes = body, {}

    def all(self, signed):
        """A Signature for each field."""
        return [self._one(place, field) for place, field in enumerate(signed)]

    def _one(self, place, field):
        found = Signature()
        try:
            found.result, found.why = self._judge(place, field, found)
        except _Verdict as verdict:
            found.result, found.why = verdict.args
        except Unknown as error:
            found.result, found.why = "temperror", str(error)
        except self._dkim.DKIMException as error:
            found.result, found.why = "permerror", str(error)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError) as error:
            # something that dkimpy did not foresee: the signer's mistake, and no reason to drop the conversation
            found.result, found.why = "neutral", f"{type(error).__name__} in the signature or its key"
        found.why = found.why[:LONGEST >> 4]
        return found

    def _judge(self, place, field, found):
        """(result, why), and what can be read written into `found`; raises _Verdict, Unknown, DKIMException."""
        if time.monotonic() > self._end:
            raise _Verdict("temperror", "it took too long")
        tags = self._tags(field)
        found.domain, found.selector = _domain(tags[b"d"]), _domain(tags[b"s"])
        found.algorithm = tags[b"a"].decode("ascii")
        found.begins = b"".join(tags[b"b"].split())[:8].decode("ascii")
        if found.algorithm == "rsa-sha1":
            raise _Verdict("neutral", "SHA-1 proves nothing (RFC 8301)")
        names = [name.strip().lower() for name in tags[b"h"].split(b":")]
        if b"from" not in names:
            raise _Verdict("permerror", "From is not signed")
        if len(names) > NAMES:
            raise _Verdict("neutral", f"more than {NAMES} fields are signed")
        record, bits = self._key(found, tags)
        size = self._compare(tags)
        # without bh= it looks at the header alone, where bh= is signed like all else
        rest = {name: value for name, value in tags.items() if name != b"bh"}
        mine = [row for row in self._message.headers if row[0].strip().lower() == b"dkim-signature"][place]
        if not self._message.verify_sig(rest, names, mine, lambda name, timeout=0: record):
            raise _Verdict("fail", "the header was changed, or the key is another")
        if bits < SMALLEST and found.algorithm.startswith("rsa"):
            raise _Verdict("policy", f"a key of {bits} bits")
        if b"l" in tags and int(tags[b"l"]) < size:
            raise _Verdict("policy", "l= leaves the end of the body unsigned")
        return "pass", ""

    def _tags(self, field):
        """The tags of a signature; raises _Verdict."""
        if len(field.raw) > LONGEST:
            raise _Verdict("neutral", f"a signature of more than {LONGEST} octets")
        try:
            tags = self._dkim.parse_tag_value(field.raw.partition(b":")[2])
            self._dkim.validate_signature_fields(tags)
        except (self._dkim.InvalidTagValueList, self._dkim.ValidationError) as error:
            raise _Verdict("neutral", f"not a good signature: {error}") from None
        return tags

    def _key(self, found, tags):
        """(record, bits) of the signer's key; raises _Verdict, Unknown."""
        texts = self._within.texts(f"{found.selector}._domainkey.{found.domain}")
        record = next((text for text in texts if b"p=" in text), None)
        if record is None:
            raise _Verdict("permerror", "no key for this signature")
        try:
            key = self._dkim.parse_tag_value(record)
        except self._dkim.InvalidTagValueList:
            raise _Verdict("permerror", "the record of the key cannot be read") from None
        if not key.get(b"p"):
            raise _Verdict("permerror", "the key was revoked")
        if key.get(b"k", b"rsa") != tags[b"a"].partition(b"-")[0]:
            raise _Verdict("permerror", "the key is of another kind")
        if not {b"*", b"email"} & {word.strip() for word in key.get(b"s", b"*").split(b":")}:
            raise _Verdict("permerror", "the key is not for mail")
        flags = [word.strip() for word in key.get(b"t", b"").split(b":")]
        if b"s" in flags and _domain(tags.get(b"i", tags[b"d"]).rpartition(b"@")[2]) != found.domain:
            raise _Verdict("permerror", "the key is for no domain below its own")
        if found.algorithm != dkimtexts.RSA:
            if not hasattr(self._dkim, "nacl"):
                raise _Verdict("neutral", "Ed25519 cannot be verified here (python3-nacl)")
            return record, 256
        return record, self._bits(key[b"p"])

    def _bits(self, public):
        """How large an RSA key is; raises _Verdict for what would take long, or is none."""
        from base64 import b64decode
        try:
            key = self._dkim.parse_public_key(b64decode(public))
        except (ValueError, LookupError, AssertionError, self._dkim.UnparsableKeyError):
            raise _Verdict("permerror", "the key cannot be read") from None
        bits = key["modulus"].bit_length()
        if bits > LARGEST or key["publicExponent"] > LARGEST_EXPONENT:
            raise _Verdict("permerror", f"a key of more than {LARGEST} bits, or of an exponent that nobody has")
        return bits

    def _compare(self, tags):
        """Hold the body against its hash; its length in the form that was signed.  Raises _Verdict."""
        from base64 import b64decode
        form = tags.get(b"c", b"").partition(b"/")[2] or b"simple"
        if form not in (b"simple", b"relaxed"):
            raise _Verdict("neutral", "an unknown form of the body")
        most = int(tags[b"l"]) if b"l" in tags else None
        if (form, most) not in self._hashes:
            self._hashes[form, most] = body_hash(self._body(), form == b"relaxed", most)
        digest, size = self._hashes[form, most]
        if digest != b64decode(b"".join(tags[b"bh"].split())):
            raise _Verdict("fail", "the body was changed")
        return size


def headers(fields):
    """Fields as dkimpy has them; lines that are none are nobody's to sign."""
    rows = (field.raw.partition(b":") for field in fields if field.name)
    return [(name, value if value.endswith(b"\r\n") else value + b"\r\n") for name, _, value in rows]


def _domain(octets):
    try:
        return checked(octets)
    except ValueError:
        raise _Verdict("neutral", "a domain or selector that is none") from None
