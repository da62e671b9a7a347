"""The house: who may import whom, how long things may be, what is explained; held by reading the sources."""

import ast
import re
import subprocess
import sys

import pytest

from tests import sources

# floor -> what of daemons/ its files may import
FLOORS = {"daemons/kernel/": ("daemons.kernel",), "daemons/wire/": ("daemons.wire",),
          "daemons/stores/": ("daemons.stores", "daemons.wire"),
          "daemons/web/": ("daemons.web", "daemons.kernel", "daemons.wire", "daemons.stores"),
          "daemons/mail/": ("daemons.mail", "daemons.kernel", "daemons.wire", "daemons.stores"),
          "daemons/tools/": ("daemons",),
          "daemons/": ("daemons.web", "daemons.mail", "daemons.kernel", "daemons.wire", "daemons.stores")}
# floor -> what of the standard library is none of its business
NOT_THEIRS = {"daemons/wire/": {"os", "socket", "ssl", "select", "time", "subprocess", "signal", "syslog", "threading"},
              "daemons/stores/": {"socket", "ssl", "select", "signal", "syslog", "threading"},
              "daemons/web/": {"socket", "ssl", "select", "signal", "syslog", "threading"},
              "daemons/mail/": {"socket", "ssl", "select", "signal", "syslog", "threading"},
              "daemons/": {"socket", "ssl", "select", "signal", "syslog", "threading"}}
PAGE, FILE = 60, 600            # lines of a function, and of a file
CONTRACT = {"talk", "answer", "setup", "run"}       # what these do is told by the program's own first line
# what it is about has no other name, and nobody imports the standard library's abstract numbers
NAMED_LIKE_ANOTHER = {"daemons/wire/numbers.py"}
# declarations as files for launchers and readers
NEVER_LOADED = {"daemons/kernel/describe.py", "daemons/kernel/manual.py"}
# they wait for another process, whose state has no descriptor to wait for
MAY_SLEEP = {"tests/live/machine.py", "tests/live/processes.py"}


def floor(path):
    """The most exact floor that a file stands on."""
    return max((one for one in FLOORS if path.startswith(one)), key=len)


def is_within(name, package):
    return name == package or name.startswith(package + ".")


ours = pytest.mark.parametrize("path", sources.files("daemons"))


@ours
def test_no_import_runs_up(path):
    may = FLOORS[floor(path)]
    wrong = {name for name in sources.imports(path)
             if is_within(name, "daemons") and name != "daemons" and not any(is_within(name, one) for one in may)}
    assert wrong == set()


@ours
def test_nobody_minds_what_is_not_his_business(path):
    used = {name.partition(".")[0] for name in sources.imports(path)}
    assert used & NOT_THEIRS.get(floor(path), set()) == set()


@ours
def test_only_one_file_knows_tls(path):
    assert "ssl" not in sources.imports(path) or path in ("daemons/kernel/tls.py", "daemons/kernel/tlsclient.py")


@ours
def test_service_files_are_no_business_of_a_running_program(path):
    if path not in NEVER_LOADED and not path.startswith("daemons/tools/"):
        assert not {sources.module(one) for one in NEVER_LOADED} & sources.imports(path)


@ours
def test_a_file_is_named_after_its_idea(path):
    name = path.rpartition("/")[2].removesuffix(".py")
    assert name not in {"utils", "util", "common", "helpers", "helper", "misc", "base", "manager", "core", "lib"}
    if path not in NAMED_LIKE_ANOTHER and floor(path) in ("daemons/kernel/", "daemons/wire/", "daemons/stores/"):
        assert name not in sys.stdlib_module_names


@ours
def test_a_file_and_a_function_can_be_held_in_the_head(path):
    assert sources.text(path).count("\n") <= FILE
    long = [f"{node.name}: {node.end_lineno - node.lineno + 1}" for node in ast.walk(sources.tree(path))
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= PAGE]
    assert long == []


def public(node, of=""):
    """(name, node) of what a module or class shows to others."""
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.ClassDef) and not one.name.startswith("_"):
            yield f"{of}{one.name}", one
            if isinstance(one, ast.ClassDef):
                yield from public(one, f"{one.name}.")


@ours
def test_every_public_name_is_explained(path):
    tree = sources.tree(path)
    assert ast.get_docstring(tree)
    silent = [name for name, node in public(tree) if not ast.get_docstring(node)]
    assert [name for name in silent if not (name in CONTRACT and floor(path) == "daemons/")] == []


@pytest.mark.parametrize("path", sources.programs())
def test_a_program_ends_by_starting(path):
    last = ast.unparse(sources.tree(path).body[-1])
    assert re.fullmatch(r"if __name__ == '__main__':\n    main\(SERVICE(, \w+|, \w+=\w+)*\)", last)


IMPORT_ALL = """
import importlib, os, signal, sys, threading
def state():
    return (sorted(os.listdir("/proc/self/fd")), [signal.getsignal(number) for number in signal.valid_signals()],
            dict(os.environ), os.getcwd(), threading.active_count(), signal.pthread_sigmask(signal.SIG_BLOCK, ()),
            signal.getitimer(signal.ITIMER_REAL), sys.excepthook, sys.stdin, sys.stdout, sys.stderr)
before = state()
for name in sys.argv[1:]:
    importlib.import_module(name)
    if state() != before:
        print(name)
"""


def test_importing_has_no_effect():
    names = [sources.module(path) for path in sources.files("daemons")]
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, timeout=60,
                          cwd=sources.ROOT)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize("path", sources.files("tests"))
def test_no_test_sleeps(path):
    calls = [ast.unparse(node.func) for node in ast.walk(sources.tree(path)) if isinstance(node, ast.Call)]
    assert path in MAY_SLEEP or not {"time.sleep", "sleep", "signal.pause"} & set(calls)


def test_the_rules_see_something():
    assert sources.imports("daemons/echod.py") == {"daemons.kernel.serve", "daemons.kernel.service",
                                                   "daemons.kernel.values"}
    assert {"daemons.kernel.log", "daemons.kernel.service", "os"} <= sources.imports("daemons/kernel/options.py")
    assert len(sources.programs()) >= 8 and len(sources.files("daemons")) > 40
