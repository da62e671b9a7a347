"""What fd0 user does with the database of accounts."""

import sys
import time

from daemons.kernel.values import in_units
from daemons.stores import accounts, credentials
from daemons.stores.mailusers import SERVERS
from daemons.wire import aliaslines
from daemons.wire.accountlines import parse_line
from daemons.wire.accountnames import account_name, domain_name

from . import askpassword
from .owners import owner_of
from .programs import NotOurs

MOST = 20               # bad lines of an import that are told
DAY = "%Y-%m-%d"


def add(options):
    """Let one more log in, and take mail for her domain; the database is made if need be."""
    name, into = account_name(options.words[0]), _opened(options, create=True)
    if name in names(options):
        raise NotOurs(f"{into.store.name}: {name} is there already; fd0 user passwd sets another password")
    before = into.list_domains()
    into.add_user(name, askpassword.given(options.password_stdin), bool(options.apop), options.scope or (),
                  options.octets or None, options.messages or None, options.expires or None)
    print(f"{name}: added to {into.store.name}")
    for domain in set(into.list_domains()) - set(before):
        print(f"{domain}: mail for it is taken from now on")
        if not into.resolve(f"postmaster@{domain}"):        # RFC 5321, 4.5.1 wants one to be there
            print(f"{domain}: nobody is postmaster yet: fd0 user alias add postmaster@{domain} {name}")


def change(options):
    """Set another password."""
    there = _opened(options)
    name = there.user(options.words[0]).name            # before anybody is asked for a password
    there.set_password(name, askpassword.given(options.password_stdin), options.apop)
    print(f"{name}: changed in {there.store.name}")


def remove(options):
    """Take an account away; its mail stays where it lies."""
    there = _opened(options)
    name = account_name(options.words[0])
    led = there.remove_user(name)
    print(f"{name}: removed from {there.store.name}" + (f", and {_count(led, 'alias', 'es')} to it" if led else ""))


def show(options):
    """Print the accounts, of all domains or of one, and what is special about each."""
    there = _opened(options)
    users = list(there.list_users(*options.words))
    for user in users:
        print(user.name + _in_brackets(_facts(user)))
    if not users and not options.words:
        print(f"fd0 user: {there.store.name}: no accounts yet", file=sys.stderr)


def bring(options):
    """Add what the lines of a file say: all of it, or nothing if one line is bad."""
    path, into, rows, bad = options.words[0], _opened(options, create=True), {}, []
    there = set(names(options))
    with open(path, "rb") as file:
        for at, line in enumerate(file, 1):
            try:
                _take(line.removesuffix(b"\n").removesuffix(b"\r"), rows, there)
            except ValueError as error:
                bad.append(f"{path}:{at}: {error}")
    _refuse(path, bad)
    print(f"{_count(into.import_users(_kept(rows)), 'account')} added to {into.store.name}")


def _refuse(path, bad):
    """Tell of bad lines and import nothing."""
    if bad:
        print("\n".join(bad[:MOST]), file=sys.stderr)
        raise NotOurs(f"{path}: {_count(len(bad), 'bad line')}; nothing was imported")


def quota(options):
    """Set limits for the mail of an account, or print them."""
    there = _opened(options)
    user = there.user(options.words[0])
    if options.octets is None and options.messages is None:
        print(user.name + _in_brackets(_limits(user) or ["no limit"]))
        return
    octets = user.octets if options.octets is None else options.octets
    messages = user.messages if options.messages is None else options.messages
    there.set_quota(user.name, octets or None, messages or None)
    print(f"{user.name}: changed in {there.store.name}")


def disable(options):
    """Let one not log in for now."""
    there = _opened(options)
    there.disable(options.words[0])
    print(f"{account_name(options.words[0])}: cannot log in any more; mail is still taken")


def enable(options):
    """Let one log in again, or until another day, or to other services."""
    there = _opened(options)
    there.enable(options.words[0])
    if options.expires is not None:
        there.set_expiry(options.words[0], options.expires or None)
    if options.scope is not None:
        there.set_scopes(options.words[0], options.scope)
    user = there.user(options.words[0])
    print(f"{user.name}: can log in" + _in_brackets(_restrictions(user)))


# -- domains and aliases --


def add_domain(options):
    """Take mail for a domain."""
    print(f"{_opened(options, create=True).add_domain(options.words[0])}: mail for it is taken from now on")


def show_domains(options):
    """Print whose mail is taken."""
    for domain in _opened(options).list_domains():
        print(domain)


def remove_domain(options):
    """Take no more mail for a domain."""
    _opened(options).remove_domain(options.words[0])
    print(f"{options.words[0]}: no mail for it is taken any more")


