"""The project's own source files, for tests that read them."""

import ast
import functools
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def files(folder):
    """The Python files below a folder, as paths from the project's root."""
    return sorted(os.path.relpath(os.path.join(place, name), ROOT) for place, _, names in
                  os.walk(os.path.join(ROOT, folder)) for name in names if name.endswith(".py"))


@functools.cache
def text(path):
    """What a file says."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


@functools.cache
def tree(path):
    """A file as its parser sees it."""
    return ast.parse(text(path), path)


def module(path):
    """daemons/kernel/log.py as daemons.kernel.log"""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@functools.cache
def imports(path):
    """The full names of all modules that a file imports anywhere, lazily or for its types too."""
    package = module(path).split(".")[:-1] if not path.endswith("__init__.py") else module(path).split(".")
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" if _is_module(f"{base}.{alias.name}") else base for alias in node.names}
    return found


def family(path):
    """The files of daemons/web and daemons/mail that a program stands on, itself or through another of them."""
    found, todo = set(), {path}
    while todo:
        names = set().union(*(imports(one) for one in todo))
        todo = {f"{name.replace('.', '/')}.py" for name in names
                if name.startswith(("daemons.web.", "daemons.mail."))} - found
        found |= todo
    return found


def _is_module(name):
    path = os.path.join(ROOT, *name.split("."))
    return os.path.isdir(path) or os.path.exists(f"{path}.py")


def programs():
    """The files of programs."""
    return [path for path in files("daemons") if path.count("/") == 1 and not path.endswith("__init__.py")]
