"""A local certificate authority: keys, certificates and requests (X.509, RFC 5280), made with `cryptography`.

Imported only by those who need it: the programs themselves do not.
"""

import datetime
import ipaddress
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("ec", "rsa", "ed25519")
RSA_BITS = 3072
LONGEST_COMMON_NAME = 64        # characters, RFC 5280, Appendix A
CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
SKEW = datetime.timedelta(hours=1)      # clocks differ


def make_key(kind="ec"):
    """A private key: on the curve P-256, RSA, or Ed25519."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def make_authority(key, name, days):
    """A certificate with which `key` may sign others, for nobody else to sign with."""
    usage = {"key_cert_sign": True, "crl_sign": True}
    return _begun(_name(name), _name(name), key.public_key(), days) \
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True) \
        .add_extension(_usage(**usage), critical=True).sign(key, _hash_for(key))


def sign(authority, authority_key, public_key, names, days, client=False):
    """A certificate for these names, for a server or a client to show; it ends with the authority at the latest."""
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    encipherment = isinstance(public_key, rsa.RSAPublicKey)
    builder = _begun(_name(names[0]), authority.subject, public_key, days, span(authority)[1]) \
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True) \
        .add_extension(_usage(digital_signature=True, key_encipherment=encipherment), critical=True) \
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False) \
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    return _named(builder, names, client).sign(authority_key, _hash_for(authority_key))


def make_request(key, names, client=False):
    """A request that another authority shall certify this key for these names (PKCS #10, RFC 2986)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(names[0]))
    return _named(builder, names, client).sign(key, _hash_for(key))


def pem(thing):
    """A key, certificate or request as the text of a file."""
    if hasattr(thing, "private_bytes"):
        return thing.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                   serialization.NoEncryption())
    return thing.public_bytes(serialization.Encoding.PEM)


def read_authority(certificate, key):
    """(certificate, key) from the octets of two files; raises ValueError."""
    return x509.load_pem_x509_certificate(certificate), serialization.load_pem_private_key(key, None)


def described(data):
    """What a PEM file holds, in plain words: a list of lists of (what, value); raises ValueError."""
    found = []
    if b"-BEGIN CERTIFICATE-" in data:
        found += [_certificate(x509.load_pem_x509_certificate(one)) for one in CERTIFICATE.findall(data)]
    if b"-BEGIN CERTIFICATE REQUEST-" in data:
        found.append(_request(x509.load_pem_x509_csr(data)))
    if b"PRIVATE KEY-" in data:
        found.append([("private key", _kind(_own_key(data).public_key()))])
    if not found:
        raise ValueError("no certificate, request or key in it; it must be a PEM file")
    return found


def _own_key(data):
    begin = data.index(b"-----BEGIN", max(data.find(b"PRIVATE KEY-") - 30, 0))
    try:
        return serialization.load_pem_private_key(data[begin:], None)
    except TypeError:
        raise ValueError("the private key is locked with a password") from None


def _certificate(one):
    now = datetime.datetime.now(datetime.UTC)
    begin, end = span(one)
    state = f"{(end - now).days} days left" if now <= end else "EXPIRED"
    state = state if begin <= now else "NOT YET"
    own = one.issuer == one.subject
    return [("certificate", one.subject.rfc4514_string()), ("for", " ".join(names_of(one)) or "nobody by name"),
            ("use", _use(one)), ("signed by", "itself" if own else one.issuer.rfc4514_string()),
            ("from", f"{begin:%Y-%m-%d %H:%M} UTC"),
            ("until", f"{end:%Y-%m-%d %H:%M} UTC ({state})"),
            ("key", _kind(one.public_key())), ("SHA-256", one.fingerprint(hashes.SHA256()).hex(":"))]


def _request(one):
    return [("request", one.subject.rfc4514_string()), ("for", " ".join(names_of(one)) or "nobody by name"),
            ("key", _kind(one.public_key()))]


def names_of(one):
    """The names and addresses that a certificate or request is for."""
    try:
        names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names
            if isinstance(name, x509.DNSName | x509.IPAddress | x509.RFC822Name)]


def span(one):
    """The first and the last second of a certificate's life; `cryptography` before version 42 gives them bare."""
    if hasattr(one, "not_valid_after_utc"):
        return one.not_valid_before_utc, one.not_valid_after_utc
    return tuple(bare.replace(tzinfo=datetime.UTC) for bare in (one.not_valid_before, one.not_valid_after))


def _use(one):
    try:
        if one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return "authority: signs others"
    except x509.ExtensionNotFound:
        return "not said"
    try:
        purposes = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "server and client"
    words = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}
    return " and ".join(words.get(purpose, purpose.dotted_string) for purpose in purposes)


def _kind(public_key):
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA, {public_key.key_size} bits"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return f"elliptic curve {public_key.curve.name}"
    return type(public_key).__name__.strip("_").removesuffix("PublicKey")


def _begun(subject, issuer, public_key, days, latest=None):
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    until = now + datetime.timedelta(days=days)
    return x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key) \
        .serial_number(x509.random_serial_number()).not_valid_before(min(now - SKEW, until - SKEW)) \
        .not_valid_after(min(until, latest or until)) \
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)


def _named(builder, names, client):
    alternatives = [one for name in names if (one := _alternative(name, client)) is not None]
    return builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False) if alternatives else builder


def _alternative(name, client):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if "@" in name:
            return x509.RFC822Name(name)
    return None if client else x509.DNSName(name)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:LONGEST_COMMON_NAME])])


def _usage(**wanted):
    every = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                           "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(**{**every, **wanted})


def _hash_for(key):
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
