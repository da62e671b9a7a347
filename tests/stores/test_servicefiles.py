"""Service files on disk, as entries that may be started and problems that say why others may not."""

import gzip
import os
import re
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.stores.serviceattributes import TABLE
from daemons.stores.servicefiles import read

PLAIN = {"type": "UNLISTED", "socket_type": "stream", "protocol": "tcp", "wait": "no", "user": "root",
         "server": "/bin/sh", "port": "7000"}
MANUAL = "/usr/share/man/man5/xinetd.conf.5.gz"


def section(extra="", name="probe", **changes):
    """The text of a good service, changed: an attribute set to None is left out."""
    lines = [f"{key} = {value}" for key, value in {**PLAIN, **changes}.items() if value is not None]
    return f"service {name}\n{{\n" + "\n".join([*lines, extra]) + "\n}\n"


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


class Files:
    """A directory to configure in, with /etc/services and /etc/networks of its own."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.write("services", "smtp 25/tcp mail # comment\ndomain 53/tcp\ndomain 53/udp\n"
                               "bad x/tcp\nhigh 65536/tcp\nlow 0/tcp\n")
        self.write("networks", "loopback 127.0.0.0 loop\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), 0o755, exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text.replace("HERE", self.folder))
        os.chmod(self.path(name), mode)

    def read(self, text):
        self.write("main", text)
        return read(self.path("main"), self.path("services"), self.path("networks"))

    def entry(self, text):
        """The one service of a text, and what is said about it."""
        configuration = self.read(text)
        [entry] = configuration.services
        return entry, [(one.severity, one.text) for one in configuration.problems]


def states(configuration):
    return {entry.id: entry.disabled_because for entry in configuration.services}


def test_every_attribute_has_its_type(files):
    entry, problems = files.entry(section("""
        id = probe-tcp
        flags = NODELAY KEEPALIVE IPv4
        group = root
        server_args = -c true
        env = A=1 B=x=y
        env += C=
        passenv = PATH TZ
        bind = 127.0.0.1
        instances = 5
        per_source = UNLIMITED
        cps = 20 3
        only_from = 10.0.0.0 .Example.org
        no_access = 10.1.2.{3,4}
        log_on_success = PID HOST
        log_on_failure = HOST
        umask = 027
        nice = -5
        rlimit_as = 64M
        rlimit_cpu = UNLIMITED
        rlimit_files = 1k
        log_type = SYSLOG local3 notice
        stderr = log
        disable = no"""))
    assert problems == [] and entry.disabled_because is None
    assert (entry.name, entry.id, entry.path, entry.line) == ("probe", "probe-tcp", files.path("main"), 1)
    assert (entry.types, entry.flags) == ({"UNLISTED"}, {"NODELAY", "KEEPALIVE", "IPv4"})
    assert (entry.socket_type, entry.protocol, entry.port, entry.wait) == ("stream", "tcp", 7000, False)
    assert (entry.user, entry.group, entry.server, entry.server_args) == ("root", "root", "/bin/sh", ["-c", "true"])
    assert (entry.env, entry.passenv) == ({"A": "1", "B": "x=y", "C": ""}, ["PATH", "TZ"])
    assert (entry.bind, entry.instances, entry.per_source, entry.cps) == ("127.0.0.1", 5, None, (20, 3))
    assert entry.only_from == ["10.0.0.0/8", ".example.org"]
    assert entry.no_access == ["10.1.2.3/32", "10.1.2.4/32"]
    assert (entry.log_on_success, entry.log_on_failure) == ({"PID", "HOST"}, {"HOST"})
    assert entry.log_type == ("local3", "notice")
    assert (entry.umask, entry.nice, entry.stderr, entry.disable) == (0o027, -5, "log", False)
    assert entry.rlimits == {"RLIMIT_AS": 64 << 20, "RLIMIT_CPU": None, "RLIMIT_NOFILE": 1024}
    assert entry.argv == ["sh", "-c", "true"]


def test_what_is_not_said_is_as_xinetd_has_it(files):
    entry, problems = files.entry(section(protocol=None))
    assert problems == [] and entry.disabled_because is None
    assert (entry.id, entry.group, entry.server_args, entry.env, entry.passenv) == ("probe", "", [], {}, None)
    assert (entry.bind, entry.instances, entry.per_source, entry.cps) == (None, None, None, (50, 10))
    assert (entry.only_from, entry.no_access, entry.umask, entry.nice) == (None, [], None, 0)
    assert (entry.log_on_success, entry.log_on_failure, entry.rlimits) == (set(), set(), {})
    assert (entry.protocol, entry.stderr, entry.log_type) == ("tcp", "socket", ("", ""))


def test_entries_do_not_share_their_lists(files):
    first, second = files.read(section(id="a") + section(id="b", port=7001)).services
    for field in ("server_args", "env", "flags", "rlimits", "no_access", "log_on_success"):
        assert getattr(first, field) is not getattr(second, field)


# ------------------------------------------------------------------ what restricts is kept or disables

DISABLING = [
    ("only_from = 10.0.0.0/255.0.0.0", "only_from: .* has a mask"),
    ("only_from = 10.0.0.0, 11.0.0.0", "only_from: .* comma"),
    ("only_from = 10.0.0.0 # office", "only_from: '#' .* a '#' opens a comment only where a line begins"),
    ("no_access = loop", "no_access: loop is the name of a network"),
    ("only_from -= 10.0.0.0", "only_from: 10.0.0.0/8 is to be taken away, but is not there"),
    ("only_form = 10.0.0.0", "unknown attribute 'only_form': is it only_from"),
    ("bnid = ::1", "unknown attribute 'bnid': is it bind"),
    ("csp = 5 10", "unknown attribute 'csp': is it cps"),
    ("listen = 127.0.0.1", "unknown attribute 'listen'"),
    ("rlimit_core = 0", "unknown attribute 'rlimit_core'"),
    ("access_times = 2:00", "access_times: '2:00' is not of the form 8:30-17:00"),
    ("access_times = 2-9", "access_times: '2' is not of the form hour:minute"),
    ("access_times = 2:00-24:00", "access_times: must be 23 or less"),
    ("access_times = 2:60-3:00", "access_times: must be 59 or less"),
    ("max_load = -1", "max_load: not a number: '-1'"),
    ("max_load = 1e3", "max_load: not a number: '1e3'"),
    ("max_load = \u0663", "max_load: not a number"),
    ("deny_time = soon", "deny_time: not a whole number: 'soon'"),
    ("libwrap = a b", "libwrap: takes 1 value, and 2 are given"),
    ("v6only = yes\nbind = 10.0.0.1", "bind, protocol, flags and v6only do not agree"),
    ("v6only = 1", "v6only: '1' is not one of yes, no"),
    ("redirect = 10.0.0.1", "redirect: takes 2 values, and 1 are given"),
    ("redirect = 10.0.0.256 80", "redirect: '10.0.0.256' is neither an address nor a host name"),
    ("redirect = .example.org 80", "redirect: '.example.org' is neither"),
    ("redirect = ::1 http", "redirect: not a whole number: 'http'"),
    ("banner = motd", "banner: 'motd' is not an absolute path"),
    ("leaky_bucket = 5", "leaky_bucket: '5' is not one of yes, no"),
    ("max_time = 5y", "max_time: not a whole number: '5y'"),
    ("max_time = 25d", "max_time: must be 24 or less"),
    ("pass = fd3", "pass: 'fd3' is not one of stdin, listen_fds"),
    ("tls = yes", "tls = yes needs tls_cert"),
    ("tls = yes\ntls_cert = /c\nbanner = /etc/motd", "banner would be sent in the clear"),
    ("proxy_protocol = .example.org", "proxy_protocol: .example.org is a name"),
    ("log_type = FILE", "log_type: say FILE path"),
    ("log_type = FILE /var/log/x 9 8", "log_type: the hard limit, 8, is below the soft one, 9"),
    ("log_type = FILE log", "log_type: 'log' is not an absolute path"),
    ("groups = all", "groups: 'all' is not one of yes, no"),
    ("enabled = probe", "enabled belongs into a defaults section"),
    ("bind = apples please!", "bind: takes 1 value, and 2 are given"),
    ("bind = localhost", "bind: 'localhost' is neither an address"),
    ("interface = 10.0.0.256", "interface: '10.0.0.256' is neither an address"),
    ("instances = 5 # five", "instances: takes 1 value, and 3 are given; a '#'"),
    ("instances = 0", "instances: must be 1 or more"),
    ("instances += 5", "instances: takes =, not [+]="),
    ("per_source = many", "per_source: not a whole number"),
    ("cps = 50", "cps: takes 2 values, and 1 are given"),
    ("cps = 5 1_0", "cps: not a whole number: '1_0'"),
    ("umask = 088", "umask: not an octal number"),
    ("rlimit_as = 8G", "rlimit_as: not a whole number: '8G'"),
    ("rlimit_as = 8\u212a", "rlimit_as: not a whole number"),
    ("rlimit_as = 9000000000000M", "rlimit_as: must be 8796093022207 or less"),
    ("rlimit_cpu = 8K", "rlimit_cpu: not a whole number: '8K'"),
    ("rlimit_files =", "rlimit_files: takes 1 value, and 0 are given"),
    ("user = nobody", "user: has a value already, in line 7"),
    ("group = no-such-group", "there is no group 'no-such-group'"),
    ("group = 4294967295", "there is no group '4294967295'"),
    ("flags = LABELED", "flags LABELED is not supported"),
    ("flags = NODELAY NOSUCH", "flags: 'NOSUCH' is not one of"),
    ("flags =", "flags: has no value"),
    ("disable = maybe", "disable: 'maybe' is not one of yes, no"),
    ("server_args =", "server_args: has no value: give one, or leave the line out"),
    ("flags = NAMEINARGS", "flags NAMEINARGS needs server_args"),
    ("nice = 20", "nice: must be 19 or less"),
    ("env = A", "env: 'A' is not of the form NAME=value"),
    ("env -= A=1", "env: takes = or [+]=, not -="),
    ("log_on_success = PIDS", "log_on_success: 'PIDS' is not one of"),
    ("log_type = SYSLOG", "log_type: say SYSLOG facility"),
    ("log_type = STDOUT daemon", "log_type: say SYSLOG facility"),
    ("log_type = SYSLOG demon", "log_type: 'demon' is not one of daemon, "),
    ("log_type = SYSLOG daemon loud", "log_type: 'loud' is not one of emerg, "),
    ("flags = IPv4\nbind = ::1", "do not agree on IPv4 or IPv6"),
]


@pytest.mark.parametrize("line, says", DISABLING)
def test_what_cannot_be_kept_disables_the_service(files, line, says):
    entry, problems = files.entry(section(line))
    [(severity, text)] = problems
    assert severity == "error" and re.search(says, text)
    assert entry.disabled_because == text


CALM = {"deny_time": "5", "no_access": "::1"}           # a sensor that nothing is said about


@pytest.mark.parametrize("changes, says", [
    ({"user": None, "wait": None}, "a service needs wait, user$"),
    ({"socket_type": None, "protocol": None}, "a service needs socket_type$"),
    ({"socket_type": None, "protocol": "unix", "bind": "/run/x"}, "a service needs socket_type$"),
    ({"server": None}, "a service needs server$"),
    ({"user": "no-such-user"}, "there is no user 'no-such-user'"),
    ({"user": "4294967295", "group": "root"}, "there is no user '4294967295'"),
    ({"user": "3999999999"}, "user 3999999999 has no account"),
    ({"server": "bin/sh"}, "server: 'bin/sh' is not an absolute path"),
    ({"server": "/no/such"}, "server /no/such: No such file"),
    ({"server": "/etc"}, "server /etc is not an executable file"),
    ({"server": "/etc/passwd"}, "server /etc/passwd is not an executable file"),
    ({"socket_type": "raw"}, "socket_type: raw is not supported"),
    ({"wait": "yes", "flags": "SENSOR"}, "flags SENSOR needs wait = no"),
    ({"wait": "yes", "flags": "IDONLY"}, "flags IDONLY needs wait = no"),
    ({"server": None, "wait": "yes", "user": "root", "group": "root", "id": "x", "nice": "1",
      "redirect": "::1 80"}, "redirect needs socket_type = stream and wait = no"),
    ({"flags": "SENSOR", "redirect": "::1 80", **CALM}, "a SENSOR answers nobody"),
    ({"redirect": "::1 80", "tls": "yes", "tls_cert": "/c"}, "tls goes with a server or an internal program only"),
    ({"user": "0", "groups": "yes"}, "groups = yes needs the user's name"),
    ({"socket_type": "dgram"}, "protocol tcp does not go with socket_type dgram"),
    ({"socket_type": "dgram", "protocol": "udp"}, "needs wait = yes"),
    ({"protocol": "sctp"}, "protocol: 'sctp' is not one of"),
    ({"protocol": "unix"}, "belong together"),
    ({"protocol": "tcp6", "bind": "10.0.0.1"}, "do not agree on IPv4 or IPv6"),
    ({"protocol": "tcp", "bind": "/run/x"}, "belong together"),
    ({"protocol": None, "bind": "/" + 107 * "x"}, "at most 107 octets"),
    ({"protocol": "unix", "bind": "/run/x", "port": None, "only_from": "10.0.0.1"}, "cannot be kept on a Unix socket"),
    ({"wait": "yes", "only_from": "10.0.0.1"}, "only_from cannot be kept with wait = yes"),
    ({"wait": "yes", "no_access": "10.0.0.1"}, "no_access cannot be kept with wait = yes"),
    ({"wait": "yes", "flags": "INTERCEPT"}, "INTERCEPT is not supported"),
    ({"port": "0"}, "port: must be 1 or more"),
    ({"port": "http"}, "port: not a whole number"),
    ({"port": None}, "type UNLISTED needs a port"),
    ({"port": None, "type": None}, "probe/tcp is not in .*services: give type = UNLISTED and a port"),
    ({"port": None, "type": None, "name": "low"}, "low/tcp is not in"),
    ({"port": None, "type": None, "name": "high"}, "high/tcp is not in"),
    ({"type": "RPC"}, "type RPC is not supported"),
    ({"type": "TCPMUX UNLISTED", "wait": "yes", "port": None}, "tcpmux needs socket_type = stream, protocol = tcp"),
    ({"type": "TCPMUX UNLISTED", "port": None, "name": "HELP"}, "HELP cannot be called by its name"),
    ({"type": "TCPMUX INTERNAL", "port": None, "name": "tcpmux"}, "tcpmux cannot be called through itself"),
    ({"type": "TCPMUX UNLISTED", "port": None, "flags": "SENSOR", **CALM}, "a SENSOR needs a port of its own"),
    ({"type": "INTERNAL", "user": None}, "there is no internal service probe, in xinetd neither"),
    ({"type": "INTERNAL", "user": None, "name": "xadmin"}, "no internal service xadmin.*a state dump does"),
])
def test_what_is_missing_or_contradictory_disables_the_service(files, changes, says):
    entry, [(severity, text)] = files.entry(section(**changes))
    assert severity == "error" and re.search(says, text)
    assert entry.disabled_because == text


def test_an_internal_service_names_the_program_that_does_it_and_needs_neither_server_nor_user(files):
    entry, problems = files.entry(section(name="daytime", type="INTERNAL UNLISTED", server=None, user=None))
    assert (entry.internal, entry.disabled_because, problems) == ("daytimed", None, [])


def test_internal_datagrams_go_to_one_program_whatever_wait_says(files):
    entry, problems = files.entry(section(name="echo", type="INTERNAL UNLISTED", server=None, user=None, wait="no",
                                          socket_type="dgram", protocol="udp"))
    assert (entry.internal, entry.wait, entry.disabled_because, problems) == ("echod", True, None, [])


def test_redirect_and_a_sensor_need_no_server_and_ignore_it(files):
    for extra in ("redirect = localhost 80", "flags = SENSOR\ndeny_time = FOREVER\nno_access = 10.0.0.0"):
        for server in (None, "/no/such/server"):
            entry, problems = files.entry(section(extra, server=server))
            assert (entry.server, entry.disabled_because, problems) == ("", None, [])


@pytest.mark.parametrize("extra, says", [
    ("flags = SENSOR", "without deny_time shuts nobody out"),
    ("flags = SENSOR\ndeny_time = 5", "say no_access = and the networks that it must never shut out"),
    ("deny_time = 5", "deny_time means nothing without flags = SENSOR"),
    ("flags = INTERCEPT", "INTERCEPT means nothing with wait = no"),
    ("tls_key = /k", "tls_cert means nothing without tls = yes"),
    ("mdns = yes", "nothing is announced"),
])
def test_what_does_less_than_it_seems_is_said(files, extra, says):
    entry, [(severity, text)] = files.entry(section(extra))
    assert (severity, entry.disabled_because) == ("warning", None) and says in text


def test_a_sensor_for_datagrams_shuts_nobody_out(files):
    entry, [(severity, text)] = files.entry(section("flags = SENSOR\ndeny_time = 5", socket_type="dgram",
                                                    protocol="udp"))
    assert (severity, entry.wait, entry.disabled_because) == ("warning", True, None) and "easily forged" in text


@pytest.mark.parametrize("line, field, value", [
    ("access_times = 8:30-17:00 22:00-6:05", "access_times", [(510, 1020), (1320, 365)]),
    ("max_load = 2.5", "max_load", 2.5), ("max_load = 3", "max_load", 3.0),
    ("redirect = ::FFFF:1 80", "redirect", ("::ffff:1", 80)),
    ("redirect = Host.Example 1", "redirect", ("Host.Example", 1)),
    ("groups = yes", "groups", True), ("v6only = yes", "v6only", True), ("libwrap = other", "libwrap", "other"),
    ("banner_fail = /etc/motd", "banner_fail", "/etc/motd"), ("leaky_bucket = yes", "leaky_bucket", True),
    ("max_time = 90", "max_time", 90), ("max_time = 5m", "max_time", 300),
    ("pass = listen_fds", "passes", {"listen_fds"}),
    ("proxy_protocol = 10.0.0.0 ::1", "proxy_protocol", ["10.0.0.0/8", "::1/128"]),
    ("log_type = SYSLOG mail err", "log_type", ("mail", "err")),
])
def test_values_are_read(files, line, field, value):
    entry, problems = files.entry(section(line))
    assert (getattr(entry, field), entry.disabled_because, problems) == (value, None, [])


@pytest.mark.parametrize("value, minutes", [("FOREVER", float("inf")), ("NEVER", 0), ("0", 0), ("60", 60)])
def test_a_time_of_denial_is_read(files, value, minutes):
    entry, _ = files.entry(section(f"flags = SENSOR\nno_access = ::1\ndeny_time = {value}"))
    assert entry.deny_time == minutes


@pytest.mark.parametrize("words, limits", [
    ("", (None, None)), (" 4096", (4096, 4096 + 5120)), (" 1M", (1 << 20, (1 << 20) + 10485)),
    (" 100M", (100 << 20, (100 << 20) + 20480)), (" 1000 2K", (1000, 2048))])
def test_a_log_of_its_own_has_limits(files, words, limits):
    entry, problems = files.entry(section(f"log_type = FILE /var/log/x{words}"))
    assert (entry.log_type.path, entry.log_type.soft, entry.log_type.hard) == ("/var/log/x", *limits)
    assert problems == []


# ------------------------------------------------------------------ tcpmux

def muxed(name, **changes):
    return section(name=name, **{"type": "TCPMUX UNLISTED", "port": None, **changes})


DOOR = section(name="tcpmux", type="INTERNAL UNLISTED", port="1", server=None, user=None)


def test_services_behind_tcpmux_need_no_port_and_are_told_apart_by_name_without_case(files):
    configuration = files.read(DOOR + muxed("one") + muxed("two") + muxed("ONE", id="three"))
    assert [entry.disabled_because for entry in configuration.services[:3]] == [None] * 3
    assert "has the name ONE for tcpmux from" in configuration.services[3].disabled_because
    assert [entry.is_muxed for entry in configuration.services] == [False, True, True, True]


def test_tcpmux_without_services_and_services_without_tcpmux_are_said(files):
    [problem] = files.read(DOOR).problems
    assert problem.text == "there is no service of type TCPMUX behind tcpmux"
    [problem] = files.read(muxed("one")).problems
    assert problem.text == "nobody can call one: there is no service tcpmux of type INTERNAL"


WARNING = [
    ("rpc_version = 2", "rpc_version is not supported"),
    ("sever_args = x", "unknown attribute 'sever_args': is it server_args"),
    ("colour = red", "unknown attribute 'colour'$"),
    ("log_on_success = TRAFFIC", "TRAFFIC needs redirect"),
    ("server_args = -x # why", "a comment must have a line of its own"),
    ("server_args = tcpd\nflags = NAMEINARGS", "NAMEINARGS must stand before server_args"),
    ("flags = NAMEINARGS\nserver_args = -c true", "the first word of server_args, '-c', is the program's name"),
]


@pytest.mark.parametrize("line, says", WARNING)
def test_what_restricts_nothing_is_a_warning(files, line, says):
    entry, [(severity, text)] = files.entry(section(line))
    assert severity == "warning" and re.search(says, text)
    assert entry.disabled_because is None


def test_what_only_one_service_gets_wrong_is_no_damage_to_the_whole(files):
    configuration = files.read(section("nice = much") + section(id="b", port=7001))
    assert configuration.damaged is None and configuration.services[0].wanted
    assert files.read(section() + "service b\n{\nwait = no\n").damaged == f"{files.path('main')}:12: no '}}' for " \
        "the section that begins here"


def test_problems_name_file_and_line(files):
    [problem] = files.read(section("\n\nnice = much")).problems
    assert str(problem) == f"{files.path('main')}:12: error: nice: not a whole number: 'much'"


def test_a_section_that_is_not_whole_is_not_started(files):
    entry, problems = files.entry(section("only_from=10.0.0.0"))
    assert entry.disabled_because == "a line of this section is not understood"
    assert problems == [("error", "'only_from=10.0.0.0' needs a blank before its operator")]


def test_a_restriction_behind_the_closing_brace_is_not_lost(files):
    configuration = files.read(section(id="a") + "only_from = 10.0.0.0\n}\n" + section(id="b", port=7001))
    assert all("is not understood" in reason for reason in states(configuration).values())


def test_what_is_switched_off_is_not_an_error(files):
    entry, problems = files.entry(section("rlimit_as = 8G\ndisable = yes", server="/no/such"))
    assert (entry.disabled_because, entry.wanted) == ("disable = yes", False)
    assert problems == [("warning", "rlimit_as: not a whole number: '8G'")]


# ------------------------------------------------------------------ ports, places, ids

def test_ports_come_from_the_list_of_services(files):
    entry, problems = files.entry(section(name="smtp", type=None, port=None))
    assert (entry.port, problems) == (25, [])
    entry, problems = files.entry(section(name="domain", type=None, port=None, socket_type="dgram", protocol="udp6",
                                          wait="yes"))
    assert (entry.port, problems) == (53, [])
    entry, [(severity, text)] = files.entry(section(name="mail", type=None, port=2525))
    assert (entry.port, entry.disabled_because, severity) == (2525, None, "warning")
    assert "mail/tcp is port 25 in" in text


@pytest.mark.parametrize("changes", [
    {"socket_type": None, "protocol": "udp", "wait": "yes"},
    {"user": "4294967294", "group": "4294967294"},
    {"protocol": "tcp6", "bind": "::1", "flags": "IPv6"},
    {"flags": "IPv4", "bind": "0.0.0.0"},
    {"server_args": None, "flags": "NAMEINARGS\nserver_args = tcpd"},
])
def test_what_is_in_order(files, changes):
    entry, problems = files.entry(section(**changes))
    assert (problems, entry.disabled_because) == ([], None)


def test_the_protocol_tells_the_type_of_socket(files):
    entry, _ = files.entry(section(socket_type=None, protocol="udp", wait="yes"))
    assert entry.socket_type == "dgram"


def test_who_accepts_datagrams_is_told_about_access(files):
    datagrams = {"socket_type": "dgram", "protocol": "udp", "wait": "yes"}
    entry, [(severity, text)] = files.entry(section(**datagrams, only_from="10.0.0.0"))
    assert entry.disabled_because is None
    assert (severity, text.partition(" ")[0]) == ("warning", "only_from") and "first datagram alone" in text


def test_who_accepts_for_himself_is_told_to_count_for_himself(files):
    entry, [(severity, text)] = files.entry(section(wait="yes", per_source="3"))
    assert (entry.disabled_because, severity) == (None, "warning") and "per_source cannot be kept with wait" in text
    assert files.entry("defaults\n{\nper_source = 3\n}\n" + section(wait="yes"))[1] == []


def test_a_unix_socket_needs_no_port(files):
    entry, problems = files.entry(section(protocol=None, port=None, type=None, bind="/run/probe"))
    assert (problems, entry.protocol, entry.bind, entry.port) == ([], "unix", "/run/probe", 0)
    longest = "/" + "x" * 106
    entry, [(severity, text)] = files.entry(section(protocol=None, bind=longest))
    assert (entry.disabled_because, entry.bind, entry.port) == (None, longest, 0)
    assert (severity, text) == ("warning", "port means nothing for a Unix socket")


def test_a_server_that_accepts_may_be_told_to_let_everybody_in(files):
    text = "defaults\n{\nonly_from = 10.0.0.0\n}\n"
    entry, problems = files.entry(text + section(wait="yes", only_from="0.0.0.0 ::"))
    assert (problems, entry.disabled_because) == ([], None)


def test_the_first_of_two_with_one_id_or_one_place_counts(files):
    configuration = files.read(section() + section(port=7001) + section(id="other") + section(id="off", disable="yes"))
    assert [entry.disabled_because and entry.disabled_because.partition(" from ")[0] for entry in
            configuration.services] == [None, "has the id probe", "has its address, protocol and port", "disable = yes"]
    assert [problem.severity for problem in configuration.problems] == ["error", "error"]


def test_what_is_not_started_takes_no_place(files):
    configuration = files.read(section(disable="yes") + section("nice = much") + section())
    assert [entry.disabled_because is None for entry in configuration.services] == [False, False, True]


# ------------------------------------------------------------------ defaults

def test_lists_grow_and_shrink_from_the_defaults_wherever_those_stand(files):
    defaults = "defaults\n{\nonly_from = 10.0.0.0\nonly_from = 11.0.0.0\nlog_on_success = PID\ninstances = 3\n}\n"
    services = (section("only_from += 12.0.0.0\nonly_from -= 11.0.0.0", id="a")
                + section("instances = 9", id="b", port=1)
                + section("only_from =\nlog_on_success = HOST", id="c", port=2))
    for text in (defaults + services, services + defaults):
        configuration = files.read(text)
        a, b, c = configuration.services
        assert configuration.problems == []
        assert a.only_from == ["10.0.0.0/8", "12.0.0.0/8"] and b.only_from == ["10.0.0.0/8", "11.0.0.0/8"]
        assert c.only_from == [] and c.log_on_success == {"HOST"} and a.log_on_success == {"PID"}
        assert (a.instances, b.instances) == (3, 9)


@pytest.mark.parametrize("text", [
    "defaults\n{\nonly_from = no-such-thing/8\n}\n",
    "defaults\n{\nonly_from=10.0.0.0\n}\n",
    "defaults\n{\nonly_form = 10.0.0.0\n}\n",
    "defaults\n{\nmax_load = three\n}\n",
    "defaults\n{\nuser = nobody\n}\n",
    "default\n{\nonly_from = 10.0.0.0\n}\n",
    "defaults\n{\n}\nonly_from = 10.0.0.0\n}\n",
    "defaults\n{\n}\ndefaults\n{\n}\n",
    "include HERE/missing\n",
    "include relative\n",
    "includedir HERE/missing\n",
    "include HERE\n",
    "include HERE/others\n",
])
def test_where_restrictions_may_be_lost_nothing_is_started(files, text):
    files.write("others", "defaults\n{\nonly_from = 10.0.0.0\n}\n", mode=0o666)
    configuration = files.read(text + section(id="a") + section(id="b", port=7001))
    assert None not in states(configuration).values()
    assert "error" in [problem.severity for problem in configuration.problems] and configuration.damaged


@pytest.mark.parametrize("line", ["rpc_number = 7", "nice = 3", "colour = red"])
def test_what_restricts_nothing_is_a_warning_in_defaults_too(files, line):
    entry, [(severity, _)] = files.entry("defaults\n{\n" + line + "\n}\n" + section())
    assert (entry.disabled_because, severity) == (None, "warning")


def test_enabled_and_disabled_lists_of_ids(files):
    services = section(id="a") + section(id="b", port=1) + section(id="c", port=2)
    configuration = files.read("defaults\n{\nenabled = a b\nenabled += z\ndisabled = b\n}\n" + services)
    assert states(configuration) == {
        "a": None, "b": "is in disabled, in defaults", "c": "is not in enabled, in defaults"}
    [problem] = configuration.problems
    assert str(problem) == f"{files.path('main')}:4: warning: enabled: there is no service with the id z"


# ------------------------------------------------------------------ files

def test_directories_are_read_in_the_order_of_octets_and_without_left_overs(files):
    names = ("b", "B", "a", "é", "_", "a~", ".hidden", "a.rpmsave")
    for number, name in enumerate(names):
        files.write(f"more/{name}", section(id=name, port=number + 1))
    os.mkdir(files.path("more/folder"))
    os.symlink("nowhere", files.path("more/link"))
    configuration = files.read(section(id="before") + "includedir HERE/more\n" + section(id="after", port=99))
    assert [entry.id for entry in configuration.services] == ["before", "B", "_", "a", "b", "é", "after"]
    assert [problem.severity for problem in configuration.problems] == ["warning", "warning"]
    assert set(states(configuration).values()) == {None}


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o602])
def test_nothing_is_used_of_a_file_that_others_may_write(files, mode):
    files.write("more/bad", section(id="bad"), mode)
    files.write("more/good", section(id="good"))
    configuration = files.read("includedir HERE/more\n")
    assert states(configuration) == {"good": None}
    [problem] = configuration.problems
    assert problem.severity == "error" and f"has mode {mode:o}" in problem.text
    assert configuration.damaged.startswith(f"{files.path('more/bad')}: has mode")


def test_nothing_is_used_of_a_file_that_is_not_ours(files, monkeypatch):
    files.write("more/bad", section())
    if os.geteuid() == 0:
        os.chown(files.path("more/bad"), 4711, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    configuration = files.read("include HERE/more/bad\n")
    assert configuration.services == [] and "belongs to user" in configuration.problems[-1].text


def test_a_directory_that_others_may_write_may_have_lost_a_file(files):
    files.write("more/good", section())
    os.chmod(files.path("more"), 0o777)
    configuration = files.read("includedir HERE/more\n" + section())
    assert [entry.path for entry in configuration.services] == [files.path("main")]
    assert None not in states(configuration).values()


def test_includes_that_go_in_circles_end(files):
    files.write("one", section() + "include HERE/two\n")
    files.write("two", "include HERE/main\n")
    configuration = files.read("include HERE/one\n")
    assert states(configuration) == {"probe": None}
    [problem] = configuration.problems
    assert problem.path == files.path("two") and "is read already" in problem.text


def test_includes_within_includes_have_an_end(files):
    for depth in range(20):
        files.write(f"f{depth}", f"include HERE/f{depth + 1}\n")
    [problem] = files.read("include HERE/f0\n" + section()).problems
    assert "too deep" in problem.text


@pytest.mark.parametrize("path", ["missing", "fifo", "folder", "large"])
def test_what_is_no_file_is_one_problem(files, path):
    os.mkfifo(files.path("fifo"))
    os.mkdir(files.path("folder"))
    files.write("large", "#" * (1 << 20) + "\n")
    configuration = read(files.path(path))
    [problem] = configuration.problems
    assert (configuration.services, problem.path, problem.severity) == ([], files.path(path), "error")


# ------------------------------------------------------------------ all of it

LINES = st.lists(st.one_of(
    st.sampled_from(["service a", "defaults", "{", "}", "include /etc/passwd", "includedir /dev", "disable = yes"]),
    st.builds("{} {} {}".format, st.sampled_from(sorted(TABLE)), st.sampled_from(["=", "+=", "-="]),
              st.sampled_from(["", "yes", "no", "1", "1 2", "stream", "tcp", "udp", "root", "/bin/sh", "10.0.0.0",
                               "::1", "UNLIMITED", "UNLISTED", "NAMEINARGS", "A=1", "a", "\udcff", "٣"])),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12)), max_size=25)


@given(LINES)
def test_any_file_gives_services_and_problems_and_nothing_else(lines):
    with tempfile.NamedTemporaryFile() as file:
        file.write("\n".join(lines).encode("utf-8", "surrogateescape"))
        file.flush()
        configuration = read(file.name)
    errors = [problem for problem in configuration.problems if problem.severity == "error"]
    for entry in configuration.services:
        assert entry.disabled_because is None or entry.disabled_because in (
            "disable = yes", "is in disabled, in defaults", "is not in enabled, in defaults") or errors
        if entry.disabled_because is None:
            started = entry.server or entry.internal or entry.redirect or entry.is_sensor
            assert started and (entry.user or not entry.server) and entry.socket_type
            assert entry.port or entry.protocol == "unix" or entry.is_muxed


def test_these_attributes_restrict():
    assert {row.name for row in TABLE.values() if row.restricts} == {
        "type", "flags", "disable", "user", "group", "instances", "libwrap", "only_from", "no_access", "access_times",
        "redirect", "bind", "interface", "per_source", "cps", "leaky_bucket", "max_load", "max_time", "tls", "tls_cert",
        "tls_key", "proxy_protocol", "umask", "enabled",
        "disabled", "rlimit_as", "rlimit_files", "rlimit_cpu", "rlimit_data", "rlimit_rss", "rlimit_stack",
        "deny_time", "v6only"}


@pytest.mark.skipif(not os.path.exists(MANUAL), reason="xinetd.conf(5) is not installed")
def test_every_attribute_of_the_manual_has_a_row():
    with gzip.open(MANUAL, "rt", encoding="latin-1") as file:
        manual = file.read()
    names = re.findall(r"^\.TP[^\n]*\n\.B \"?([a-z0-9_]+)\"?$", manual, re.MULTILINE)
    assert {"only_from", "cps", "umask", "rlimit_as"} <= set(names), "the manual is read rightly"
    assert set(names) - set(TABLE) - {"include", "includedir", "stream", "dgram", "raw", "seqpacket"} == set()
