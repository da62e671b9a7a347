"""fd0 why: may this address talk to a program, and by which rule of which file is it let in or kept out?"""

import argparse
import functools
import ipaddress
import os
import time

from daemons.kernel import accesstimes, limits
from daemons.kernel.access import has_names, judged
from daemons.kernel.addresses import Address
from daemons.kernel.dial import name_of
from daemons.kernel.limitsfile import Unusable
from daemons.kernel.options import Misuse, read

from . import launches, refusals
from .arguments import Parser, absolute
from .launches import Launch
from .programs import program

WELCOME, REFUSED = 0, 1
OK, NO, NOTE = "ok", "REFUSED", ""


def main(arguments):
    """Judge an address; returns 0 if it is welcome wherever the program is started, 1 where it is refused."""
    parser = Parser("why", "Tell whether an address may talk to a program, and which rule of which file says so;\n"
                           "what the limits say of it, and when the log last has it refused.", examples=(
        ("fd0 why 192.0.2.7 fingerd", "now, wherever it is started"),
        ("fd0 why 2001:db8::7 echod --time=03:30", "in the night"),
        ("fd0 why 192.0.2.7 echod --name=mx.org", "if that were its confirmed name"),
        ("fd0 why 192.0.2.7 echod --file=echod", "an xinetd.d file before it is installed")))
    parser.add_argument("address", metavar="ADDRESS", type=address, help="of the client, as the log has it")
    parser.add_argument("program", metavar="PROGRAM", help="which program (fd0 list names them)")
    parser.add_argument("--port", type=port, metavar="NUMBER", help="only where it listens at this port")
    parser.add_argument("--time", type=minute, metavar="HH:MM", help="at this time of the day (default: now)")
    parser.add_argument("--name", metavar="NAME", help="take this as the address's confirmed name; - for none")
    parser.add_argument("--file", metavar="FILE", help="the xinetd.d file, inetd.conf or .socket unit that starts it "
                                                       "(default: those that are installed)")
    parser.add_argument("--log", metavar="FILE", type=absolute, help="where to look for refusals (default: the "
                                                                     "journal, and syslog's files)")
    options = parser.parse(arguments)
    service = program(options.program).SERVICE
    caller = Caller(options)
    found = [one for one in launches.found(service.name, options.file)
             if options.port is None or options.port in one.ports]
    cases = [Case(caller, service, one) for one in found or [by_hand(options.port)]]
    for case in cases:
        print(case.page(), end="\n\n")
    _print_refusals(caller.host, service.name, {case.ident for case in cases}, options.log)
    return REFUSED if any(case.refusal for case in cases) else WELCOME


