"""Options: four places, the first that speaks wins, and whatever is wrong says where it stands."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kernel import options
from daemons.kernel.options import Misuse, help_page, known, read
from daemons.kernel.service import Option, Service
from daemons.kernel.values import choice, size
from daemons.tools import programs

SERVICE = Service("exampled", about="Be an example.", facility="mail", port=7, defaults=(("timeout", "5m"),),
                  options=(Option("most", size, None, "octets"),
                           Option("colour", choice("red", "green"), "red", "hue")))
ALONE = Service("workerd", about="Serve nobody.", sockets=(), operands="FILE")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty /etc/fd0."""
    monkeypatch.setattr(options, "FOLDER", str(tmp_path))
    return tmp_path


def misuse(*arguments, environ=(), service=SERVICE):
    with pytest.raises(Misuse) as wrong:
        read(service, arguments, dict(environ))
    return str(wrong.value)


# -- who wins --

@pytest.mark.parametrize("silent, won", list(enumerate([1, 2, 3, 4, 30])))
def test_the_first_place_that_speaks_wins(folder, silent, won):
    arguments, environ = ["--grace=1"], {"FD0_EXAMPLED_GRACE": "2"}
    program, common = folder / "exampled.conf", folder / "common.conf"
    program.write_text("grace = 3\n")
    common.write_text("grace = 4\n")
    for silence in (arguments.clear, environ.clear, program.unlink, common.unlink)[:silent]:
        silence()
    found = read(SERVICE, arguments, environ)
    assert found.grace == won
    assert found.sources.get("grace") == [
        "command line", "environment, FD0_EXAMPLED_GRACE", f"{program}:1", f"{common}:1", None][silent]


def test_of_two_in_one_place_the_last_wins(folder):
    (folder / "exampled.conf").write_text("grace = 3\nmost = 1\nmost = 2K\ngrace = 4\n")
    assert read(SERVICE, ["--grace=1", "--idle=9", "--grace", "2"], {}).grace == 2
    found = read(SERVICE, [], {})
    assert (found.grace, found.most) == (4, 2048)
    assert found.sources["most"] == f"{folder}/exampled.conf:3"


def test_config_is_read_instead_of_the_files_in_their_folder(folder):
    (folder / "exampled.conf").write_text("grace = 3\n")
    (folder / "other").write_text("max = 4\n")
    found = read(SERVICE, [f"--config={folder}/other"], {})
    assert (found.grace, found.max) == (30, 4)
    assert "no such file" in misuse(f"--config={folder}/missing")


def test_defaults_are_those_of_the_declaration():
    found = read(SERVICE, [], {})
    assert (found.timeout, found.facility, found.ident, found.colour) == (300, "mail", "exampled", "red")
    assert found.most is None and found.sources == {}


# -- how it is spelt --

def test_two_spellings_of_a_value():
    assert read(SERVICE, ["--colour=green"], {}).colour == read(SERVICE, ["--colour", "green"], {}).colour == "green"
    assert read(SERVICE, ["--ident", "--log"], {}).ident == "--log"
    assert read(SERVICE, ["--ident=a=b"], {}).ident == "a=b"
    assert misuse("--colour") == "command line: --colour needs a value"


@pytest.mark.parametrize("arguments, names", [
    (["--names"], True), (["--names", "no"], False), (["--names", "yes"], True), (["--names=no"], False),
    (["--names", "--max=5"], True), ([], False)])
def test_a_switch_that_stands_alone_means_yes(arguments, names):
    assert read(SERVICE, arguments, {}).names is names


def test_lines_of_a_file(folder):
    (folder / "exampled.conf").write_bytes(b"# \xff comment\r\n\n  most=1K\r\n\tident =  two words # and more \n")
    found = read(SERVICE, [], {})
    assert (found.most, found.ident) == (1024, "two words # and more")


def test_an_operand_needs_a_program_that_takes_one():
    assert read(ALONE, ["file", "--grace=1"], {}).operands == ["file"]
    assert "'file' is not an option" in misuse("file")
    assert "'-x' is not an option" in misuse("-x")


@pytest.mark.parametrize("word, action", [("--help", "help"), ("-h", "help"), ("-?", "help"), ("--version", "version"),
                                          ("--check", "check"), ("--explain", "explain")])
def test_actions(word, action):
    assert read(SERVICE, [word], {}).action == action


# -- what is wrong --

