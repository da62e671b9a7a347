"""The Debian package of this checkout, and the same under the number of a later version."""

import re
import shutil
import subprocess

from tests.live import machine
from tests.live.launchers import ROOT

OURS = ("Makefile", "README.md", "LICENSE", "setup.cfg", "pyproject.toml", "daemons", "packaging", "debian")


def build(folder):
    """Build the Debian package of this checkout below `folder`; returns its path."""
    machine.program("dpkg-buildpackage", "dpkg-dev")
    source = folder / "source"
    source.mkdir()
    for name in OURS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, source / name)
    done = subprocess.run(["make", "deb"], cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = (source / "dist").glob("*.deb")
    return package


def renumbered(package, folder, version="999"):
    """Build a package that differs in its version alone; returns its path."""
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder / "tree"], check=True)
    _replace(folder / "tree/DEBIAN/control", r"^Version: .*$", f"Version: {version}")
    _replace(folder / "tree/usr/lib/fd0/daemons/__init__.py", r'__version__ = ".*"', f'__version__ = "{version}"')
    path = folder / f"fd0_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder / "tree", path], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def _replace(file, pattern, text):
    file.write_text(re.sub(pattern, text, file.read_text(), flags=re.MULTILINE))
