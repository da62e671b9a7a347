"""Programs as methods: what they are given, what their output means, and how they fail."""

import json
import os
from datetime import datetime

import pytest

from daemons.web.executables import executables
from daemons.web.methods import Caller, Limits, Registry
from daemons.wire import faults
from daemons.wire.faults import Fault


@pytest.fixture
def folder(tmp_path):
    """write(name, text, mode) puts a file into a folder; str() of it is the path."""
    class Folder:
        def __str__(self):
            return str(tmp_path)

        def write(self, name, text, mode=0o755):
            path = tmp_path / name
            path.write_text(text)
            path.chmod(mode)
            return path

        def registry(self, **limits):
            found = Registry()
            found.add(executables(str(tmp_path), Limits(**limits) if limits else None))
            return found

        def call(self, name, params=(), **limits):
            return self.registry(**limits).call(name, list(params), Caller("ann", "192.0.2.7"))
    return Folder()


def test_which_files_are_methods(folder):
    folder.write("disk.free", "#!/bin/sh\n")
    folder.write("disk.free.help", "Octets that are free.\n")
    folder.write("README", "text", 0o644)
    for name in (".hidden", "old.bak", "a.dpkg-old", "a~", "b c", "_a", "x.help"):
        folder.write(name, "#!/bin/sh\n")
    os.mkdir(f"{folder}/folder")
    os.symlink("/nowhere", f"{folder}/dangling")
    os.symlink("disk.free", f"{folder}/linked")
    methods = executables(str(folder))
    assert [(one.name, one.help) for one in methods] == [("disk.free", "Octets that are free."), ("linked", "")]
    assert methods[0].signatures == [] and str(methods[0].signature) == "(...)"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_file_that_others_may_write_stops_the_start(folder, mode):
    folder.write("a", "#!/bin/sh\n", mode)
    with pytest.raises(ValueError, match="chmod go-w"):
        executables(str(folder))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        executables(str(tmp_path / "nowhere"))


def test_what_a_program_gets(folder):
    folder.write("a.b", "#!/bin/sh\ncat; echo $FD0_METHOD,$REMOTE_USER,$REMOTE_ADDR,$HOME\n")
    given, words, _ = folder.call("a.b", [1, "é\n$(id)", [True, 2.5],
    {"a": b"x"}, datetime(2026, 1, 2)]).split("\n") + [""]
    assert json.loads(given) == [1, "é\n$(id)", [True, 2.5], {"a": "eA=="}, "2026-01-02T00:00:00"]
    assert words == "a.b,ann,192.0.2.7,"
    assert folder.registry().call("a.b", {"x": 1}).startswith('{"x":1}\n')


@pytest.mark.parametrize("printed, value", [
    ("5", 5), ('{"a": [1, null]}\\n', {"a": [1, None]}), ("null", None), ("text\\n", "text"), ("a\\n\\n", "a\n"),
    ("", ""),
    ("\\303\\251", "é"), ("\\377\\000", b"\xff\0"), ("NaN", "NaN"), ("[1,", "[1,"), ('"x"', "x"), ("1 2", "1 2")])
def test_what_it_prints_is_its_value(folder, printed, value):
    folder.write("a", f"#!/bin/sh\nprintf '{printed}'\n")
    found = folder.call("a")
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text, why", [
    ("#!/bin/sh\necho told; exit 3\n", "a: exit status 3"), ("#!/bin/sh\nkill -SEGV $$\n", "a: ended by SIGSEGV"),
    ("#!/nowhere/sh\n", "a: No such file or directory"), ("#!/bin/sh\nyes\n", "a: printed more than 100000 octets"),
    ("#!/bin/sh\nsleep 60\n", "a: took too long")])
def test_how_it_fails(folder, text, why):
    folder.write("a", text)
    with pytest.raises(Fault) as fault:
        folder.call("a", seconds=1.0 if "sleep" in text else 20.0, octets=100_000)
    assert (fault.value.code, fault.value.string) == (faults.APPLICATION_ERROR, why)
    assert str(folder) not in fault.value.string


def test_what_it_complains_of_goes_to_the_log(folder, capfd):
    folder.write("a", "#!/bin/sh\necho trouble >&2\nexit 1\n")
    with pytest.raises(Fault, match="exit status 1") as fault:
        folder.call("a")
    assert capfd.readouterr().err == "trouble\n" and "trouble" not in fault.value.string


def test_parameters_of_any_size_that_nobody_reads(folder):
    folder.write("deaf", "#!/bin/sh\necho done\n")
    folder.write("reader", "#!/bin/sh\nwc -c\n")
    folder.write("echo", "#!/bin/sh\ncat\n")
    text = "x" * 3_000_000
    assert folder.call("deaf", [text]) == "done"
    assert folder.call("reader", [text]) == len(text) + 5
    assert folder.call("echo", [text], octets=1 << 23) == [text]
