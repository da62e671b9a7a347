"""Declarations as manual pages in man(7): one for each program, one for the command, one for the option files.

Never imported by a running program.  A page is a list of lines; `roff` makes text safe to stand in one.
"""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from . import describe, log
from .options import ACTIONS, FOLDER, GENERAL, groups, known
from .service import Event, Option, Service

Examples = Iterable[tuple[str, str]]

WHOSE = "fd0"
COLUMNS = 72            # of a line of the source; escapes make it longer
KINDS = {"switch": "yes|no", "linger": "seconds", "count": "number", "size": "octets"}
GROUPS = {"Launch": "how it comes by its socket", "Serving": "how it serves", "Socket": "its sockets", "Log": "its log"}
LAUNCHED = """
It is launched by inetd, xinetd or systemd when somebody calls, and needs no option to tell it so: it asks the kernel
whether descriptor 0 is a connection, a listening socket or a datagram socket, and looks at the sockets that systemd
passes. Started with --listen it binds a port itself. A listener is served until nobody has called for --idle.
"""
OPTION_FILES = f"""
Every option that a program takes on its command line may stand in a file, without its dashes, in a line of the form
name = value. Empty lines and lines that begin with # say nothing. A value is taken as it stands, without quotes.

The first of these places that sets an option decides: the command line (server_args in xinetd, ExecStart= in systemd),
the environment, as in FD0_ECHOD_TIMEOUT=30, {FOLDER}/PROGRAM.conf, {FOLDER}/common.conf, the program's own default.
With --config=FILE that file is read in the place of both.

common.conf holds options that every program has; what a program has no use for there is passed over. An unknown
name, a bad value, a file that cannot be read or that anybody may write to stops the start of the program with exit
status 100, and the log says file and line. fd0 check finds it before.

Times are seconds, or have a unit: 90, 1.5, 30s, 5m, 2h, 1d. Sizes are octets, or have a unit of 1,024: 4096, 64K, 10M.
Switches are yes or no. Lists are separated by commas or blanks.

Lines between # >>> fd0 enable and # <<< fd0 enable were put there by fd0 enable; fd0 disable takes them out again.
"""
COMMAND = """
fd0 is a suite of small network daemons that start when somebody connects, find their socket on file descriptor 0, log
through syslog, and are gone again when nobody is left. This is the command for everything around them. Options may
stand anywhere behind the command's name.
"""
LINES = """
Each line of the log is an event: its name, and what it tells as key=value. Whatever a peer sent is escaped in it.
"""
STATUS = (("0", "Everything was done."),
          ("100", "An option or a file is wrong, or something is not allowed: the same again would fail again."),
          ("111", "Something is missing now: no socket was given, a port is taken, a resource is exhausted. "
                  "Try again later."))
ENVIRONMENT = (
    ("LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES, LISTEN_PIDFDID", "Sockets that systemd passes; see sd_listen_fds(3)."),
    ("NOTIFY_SOCKET", "Where to say that the program is ready; see sd_notify(3)."))
WHERE = (("/etc/fd0", "Options of the programs: fd0.conf(5)."),
         ("/etc/xinetd.d, /etc/inetd.conf, /etc/systemd/system", "Where fd0 enable puts services in place."))
PRIORITIES = {"err": "error"}


class Command:
    """A sub-command for fd0(1): its name, usage after the name, text, (option, meaning) rows and examples."""

    def __init__(self, name: str, usage: str, about: str, rows: Sequence[tuple[str, str]], examples: Examples) -> None:
        self.name, self.usage, self.about, self.rows, self.examples = name, usage, about, rows, examples


