"""fd0 completion: what each shell offers, asked of the shells themselves."""

import re
import shutil
import subprocess

import pytest

from daemons.tools import arguments, completion, programs
from daemons.tools.__main__ import COMMANDS, main
from tests.live import machine

PARSERS = dict(arguments.every())
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
compopt() { :; }
_fd0
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """What bash would offer for a command line whose last word is being typed."""
    path = tmp_path_factory.mktemp("bash") / "fd0"
    path.write_text(completion.bash(PARSERS))

    def offer(*words):
        done = subprocess.run([machine.program("bash", "bash"), "--norc", "-c", ASK, "bash", path, *words],
                              capture_output=True, text=True, timeout=20, cwd="/")
        assert done.stderr == ""
        return done.stdout.split()
    return offer


def test_bash_offers_commands(bash):
    assert bash("fd0", "") == list(COMMANDS)
    assert bash("fd0", "en") == ["enable"]


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_offers_every_option_of_a_command(bash, command):
    options = {name.partition("=")[0] for name, _ in PARSERS[command].rows() if name.startswith("--")}
    assert {word.rstrip("=") for word in bash("fd0", command, "--")} == options | {"--help"}


def test_bash_offers_values(bash):
    assert bash("fd0", "enable", "ec") == ["echod"]
    assert bash("fd0", "enable", "echod", "--with", "=", "x") == ["xinetd"]
    assert bash("fd0", "enable", "echod", "--with", "=") == ["xinetd", "systemd", "inetd"]
    assert bash("fd0", "enable", "--root", "=", "/usr/sha") == ["/usr/share"]
    assert bash("fd0", "list", "") == [*programs.names(), "--help"]
    assert bash("fd0", "nonsense", "") == []


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_what_a_command_takes_beside_programs_is_offered(shell):
    assert re.search(r"\bxmlrpcd mail\b", completion.SHELLS[shell](PARSERS))
    assert len(re.findall(r"\bxmlrpcd mail\b", completion.SHELLS[shell](PARSERS))) == 1, "to up alone"


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_shells_understand_what_they_get(tmp_path, capsys, shell):
    assert main(["completion", shell]) == 0
    path = tmp_path / "fd0"
    path.write_text(capsys.readouterr().out)
    assert all(command in path.read_text() for command in COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish_offers_values(tmp_path):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    path = tmp_path / "fd0.fish"
    path.write_text(completion.fish(PARSERS))

    def offer(line):
        done = subprocess.run(["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"], text=True,
                              capture_output=True, timeout=20, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
        return [row.split("\t")[0] for row in done.stdout.splitlines()]
    assert offer("fd0 ena") == ["enable"]
    assert offer("fd0 enable ec") == ["echod"]
    assert offer("fd0 enable --with=sy") == ["--with=systemd"]
