"""fd0 cert: keys and certificates for TLS: from a local authority, or requests for a real one."""

import argparse
import os
import pwd
import re
import socket
import sys
from ipaddress import ip_address

from daemons.kernel.options import FOLDER

from .arguments import MISUSE, Parser

PLACE = f"{FOLDER}/tls"
HERE = ("localhost", "127.0.0.1", "::1")
LIFE, OF_AUTHORITY = 397, 3650          # days; browsers take no server for longer than 398
USER = "fd0"                            # who runs the programs where they are installed
HOST_NAME = re.compile(r"(\*\.)?{0}(\.{0})*\.?".format(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"))
LATER = 111                             # exit status: something is missing now
MISSING = """fd0 cert: the Python package `cryptography` is missing; install it for {python}:
  apt-get install python3-cryptography      (Debian's own python3)
  python3 -m pip install cryptography       (any other, in its virtual environment)"""


class Refused(Exception):
    """It cannot be done as asked; the text says why, and what to do."""


def main(arguments):
    """Make or show; returns the exit status."""
    options = _parser().parse(arguments)
    try:
        from . import authority
    except ImportError:
        print(MISSING.format(python=sys.executable), file=sys.stderr)
        return LATER
    try:
        if options.show:
            return _show(authority, options.names)
        _make(authority, options)
    except Refused as error:
        print(f"fd0 cert: {error}", file=sys.stderr)
        return MISUSE
    return 0


def _parser():
    parser = Parser("cert", "Make keys and certificates for TLS: signed by a local authority, which is\n"
                            "made once, or requests for a real one.", examples=(
        ("fd0 cert", "to try things here: " + " ".join(HERE)),
        ("fd0 cert mail.example.org imap.example.org", "for names that clients call"),
        ("fd0 cert --client alice", "for a client to show"),
        ("fd0 cert --request mail.example.org", "a key, and a request for a real authority"),
        ("fd0 cert --show FILE", "what a file holds, and until when")))
    parser.add_argument("names", nargs="*", metavar="NAME", help="host names and addresses; with --show, files")
    parser.add_argument("--client", action="store_true", help="for a client: the NAME is that of a person or program")
    parser.add_argument("--request", action="store_true", help="make no certificate but a request for one")
    parser.add_argument("--show", action="store_true", help="tell what files hold")
    parser.add_argument("--key", choices=("ec", "rsa", "ed25519"), default="ec", help="kind of key [%(default)s]")
    parser.add_argument("--days", type=_days, default=LIFE, metavar="N", help="how long it is good [%(default)s]")
    parser.add_argument("--to", metavar="DIR", default=PLACE, help="where the files go [%(default)s]")
    parser.add_argument("--owner", metavar="USER", help=f"whose the keys are [{USER} where there is one, for root]")
    parser.add_argument("--force", action="store_true", help="write over a certificate or key that is there")
    return parser


def _days(text):
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 36500):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days")
    return int(text)


def _show(authority, files):
    if not files:
        raise Refused("name the files to show: fd0 cert --show FILE")
    for path in files:
        with open(path, "rb") as file:
            data = file.read()
        try:
            found = authority.described(data)
        except ValueError as error:
            raise Refused(f"{path}: {error}") from None
        for lines in found:
            print(path)
            for what, value in lines:
                print(f"  {what:12} {value}")
    return 0


def _make(authority, options):
    names = [_checked(name, options.client) for name in options.names or ([] if options.client else HERE)]
    if not names:
        raise Refused("a client's certificate needs a name: fd0 cert --client alice")
    folder, owner = os.path.abspath(options.to), _owner(options.owner)
    base = os.path.join(folder, names[0].replace("*", "wildcard").replace(":", "_"))
    wanted = [f"{base}.key", f"{base}.csr" if options.request else f"{base}.pem"]
    for path in wanted:
        if os.path.exists(path) and not options.force:
            raise Refused(f"{path} is there already; --force writes over it")
    os.makedirs(folder, 0o755, exist_ok=True)
    key = authority.make_key(options.key)
    if options.request:
        what = authority.make_request(key, names, options.client), f"request for {' '.join(names)}"
    else:
        top, top_key = _authority(authority, folder)
        one = authority.sign(top, top_key, key.public_key(), names, options.days, options.client)
        what = one, f"certificate for {' '.join(names)}, until {authority.span(one)[1]:%Y-%m-%d}"
    _write(wanted[0], authority.pem(key), 0o600, "private key", owner)
    _write(wanted[1], authority.pem(what[0]), 0o644, what[1])
    print(_next(options, names, base, folder))
    if owner is None and os.geteuid() == 0 and not options.client:
        print(f"\nThe key is root's: a program that runs as another user cannot read it; --owner={USER} changes that.")


def _authority(authority, folder):
    """The local authority's certificate and key, made if they are not there yet."""
    certificate, key = os.path.join(folder, "authority.pem"), os.path.join(folder, "authority.key")
    if not os.path.exists(certificate) and not os.path.exists(key):
        own = authority.make_key()
        name = f"fd0 local authority of {socket.gethostname()}"
        _write(key, authority.pem(own), 0o600, "private key of the authority: nobody else may read it")
        _write(certificate, authority.pem(authority.make_authority(own, name, OF_AUTHORITY)), 0o644,
               f"{name}: clients must have this")
    with open(certificate, "rb") as public, open(key, "rb") as private:
        try:
            return authority.read_authority(public.read(), private.read())
        except ValueError as error:
            raise Refused(f"{certificate}, {key}: {error}; move them away, and a new authority is made") from None


def _checked(name, client):
    """A name as certificates have it; raises Refused."""
    try:
        return str(ip_address(name))
    except ValueError:
        pass                            # no address
    if client:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]*", name):
            raise Refused(f"{name!r} is no name for a client: letters, digits and . _ @ + - make one")
        return name
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if len(ascii_name) > 253 or not HOST_NAME.fullmatch(ascii_name.lower()):
        raise Refused(f"{name!r} is neither a host name nor an address")
    return ascii_name.lower().rstrip(".")


