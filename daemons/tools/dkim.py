"""fd0 dkim: keys with which smtpd signs mail, and the records that tell everybody of them (RFC 6376, RFC 8463)."""

import os
import sys

from daemons.kernel.options import FOLDER
from daemons.wire import dkimtexts
from daemons.wire.mailaddresses import domain as checked

from .arguments import MISUSE, Parser

PLACE, LIST = f"{FOLDER}/dkim", f"{FOLDER}/dkim.keys"
USER = "fd0"                    # who runs the programs where they are installed
LATER = 111                     # exit status: something is missing now
RSA_BITS = 2048                 # what every verifier takes, and what goes into a record (RFC 8301, 3.2)
MISSING = "fd0 dkim: the Python package `cryptography` is missing (Debian: python3-cryptography)"


def main(arguments):
    """Make a key; returns the exit status."""
    options = _parser().parse(arguments)
    try:
        domain, selector = (checked(word.encode(), utf8=True) for word in (options.domain, options.selector))
    except ValueError as error:
        print(f"fd0 dkim: {error}", file=sys.stderr)
        return MISUSE
    try:
        pem, record = _made(options.key)
    except ImportError:
        print(MISSING, file=sys.stderr)
        return LATER
    path = os.path.join(os.path.abspath(options.to), f"{domain}.{selector}.key")
    os.makedirs(options.to, 0o755, exist_ok=True)
    _write(path, pem)
    print(f"wrote {path}: private key\n\n"
          f"Next: put this into the zone of {domain}, and wait until it can be looked up:\n"
          f"{selector}._domainkey.{domain}. IN TXT ( {dkimtexts.strings(record)} )\n\n"
          f"Then write this line into {LIST}, and give smtpd --dkim-keys={LIST}\n{domain} {selector} {path}")
    return 0


def _parser():
    parser = Parser("dkim", "Make a key with which smtpd signs mail of a domain, and print the record that its zone "
                            "must have.", examples=(
        ("fd0 dkim example.org mail2026", "an RSA key, which everybody can verify"),
        ("fd0 dkim example.org ed2026 --key ed25519", "a second one, of the kind to come")))
    parser.add_argument("domain", metavar="DOMAIN", help="whose mail is to be signed")
    parser.add_argument("selector", metavar="SELECTOR", help="name of the key: another one for each new key")
    parser.add_argument("--key", choices=("rsa", "ed25519"), default="rsa", help="kind of key [%(default)s]")
    parser.add_argument("--to", metavar="DIR", default=PLACE, help="where the key goes [%(default)s]")
    return parser


def _made(kind):
    """(PEM of a new private key, text of its record)."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    algorithm = dkimtexts.RSA if kind == "rsa" else dkimtexts.ED25519
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), dkimtexts.record(algorithm, public)


def _write(path, pem):
    """Put a key where none is yet, for the user of the programs alone, if there is one."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        if os.geteuid() == 0:
            import pwd
            owner = next((entry for entry in pwd.getpwall() if entry.pw_name == USER), None)
            if owner is not None:
                os.fchown(file.fileno(), owner.pw_uid, owner.pw_gid)
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