def address(text):
    """An address in the spelling of the log."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address (who calls is known by address; "
                                         "--name tells of a name)") from None
    return str(getattr(found, "ipv4_mapped", None) or found)


def port(text):
    """A port number."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def minute(text):
    """A time of the day in minutes after midnight."""
    try:
        return accesstimes.minute(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def by_hand(number):
    """The program as its options alone have it, where no launcher starts it."""
    at = f" at port {number}" if number else ""
    return Launch("", f"no launcher starts it{at}; as its options say for --listen", env=os.environ)


class Caller:
    """Who calls, when, and under which confirmed name, which is looked up once and only if a rule asks for it."""

    def __init__(self, options):
        self.host = options.address
        self.minute = accesstimes.now(time.time()) if options.time is None else options.time
        self.assumed = options.name

    @property
    def peer(self):
        """Its Address, from any port."""
        return Address(self.host)

    @functools.cached_property
    def name(self):
        """Its confirmed name, or None."""
        if self.assumed is not None:
            return None if self.assumed == "-" else self.assumed.lower().removesuffix(".")
        return name_of(self.host)

    def named(self, _):
        """As dial.name_of, for this host."""
        return self.name


class Case:
    """A caller before one program as one launcher starts it: what each rule says, in the order in which they count."""

    def __init__(self, caller, service, launch):
        self.caller, self.service, self.launch = caller, service, launch
        self.rows, self.refusal, self.ident = [], None, service.name
        self.options = self.proxies = None
        try:
            self.options = read(service, launch.arguments, launch.env)
        except Misuse as error:
            self._say(NO, "start", f"{service.name} does not start: {error}")
            return
        self.ident = self.options.ident
        self.proxies = self.options.proxy_protocol
        self._ask_launcher()
        self._ask_program()
        self._ask_limits()

    def page(self):
        """The verdict, and how it came about."""
        who, name = self.caller.host, self.service.name
        first = f"{who} is refused by {self.refusal}" if self.refusal else f"{who} is welcome at {name}"
        under = f"{name} under {self.launch.launcher}, {self.launch.at}" if self.launch.launcher else \
            f"{name}: {self.launch.at}"
        at = f", port {', '.join(map(str, sorted(self.launch.ports)))}" if self.launch.ports else ""
        rows = [f"  {verdict:8} {rule:15} {text}" for verdict, rule, text in self.rows]
        return "\n".join([first, f"  {under}{at}, at {accesstimes.shown(self.caller.minute)} local time", *rows])

    def _say(self, verdict, rule, text):
        self.rows.append((verdict, rule, text))
        if verdict == NO and self.refusal is None:
            self.refusal = f"{rule}: {text}"

    # -- the launcher --

    def _ask_launcher(self):
        launch = self.launch
        if launch.off:
            self._say(NO, launch.launcher, f"nobody is served here: {launch.off} ({launch.at})")
        rules = launch.rules
        if "access_times" in rules:
            self._ask_times("access_times", rules["access_times"].value, rules["access_times"].at)
        lists = {name: rules[name] for name in rules if name != "access_times"}
        if lists and self.proxies is not None:
            self._say(NOTE, " ".join(lists), f"{launch.launcher} holds this against the proxy, not the client")
        elif launch.launcher == "systemd":
            self._ask_systemd(rules)
        elif lists:
            only, no = lists.get("only_from"), lists.get("no_access")
            self._ask_lists("only_from", only and only.value, only and only.at,
                            "no_access", no and no.value, no and no.at)

    def _ask_systemd(self, rules):
        """Who is allowed is welcome, else who is denied is not, else everybody is: systemd.resource-control(5)."""
        for name, verdict in (("IPAddressAllow", OK), ("IPAddressDeny", NO)):
            rule = rules.get(name)
            pattern = rule and judged(self.caller.peer, rule.value, None).pattern
            if pattern:
                return self._say(verdict, name, f"{pattern} matches ({rule.at})"
                                 + ("; the kernel drops its packets, so it hears nothing at all" * (verdict == NO)))
        if rules:
            self._say(OK, " ".join(rules), "no network there matches, and who is not denied is allowed")

    # -- the program --

    def _ask_program(self):
        options, where = self.options, self._where
        if self.proxies is not None:
            self._ask_proxies()
        if options.access_times is not None:
            self._ask_times("access-times", options.access_times, where("access-times"))
        if options.only_from is not None or options.no_access:
            self._ask_lists("only-from", options.only_from, where("only-from"),
                            "no-access", options.no_access, where("no-access"))
        elif not self.launch.rules:
            self._say(OK, "access", "no rule restricts who may come: neither only-from nor no-access is set")

    def _where(self, name):
        """Where an option was set: a file with its line, or what the launcher gives on the command line."""
        where = self.options.sources.get(name, "")
        if where == "command line" and self.launch.launcher:
            return f"in the arguments, {self.launch.at}"
        return where

    def _ask_proxies(self):
        by, at = self.proxies.network_of(self.caller.peer), self._where("proxy-protocol")
        if by is not None:
            self._say(NOTE, "proxy-protocol", f"it is a proxy, by {by} ({at}), and has to begin with a PROXY header; "
                                              "what follows is for its own connections, such as health checks")
        else:
            self._say(NOTE, "proxy-protocol", f"clients come through the proxies in {self.proxies} ({at}); what "
                                              "follows is for that, and calling directly it is refused (proxy-network)")

    def _ask_times(self, rule, windows, at):
        hit, now = accesstimes.within(windows, self.caller.minute), accesstimes.shown(self.caller.minute)
        if hit is None:
            chosen = " ".join(accesstimes.shown(*one) for one in windows)
            self._say(NO, rule, f"{now} is outside {chosen} ({at})")
        else:
            self._say(OK, rule, f"{now} is within {accesstimes.shown(*hit)} ({at})")

    def _ask_lists(self, only, only_from, only_at, no, no_access, no_at):
        verdict = judged(self.caller.peer, only_from, no_access, self.caller.named)
        if has_names(only_from, no_access):
            self._say(NOTE, "name", f"{self.caller.host} is {self.caller.name}" + (
                ", as you say" if self.caller.assumed else ", which leads back to it") if self.caller.name else
                f"{self.caller.host} has no name that leads back to it, so no rule with a name matches")
        allowed = judged(self.caller.peer, only_from, None, self.caller.named)
        if verdict.why == "only-from":
            named = " ".join(map(str, only_from)) or "nobody"
            return self._say(NO, only, f"nothing there matches ({only_at}): {named}")
        if verdict.why:
            beats = f"; {only} has {allowed.pattern}, which is no narrower ({only_at})" if allowed.pattern else ""
            return self._say(NO, no, f"{verdict.pattern} matches ({no_at}){beats}")
        refused = judged(self.caller.peer, None, no_access, self.caller.named)
        if only_from is not None:
            beats = f", and is narrower than {refused.pattern} of {no} ({no_at})" if refused.pattern else ""
            self._say(OK, only, f"{verdict.pattern} matches ({only_at}){beats}")
        else:
            self._say(OK, no, f"nothing there matches ({no_at}): {' '.join(map(str, no_access))}")

    # -- limits --

    def _ask_limits(self):
        options, set_ = self.options, []
        for name in ("per-source", "rate", "max"):
            value = getattr(options, name.replace("-", "_"))
            if name in options.sources:
                set_.append(f"{name} {value} ({self._where(name)})")
        set_ += [f"{name} {value} ({self.launch.launcher})" for name, value in self.launch.limits]
        if set_:
            self._say(NOTE, "limits", ", ".join(set_))
        for one in self._counted():
            full = one.allowed and one.now >= one.allowed
            text = f"{one.source} has {one.now} conversations now" + (f" of {one.allowed}" if one.allowed else "")
            if one.refused is not None:
                text += f", and was last refused {one.refused:.0f} seconds ago"
            self._say(NO if full else OK, "per-source", text + ("; refused until one of them ends" * bool(full)))
            if one.penalty:
                self._say(NOTE, "failed logins", f"an answer to the next login waits {one.penalty:g} seconds; "
                                                 f"forgotten in {one.left:.0f}")

    def _counted(self):
        """What the table of limits that this program would count in knows of the caller."""
        path = {None: limits.SHARED, "shared": limits.SHARED}.get(self.options.limits, self.options.limits)
        if path == "own":
            return []
        try:
            known = limits.report(path, self.caller.peer.source)
        except (Unusable, OSError) as error:
            self._say(NOTE, "limits", f"cannot be looked up: {error}")
            return []
        group = self.options.limit_group or self.service.name
        return [one for one in known if one.group == group]


def _print_refusals(host, name, idents, file):
    looked, lines = refusals.last(name, idents, host, file)
    places = " and ".join(looked) or "no log: neither a journal nor a file of syslog is here"
    if not lines:
        print(f"last refusals: none of {host} by {name} in {places}")
        return
    print(f"last refusals, in {places}:")
    for line in lines:
        print(f"  {line}")