def _owner(name):
    """(uid, gid) for keys, or None: as they come."""
    if name is None and os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name or USER)
    except KeyError:
        if name is None:
            return None
        raise Refused(f"there is no user {name}") from None
    return entry.pw_uid, entry.pw_gid


def _write(path, data, mode, what, owner=None):
    """Put a file in place as a whole: programs read it while we write."""
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)
        if owner is not None:
            os.fchown(fd, *owner)
        file.write(data)
        file.flush()
        os.fsync(fd)
    os.replace(temporary, path)
    print(f"wrote {path}: {what}")


def _next(options, names, base, folder):
    """What to do with it now."""
    top = os.path.join(folder, "authority.pem")
    if options.request:
        return (f"\nNext: send {base}.csr to your authority, and save its answer, with the chain, as {base}.pem;\n"
                f"then give a program --tls-cert={base}.pem --tls-key={base}.key")
    if options.client:
        return (f"\nNext: have a program ask for it: --tls-ca={top} --tls-clients=require\n"
                f"Try:  openssl s_client -connect HOST:PORT -CAfile {top} -cert {base}.pem -key {base}.key\n"
                f"      curl --cacert {top} --cert {base}.pem --key {base}.key https://HOST:PORT/")
    host = names[0].replace("*", "any")
    shown = f"[{host}]" if ":" in host else host
    return (f"\nNext: give a program these options, or write them into {FOLDER}/PROGRAM.conf without the dashes:\n"
            f"      --tls-cert={base}.pem --tls-key={base}.key\n"
            f"Try:  openssl s_client -connect {shown}:PORT -CAfile {top} -verify_return_error\n"
            f"      curl --cacert {top} https://{shown}:PORT/")
