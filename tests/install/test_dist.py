"""make dist: a wheel and an sdist that install and run."""

import os
import subprocess
import sys
import tarfile

import pytest

import daemons
from daemons.tools import programs
from tests.live import machine
from tests.sources import ROOT

SOURCES = ("daemons", "packaging", "debian", "systemd", "xinetd.d", "docs", "bench", ".ci", "tests/live", "Makefile",
           "MANIFEST.in", "README.md", "LICENSE", "setup.cfg", "pyproject.toml")
BUILD = "from setuptools import build_meta as b; print(b.build_sdist('dist')); print(b.build_wheel('dist'))"


def build(folder):
    """Build both in a directory of sources, as `make dist` does; their names."""
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as file:
        assert "b.build_sdist(" in file.read()
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    names = [line for line in done.stdout.splitlines() if line.startswith("fd0-") and " " not in line]
    assert names == [f"fd0-{daemons.__version__}.tar.gz", f"fd0-{daemons.__version__}-py3-none-any.whl"]
    return [os.path.join(folder, "dist", name) for name in names]


def run(library, *command, **popen):
    """What a program of an installed library prints."""
    return subprocess.run([sys.executable, *command], cwd="/", env={"PYTHONPATH": library, "PATH": machine.SYSTEM_PATH},
                          capture_output=True, text=True, timeout=60, **popen)


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """(sdist, wheel)"""
    version = subprocess.run([sys.executable, "-c", "import setuptools; print(setuptools.__version__)"],
                             capture_output=True, text=True, timeout=60).stdout
    if tuple(map(int, version.split(".")[:2] or [0])) < (70, 1):
        machine.unavailable("setuptools 70.1 or newer: pip install -U setuptools")
    folder = tmp_path_factory.mktemp("sources")
    copied = subprocess.run(["tar", "-cf", "-", "--exclude=__pycache__", *SOURCES], cwd=ROOT, check=True,
                            capture_output=True, timeout=60).stdout
    subprocess.run(["tar", "-xf", "-"], cwd=folder, input=copied, check=True, timeout=60)
    return build(folder)


def works(wheel, folder):
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, f"--target={folder}", wheel], check=True, timeout=120)
    listed = run(folder, "-m", "daemons.tools", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == programs.names()
    assert run(folder, "-m", "daemons.echod", input="hello").stdout == "hello"
    assert run(folder, os.path.join(folder, "bin/fd0"), "--version").stdout == f"fd0 {daemons.__version__}\n"


def test_the_wheel_installs_and_runs(dist, tmp_path):
    works(dist[1], str(tmp_path / "library"))


def test_the_sdist_has_all_that_building_and_installing_need(dist, tmp_path):
    with tarfile.open(dist[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    sources = tmp_path / f"fd0-{daemons.__version__}"
    _, wheel = build(sources)
    works(wheel, str(tmp_path / "library"))
    done = subprocess.run(["make", "install", f"DESTDIR={tmp_path}/tree", f"PYTHON={sys.executable}", "COMPILE=no"],
                          cwd=sources, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and (tmp_path / "tree/usr/local/lib/fd0/echod").exists()
    assert (sources / "debian/rules").exists() and os.access(sources / ".ci/run", os.X_OK)