def roff(text: str) -> str:
    """Text as it may stand in a line of a page."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("~", "\\(ti").replace("^", "\\(ha")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def bold(text: str) -> str:
    """Text in bold, for what is typed as it stands."""
    return f"\\fB{roff(text)}\\fP"


def program(service: Service, version: str, date: str, library: str = describe.LIBRARY) -> str:
    """The page fd0-NAME(8)."""
    name = page_name(service)
    lines = [*_head(name, "8", date, version), ".SH NAME", *_sentences(f"{name} @ {_lower(service.about)}", " \\- "),
             ".SH SYNOPSIS", ".nh", f"{bold(f'{library}/{service.name}')} [\\fB\\-\\-\\fIoption\\fP=\\fIvalue\\fP ...]"
             + (f" \\fI{roff(service.operands)}\\fP" if service.operands else ""), ".hy"]
    if service.sockets:
        lines += [".br", f"{bold(f'fd0 enable {service.name} --with=')}\\fIxinetd\\fP|\\fIsystemd\\fP|\\fIinetd\\fP"]
    if service.standing:
        lines += [".br", bold(f"fd0 enable {service.name} --with=systemd")]
    text = (service.description or service.about).replace(describe.LIBRARY, library)
    about, heading, more = text.partition("\n# ")
    lines += [".SH DESCRIPTION", *_paragraphs(about)]
    if service.sockets:
        lines += [".PP", *_sentences(_served(service)), ".PP", *_sentences(LAUNCHED)]
    if heading:
        lines += _paragraphs(f"# {more}")
    lines += [".SH OPTIONS", *_options(service), ".SH EVENTS", *_events(service), ".SH FILES",
              *_files(service, library), ".SH EXIT STATUS", *_list(STATUS), ".SH ENVIRONMENT", *_environment(service),
              ".SH EXAMPLES", *_examples(service), ".SH SEE ALSO", _see_also(service)]
    lines += [".SH STANDARDS", *_standards(service)]
    return "\n".join(lines) + "\n"


def command(commands: Sequence[Command], programs: Sequence[Service], version: str, date: str,
            guides: Sequence[str] = ()) -> str:
    """The page fd0(1)."""
    lines = [*_head("fd0", "1", date, version), ".SH NAME",
             "fd0 \\- put small network daemons in place, try them, check them",
             ".SH SYNOPSIS", f"{bold('fd0')} \\fIcommand\\fP [\\fIargument\\fP ...]",
             ".SH DESCRIPTION", *_paragraphs(COMMAND), ".SH COMMANDS"]
    for one in commands:
        lines += [f".SS fd0 {roff(one.name)} {roff(one.usage)}".rstrip(), *_paragraphs(one.about),
                  *_list((option, _sentence(about)) for option, about in one.rows)]
        for typed, does in one.examples:
            lines += [".PP", roff(_sentence(does) if does else "For example:"), *_typed([typed])]
    lines += [".SH PROGRAMS", *_list((f"{page_name(one)}(8)", _sentence(one.about)) for one in programs),
              ".SH EXIT STATUS", *_list(STATUS), ".SH FILES",
              *_list(WHERE),
              ".SH SEE ALSO", _references(["fd0.conf(5)", *(f"{page_name(one)}(8)" for one in programs), *guides])]
    return "\n".join(lines) + "\n"


def option_files(programs: Sequence[Service], version: str, date: str) -> str:
    """The page fd0.conf(5)."""
    lines = [*_head("fd0.conf", "5", date, version), ".SH NAME", "fd0.conf \\- options of the fd0 network daemons",
             ".SH SYNOPSIS", *_typed([f"{FOLDER}/common.conf", f"{FOLDER}/PROGRAM.conf"]), ".SH DESCRIPTION",
             *_paragraphs(OPTION_FILES),
             ".SH OPTIONS OF EVERY PROGRAM"]
    for title, group in GENERAL:
        lines += [f".SS {roff(title)}", *_list(_rows(group))]
    lines += [".SH EXAMPLES", *_typed(["# /etc/fd0/common.conf", "only-from = 192.0.2.0/24 2001:db8::/32",
                                       "timeout = 5m", "priority = notice"]),
              ".SH FILES", *_list([(f"{FOLDER}/common.conf", "Options of all programs."), *(
                  (f"{FOLDER}/{one.name}.conf", f"Options of {page_name(one)}(8).") for one in programs)]),
              ".SH SEE ALSO", _references(["fd0(1)", *(f"{page_name(one)}(8)" for one in programs)])]
    return "\n".join(lines) + "\n"


def guide(name: str, about: str, text: str, see: Iterable[str], version: str, date: str) -> str:
    """A page of section 7, out of paragraphs."""
    lines = [*_head(name, "7", date, version), ".SH NAME", *_sentences(f"{name} @ {about}", " \\- "),
             ".SH DESCRIPTION", *_paragraphs(text), ".SH SEE ALSO", _references(see)]
    return "\n".join(lines) + "\n"


def page_name(service: Service) -> str:
    """What a program's page is called: other packages have an inetd(8) and a fingerd(8)."""
    return f"fd0-{service.name}"


# -- sections of a program's page --


def _served(service: Service) -> str:
    ports = [f"TCP port {service.port}"] if "stream" in service.sockets and service.port else []
    ports += [f"UDP port {service.port}"] if "dgram" in service.sockets and service.port else []
    ports += [f"TCP port {service.secure_port} under TLS"] if service.secure_port else []
    return f"It is expected at {' and '.join(ports)}." if ports else "It has no port of its own."


def _options(service: Service) -> list[str]:
    rows = known(service)
    lines = []
    if service.options:
        lines += [f".SS Of {roff(service.name)}", *_list(_rows(rows[option.name] for option in service.options))]
    own = {option.name for option in service.options}
    for title, group in groups(service):
        lines += [f".SS {roff(title)}: {roff(GROUPS[title])}" if title in GROUPS else f".SS {roff(title)}",
                  *_list(_rows(rows[option.name] for option in group if option.name not in own))]
    actions = [(f"--{name}", _sentence(about)) for name, about in ACTIONS.items()]
    return [*lines, ".SS Instead of serving", *_list(actions)]


def _rows(options: Iterable[Option]) -> list[tuple[str, str]]:
    return [(f"--{option.name}={KINDS.get(option.kind.__name__, option.kind.__name__)}", _sentence(option.about)
             + (f" Default: {option.default}." if option.default else "")) for option in options]


def _events(service: Service) -> list[str]:
    lines = _paragraphs(LINES)
    if service.events:
        lines += [f".SS Of {roff(service.name)}", *_event_list(service.events)]
    return [*lines, ".SS Of every program", *_event_list(log.EVENTS)]