def add_alias(options):
    """Let mail for an address go to others."""
    address, *targets = options.words
    if targets == [address]:
        raise NotOurs(f"{address}: an alias leads to others")
    there = _opened(options)
    there.add_alias(address, *targets)
    if not address.startswith("@") and not there.resolve(address):
        print(f"fd0 user: {address} leads to nobody yet", file=sys.stderr)
    print(f"{address}: leads to {', '.join(targets)}")


def bring_aliases(options):
    """Add the aliases of a file, which are of one domain where they name none: all of it, or nothing."""
    path, domain = options.words
    there = _opened(options)
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        rows, bad = aliaslines.parse(file.read(), domain_name(domain))
    ours = set(there.list_domains())
    bad += [(0, f"{address}: its domain is none of ours") for address, _ in rows
            if address.rpartition("@")[2] not in ours]
    _refuse(path, [f"{path}:{at}: {why}" if at else f"{path}: {why}" for at, why in bad])
    for address, targets in rows:
        there.add_alias(address, *targets)
    print(f"{_count(len(rows), 'alias', 'es')} added to {there.store.name}")
    lost = [address for address, _ in rows if not there.resolve(address)]
    if lost:
        print(f"fd0 user: these lead to nobody yet: {', '.join(lost)}", file=sys.stderr)


def show_aliases(options):
    """Print each alias with where it leads."""
    for address, target in _opened(options).list_aliases():
        print(f"{address} -> {target}")


def remove_alias(options):
    """Let mail for an address no longer go to others."""
    address, *targets = options.words
    _opened(options).remove_alias(address, *targets)
    print(f"{address}: leads no more to {', '.join(targets) or 'anybody'}")


# -- passwords of applications --


def add_application(options):
    """Make a password for one program or device, and show it this once."""
    name, label = options.words
    password = _opened(options).add_app_password(name, label, options.scope or (), options.networks or (),
                                                 options.expires or None)
    print(f"{account_name(name)}: the password of {label}, which is not shown again:\n{password}")


def show_applications(options):
    """Print the labels, and what each is good for."""
    for one in _opened(options).list_app_passwords(options.words[0]):
        print(one.label + _in_brackets(_restrictions(one) + [f"from {network}" for network in one.networks]))


def remove_application(options):
    """Let one of them be worth nothing."""
    name, label = options.words
    _opened(options).remove_app_password(name, label)
    print(f"{account_name(name)}: {label} cannot log in any more")


# -- pieces --


def names(options):
    """All accounts."""
    return [user.name for user in _opened(options).list_users()]


def called(options):
    """What messages call the database: a DSN without the password that may be in it."""
    return _opened(options).store.name


def _opened(options, create=False):
    try:
        if options.accounts.startswith(SERVERS):
            return accounts.open(options.accounts, create=create)
        with owner_of(options.accounts.removeprefix("sqlite:")):
            return accounts.open(options.accounts, create=create)
    except FileNotFoundError as error:
        if create or error.filename is None:
            raise
        raise NotOurs(f"{error.filename}: there are no accounts yet; fd0 user add makes them") from None


def _take(line, rows, there):
    """Put what a line says into the rows; raises ValueError."""
    if not line or line.startswith(b"#"):
        return
    found = parse_line(line)
    if found.name in there:
        raise ValueError(f"{found.name} is there already")
    if found.name in rows:
        raise ValueError(f"{found.name} is there twice")
    rows[found.name] = credentials.keep_hash(found.hash) if found.hash is not None else found.password


def _kept(rows):
    """What is kept of each; only now are passwords hashed, which takes its time."""
    for name, what in rows.items():
        yield name, credentials.keep(name, what) if isinstance(what, bytes) else what


def _facts(user):
    hash = [] if user.hash is None or credentials.is_lasting(user.hash) else ["hash of crypt"]
    scram = ["no SCRAM before the next login"] if user.hash is not None and user.scram is None else []
    return ["no password"] * (user.hash is None) + hash + scram + ["APOP"] * (user.secret is not None) \
        + ["disabled"] * user.disabled + _restrictions(user) + _limits(user)


def _restrictions(one):
    """Until when, and for what."""
    expires = [] if one.expires is None else [f"until {time.strftime(DAY, time.gmtime(one.expires))}"]
    return expires + ([f"for {' '.join(one.scopes)}"] if one.scopes else [])


def _limits(user):
    return ([] if user.octets is None else [f"{in_units(user.octets)} octets"]) \
        + ([] if user.messages is None else [f"{user.messages} messages"])


def _count(number, word, more="s"):
    return f"{number} {word}{more * (number != 1)}"


def _in_brackets(words):
    return f"  ({', '.join(words)})" if words else ""
