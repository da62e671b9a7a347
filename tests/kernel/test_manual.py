"""Manual pages: made from the declarations, complete, and without a fault that man or mandoc would see."""

import re
import subprocess

import pytest

import daemons
from daemons.kernel import log, manual
from daemons.kernel.options import known
from daemons.kernel.service import Event, Option, Service
from daemons.kernel.values import choice
from daemons.tools import manual as pages
from daemons.tools import programs
from daemons.tools.__main__ import COMMANDS
from tests.live import machine

SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EVENTS", "FILES", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES",
            "SEE ALSO", "STANDARDS"]
SERVICES = programs.services()
# every character that means something to roff, at the places where it would
NASTY = ".so /etc/passwd 'x \\n(xx \"y\" - ` ~ ^ % \\"
ODD = Service("oddd", about=f"Be {NASTY}", port=4242, secure_port=4243, sockets=("stream", "dgram"), rfcs=(1, 2),
              reads=("/x-y", "--file"), writes=("/var/lib/fd0",), description=f"{NASTY}\n\n'two\n\n.three. Four.",
              options=(Option("file", choice(*(f"a-very-long-word-{n}" for n in range(20))), "a-very-long-word-1",
                              NASTY),),
              events=(Event("odd", "err", "a b", NASTY),), examples=(NASTY, ".x"))
PAGES = {**pages.pages(), "man8/fd0-oddd.8": manual.program(ODD, "1", "2026-01-01")}

each = pytest.mark.parametrize("name", PAGES)


def shown(text):
    """A page as a reader sees it, in lines that are never broken."""
    done = subprocess.run([machine.program("man", "man-db"), "-l", "-"], input=text, capture_output=True, text=True,
                          timeout=60, env={"MANWIDTH": "1000", "LC_ALL": "C.UTF-8", "PATH": machine.SYSTEM_PATH,
                                           "MAN_KEEP_FORMATTING": "", "MANROFFOPT": "-rHY=0"})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@each
def test_mandoc_finds_nothing(name):
    done = subprocess.run([machine.program("mandoc", "mandoc"), "-T", "lint"], input=PAGES[name], capture_output=True,
                          text=True, timeout=60)
    assert done.stdout + done.stderr == ""


@each
@pytest.mark.parametrize("width", ["60", "80"])
def test_groff_warns_of_nothing(name, width):
    done = subprocess.run([machine.program("man", "man-db"), "--warnings", "-l", "-"], input=PAGES[name], text=True,
                          capture_output=True, timeout=60,
                          env={"MANWIDTH": width, "LC_ALL": "C.UTF-8", "PATH": machine.SYSTEM_PATH})
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


@pytest.mark.parametrize("service", [*SERVICES, ODD], ids=lambda service: service.name)
def test_a_programs_page_has_every_section_option_event_and_file(service):
    source = PAGES[f"man8/{manual.page_name(service)}.8"]
    own = re.findall(r"^# (.*)", service.description, re.MULTILINE)
    at = SECTIONS.index("OPTIONS")
    assert re.findall(r"^\.SH (.*)", source, re.MULTILINE) == [*SECTIONS[:at], *own, *SECTIONS[at:]]
    page = shown(source)
    assert f"{manual.page_name(service)} - " in page
    for name in known(service):
        assert len(re.findall(rf"^ +--{name}=", page, re.MULTILINE)) == 1, name
    for event in (*service.events, *log.EVENTS):
        assert re.search(rf"^ +{re.escape(event.name)} \((error|{event.priority})\)$", page, re.MULTILINE), event.name
    for text in (f"/etc/fd0/{service.name}.conf", *service.reads, *service.writes,
                 *(f"RFC {number}" for number in service.rfcs)):
        assert text in page
    for example in service.examples:
        assert example in page


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_program_says_more_of_itself_than_a_line(service):
    assert len(service.description.split()) > 30
    text = re.sub(r"^    .*$", "", service.description, flags=re.MULTILINE)      # what is typed may be for fd0
    for option in re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text):
        assert option in known(service) or option in ("set",), f"--{option} is no option"


def test_what_a_declaration_says_is_shown_as_it_stands():
    page = shown(PAGES["man8/fd0-oddd.8"])
    assert f"       {NASTY}\n" in page and "       'two\n" in page and "       .three." in page
    assert "TCP port 4242 and UDP port 4242 and TCP port 4243 under TLS" in page


def test_the_commands_page_has_every_command_with_its_options():
    page = shown(PAGES["man1/fd0.1"])
    assert re.findall(r"^   fd0 (\w+)", page, re.MULTILINE) == list(COMMANDS)
    assert "--with=xinetd|systemd|inetd" in page and "fd0 enable echod --with=xinetd" in page
    assert all(f"fd0-{service.name}(8)" in page for service in SERVICES)


def test_the_page_of_option_files_has_every_general_option():
    page = shown(PAGES["man5/fd0.conf.5"])
    for name in known(SERVICES[0]).keys() - {option.name for option in SERVICES[0].options}:
        assert re.search(rf"^ +--{name}=", page, re.MULTILINE), name


def test_pages_are_written_where_man_finds_them(tmp_path):
    assert pages.main([f"--to={tmp_path}"]) == 0
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.?")} == set(pages.pages())
    head = (tmp_path / "man8/fd0-echod.8").read_text().splitlines()[1]
    assert head == f'.TH FD0\\-ECHOD 8 {daemons.__date__} "fd0 {daemons.__version__}" "fd0"'