def _event_list(events: Iterable[Event]) -> list[str]:
    return _list((f"{one.name} ({PRIORITIES.get(one.priority, one.priority)})",
                  _sentence(one.about) + (f" Keys: {', '.join(one.keys)}." if one.keys else "")) for one in events)


def _files(service: Service, library: str) -> list[str]:
    rows = [(f"{FOLDER}/{service.name}.conf", "Its options; see fd0.conf(5)."),
            (f"{FOLDER}/common.conf", "Options of all programs.")]
    for paths, does in ((service.reads, "It reads this."), (service.writes, "It writes here.")):
        rows += [(path if path.startswith("/") else f"the path in {path}", does) for path in paths]
    rows.append((f"{library}/{service.name}", "The program."))
    if service.sockets:
        rows.append((f"fd0-{service.name}.socket, fd0-{service.name}.service", "Its systemd units."))
    if service.standing:
        rows.append((f"fd0-{service.name}.service", "Its systemd unit."))
    return _list(rows)


def _environment(service: Service) -> list[str]:
    rows = [(f"FD0_{service.name.upper()}_NAME", "The value of the option --name, with _ in the place of -.")]
    return _list([*rows, *(ENVIRONMENT if service.sockets else ())])


def _examples(service: Service) -> list[str]:
    lines = []
    if service.sockets:
        lines += [*_paragraphs("To put it in place under systemd, and to take it away again:"),
                  *_typed([f"fd0 enable {service.name} --with=systemd", f"fd0 disable {service.name}"]), ".PP",
                  "To try it at a port of this machine alone, with the log on the terminal:",
                  *_typed([f"fd0 up {service.name}"])]
    if service.standing:
        lines += [*_paragraphs("To have it started with the machine by systemd, and to end that:"),
                  *_typed([f"fd0 enable {service.name} --with=systemd", f"fd0 disable {service.name}"])]
    if service.examples:
        lines += [*([".PP"] if lines else []), "Some options:", *_typed(service.examples)]
    return lines or _paragraphs("None.")


def _see_also(service: Service) -> str:
    return _references(["fd0(1)", "fd0.conf(5)", *(("systemd.socket(5)", "xinetd.conf(5)") if service.sockets else
                                                   ("systemd.service(5)",) if service.standing else
                                                   ("xinetd.conf(5)",))])


def _standards(service: Service) -> list[str]:
    if not service.rfcs:
        return _paragraphs("None.")
    return _paragraphs(", ".join(f"RFC {number}" for number in service.rfcs) + ".")


# -- man(7) --


def _head(name: str, section: str, date: str, version: str) -> list[str]:
    return ['.\\" Made by `fd0 manual` from the declarations.',
            f".TH {roff(name).upper()} {section} {date} \"fd0 {version}\" \"{WHOSE}\"", ".ad l"]


def _paragraphs(text: str) -> list[str]:
    """Paragraphs; one whose lines are indented is typed as it stands, and one that begins with # is a heading."""
    lines: list[str] = []
    for paragraph in text.strip("\n").split("\n\n"):
        if paragraph.startswith("    "):
            lines += _typed(line[4:] for line in paragraph.split("\n"))
        elif paragraph.startswith("# "):
            lines += [f".SH {roff(paragraph[2:])}"]
        else:
            lines += [".PP"] if lines and not lines[-1].startswith(".SH") else []
            lines += _sentences(" ".join(paragraph.split()))
    return lines


def _sentences(text: str, dash: str = " @ ") -> list[str]:
    """A new line for each sentence, as roff wants them."""
    text = " ".join(text.split())
    return [roff(line).replace(" @ ", dash, 1) for sentence in text.replace(". ", ".\n").split("\n")
            for line in wrap(sentence, COLUMNS, break_long_words=False, break_on_hyphens=False)]


def _list(rows: Iterable[tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    for term, text in rows:
        option, equals, value = term.partition("=")
        shown = f"{bold(option)}=\\fI{_breakable(value)}\\fP" if equals and term.startswith("--") else bold(term)
        lines += [".TP", shown, *_sentences(text)]
    return lines


def _typed(lines: Iterable[str]) -> list[str]:
    return [".RS 4", ".nf", *map(roff, lines), ".fi", ".RE"]


def _breakable(text: str) -> str:
    """A choice of words that may go on in the next line."""
    return roff(text).replace("|", "|\\:").replace(",", ",\\:")


def _references(pages: Iterable[str]) -> str:
    """The line of SEE ALSO, in the order of sections, then of names."""
    ordered = sorted(set(pages), key=lambda page: (page.rpartition("(")[2], page))
    return "\n".join(f".BR {roff(page.partition('(')[0])} ({page.partition('(')[2]}{',' if page != ordered[-1] else ''}"
                     for page in ordered)


def _sentence(text: str) -> str:
    text = text.strip()
    if any(sign in text.split(" ")[0] for sign in "(./_"):       # openlog(3), xinetd.d
        return text + ("" if text.endswith(".") else ".")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) else ".")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")