def test_an_unknown_name_is_told_from_each_place_with_the_nearest(folder):
    program, common = folder / "exampled.conf", folder / "common.conf"
    assert misuse("--colur=red") == "command line: no option --colur (did you mean --colour?)"
    assert misuse("--hepl") == "command line: no option --hepl (did you mean --help?)"
    assert misuse(environ={"FD0_EXAMPLED_COLUR": "red"}) == \
        "environment: FD0_EXAMPLED_COLUR: no option colur (did you mean colour?)"
    common.write_text("\n\ngarce = 5\n")
    assert misuse() == f"{common}:3: no option garce (did you mean grace?)"
    program.write_text("# x\ncolur = red\n")
    assert misuse() == f"{program}:2: no option colur (did you mean colour?)"
    assert misuse("--zzzzzz=1").endswith("; see --help")


def test_an_option_of_one_program_does_not_belong_to_all(folder):
    (folder / "common.conf").write_text("most = 5\n")
    assert misuse().startswith(f"{folder}/common.conf:1: most is not an option of every program")


def test_what_all_share_may_concern_some_only(folder):
    (folder / "common.conf").write_text("idle = 5m\ngrace = 7\n")
    assert read(ALONE, [], {}).grace == 7


def test_other_programs_variables_are_not_ours():
    assert read(SERVICE, [], {"FD0_ECHOD_NONSENSE": "1", "GRACE": "x", "FD0_EXAMPLE_X": ""}).grace == 30


def test_a_bad_value_is_told_from_each_place(folder):
    assert misuse("--most=many") == "command line: most: not a size: 'many' (write 4096, 64K, 10M or 1G)"
    assert misuse(environ={"FD0_EXAMPLED_MOST": ""}) == \
        "environment, FD0_EXAMPLED_MOST: most: not a size: '' (write 4096, 64K, 10M or 1G)"
    assert "colour: must be one of red, green; not 'blue'" in misuse("--colour=blue")
    assert "log: must be syslog" in misuse("--log=file")
    (folder / "exampled.conf").write_text("\nmost = -1\n")
    assert misuse() == f"{folder}/exampled.conf:2: most: not a size: '-1' (write 4096, 64K, 10M or 1G)"
    (folder / "exampled.conf").write_text("most 5\n")
    assert misuse() == f"{folder}/exampled.conf:1: not a line of the form name = value: 'most 5'"


def test_a_file_that_cannot_be_read_stops_the_start(folder):
    (folder / "exampled.conf").mkdir()
    assert misuse() == f"{folder}/exampled.conf: Is a directory"
    (folder / "loop").symlink_to("loop")
    assert misuse(f"--config={folder}/loop") == f"{folder}/loop: Too many levels of symbolic links"


def test_a_file_that_anybody_may_write_is_not_believed(folder):
    file = folder / "common.conf"
    file.write_text("grace = 4\n")
    file.chmod(0o646)
    assert misuse() == f"{file}: anybody may write to this file; say chmod o-w {file}"
    file.chmod(0o664)
    assert read(SERVICE, [], {}).grace == 4
    assert read(SERVICE, [f"--config={os.devnull}"], {}).grace == 30


@given(st.lists(st.one_of(st.text(), st.sampled_from([f"--{name}" for name in known(SERVICE)]),
                          st.builds("--{}={}".format, st.sampled_from(list(known(SERVICE))), st.text()))))
def test_any_command_line_is_read_or_refused_with_its_place(arguments):
    try:
        read(SERVICE, ["--config=/dev/null", *arguments, "--config=/dev/null"], {})
    except Misuse as error:
        assert str(error).startswith("command line: ")


# -- help --

@pytest.mark.parametrize("service", [SERVICE, ALONE, *programs.services()], ids=lambda service: service.name)
def test_help_names_each_option_once_and_fits_the_page(service, monkeypatch):
    monkeypatch.setattr(options, "FOLDER", "/etc/fd0")
    page = help_page(service)
    listed = re.findall(r"^  --([a-z0-9-]+)", page, re.MULTILINE)
    assert sorted(listed) == sorted([*known(service), *options.ACTIONS])
    assert max(map(len, page.splitlines())) <= 120
    assert page.isascii() and not re.search(r"[ \t]$", page, re.MULTILINE)


def test_help_shows_the_defaults_of_the_declaration():
    page = help_page(SERVICE)
    assert re.search(r"--timeout=seconds .*\[5m\]$", page, re.MULTILINE)
    assert re.search(r"--colour=red\|green .*\[red\]$", page, re.MULTILINE)
    assert re.search(r"--facility=.*\[mail\]$", page, re.MULTILINE)
