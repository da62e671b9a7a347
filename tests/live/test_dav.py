"""WebDAV as others' clients have it: litmus, which tests servers, and cadaver, which people use."""

import os
import re
import subprocess

import pytest

from tests.live.machine import program
from tests.serving import Serving

# what litmus asks of properties that clients make up, of which none is kept, and what builds on them
NOT_KEPT = {"propset", "propget", "propmove", "propdeletes", "propreplace", "propnullns", "prophighunicode",
            "propremoveset", "propsetremove", "propvalnspace", "propmanyns"}
SECONDS = 120


@pytest.fixture
def share(tmp_path):
    """A folder that is served at /share/ by a server whose `url` this is."""
    folder = tmp_path / "www" / "share"
    folder.mkdir(parents=True)
    (tmp_path / "sites").write_text(f"host 127.0.0.1\nroot {tmp_path / 'www'}\ndav /share/ write\n")
    with Serving("httpd", f"--vhosts={tmp_path / 'sites'}") as server:
        server.url = f"http://127.0.0.1:{server.port}/share/"
        server.folder = folder
        yield server
    assert server.events("crash") == []


def litmus(share, tmp_path, *suites):
    """{suite: {test: its outcome}} of what litmus finds."""
    done = subprocess.run([program("litmus", "litmus"), "-k", share.url], cwd=tmp_path, capture_output=True, text=True,
                          timeout=SECONDS, env={**os.environ, "TESTS": " ".join(suites)})
    found, suite = {}, None
    for line in re.split("[\r\n]+", done.stdout):
        if match := re.match(r"-> running `(\w+)'", line):
            suite = found[match[1]] = {}
        elif match := re.match(r" *(\d+)\. (\w+)\.+ (pass|FAIL|SKIPPED|WARNING)", line):
            suite[f"{match[2]} {match[1]}"] = match[3]
    assert set(found) == set(suites), done.stdout + done.stderr
    return found


@pytest.mark.parametrize(("suite", "count"), [("basic", 16), ("copymove", 13), ("http", 4)])
def test_litmus(share, tmp_path, suite, count):
    outcomes = litmus(share, tmp_path, suite)[suite]
    # it warns that there is no class 2
    assert [name for name, outcome in outcomes.items() if outcome not in ("pass", "WARNING")] == []
    assert len(outcomes) == count and list(outcomes.values()).count("WARNING") == (suite == "basic")


def test_litmus_finds_the_properties_that_we_have(share, tmp_path):
    outcomes = litmus(share, tmp_path, "props")["props"]
    failed = {name.partition(" ")[0] for name, outcome in outcomes.items() if outcome != "pass"}
    assert failed and failed <= NOT_KEPT
    assert {"propfind_invalid 2", "propfind_invalid2 3", "propfind_d0 4", "propextended 8", "propwformed 24"} <= {
        name for name, outcome in outcomes.items() if outcome == "pass"}


def test_cadaver(share, tmp_path):
    """What somebody types in an afternoon."""
    home = tmp_path / "home"
    home.mkdir()
    data = os.urandom(300_000)
    (home / "a file").write_bytes(data)
    said = ["mkcol one", "put 'a file'", "copy 'a file' one", "move one two", "ls two", "cd two",
            "get 'a file' back", "move 'a file' other", "ls", "cd ..", "delete 'a file'", "ls", "quit"]
    done = subprocess.run([program("cadaver", "cadaver"), share.url], cwd=home, input="\n".join(said) + "\n",
                          env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, timeout=SECONDS)
    assert done.stderr == "" and "failed" not in done.stdout
    assert (home / "back").read_bytes() == (share.folder / "two" / "other").read_bytes() == data
    assert os.listdir(share.folder) == ["two"] and re.search(r"Coll: +two", done.stdout)
