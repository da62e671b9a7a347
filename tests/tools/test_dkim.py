"""fd0 dkim: a key, and the record that tells of it."""

import os
import re
import stat

import pytest

from daemons.tools.__main__ import main
from daemons.wire import dkimtexts


@pytest.mark.parametrize("kind, algorithm", [("rsa", dkimtexts.RSA), ("ed25519", dkimtexts.ED25519)])
def test_a_key_and_its_record(tmp_path, capsys, kind, algorithm):
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    assert main(["dkim", "Example.org", "mail2026", "--key", kind, "--to", str(tmp_path)]) == 0
    told, path = capsys.readouterr().out, tmp_path / "example.org.mail2026.key"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    pem = path.read_bytes()
    assert dkimtexts.key_of(pem)[0] == algorithm
    public = serialization.load_pem_private_key(pem, None).public_key()
    octets = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo) \
        if kind == "rsa" else public.public_bytes_raw()
    line, = [line for line in told.split("\n") if "IN TXT" in line]
    assert line.startswith("mail2026._domainkey.example.org. IN TXT ( ")
    assert "".join(re.findall('"([^"]*)"', line)) == dkimtexts.record(algorithm, octets)
    found, = dkimtexts.lines(told.rstrip("\n").rpartition("\n")[2])
    assert (found.domain, found.selector, found.path) == ("example.org", "mail2026", str(path))


def test_no_key_is_written_over(tmp_path, capsys):
    pytest.importorskip("cryptography")
    path = tmp_path / "a.test.s.key"
    path.write_text("there")
    assert main(["dkim", "a.test", "s", "--to", str(tmp_path)]) == 100
    assert path.read_text() == "there" and "File exists" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("a..b", "s"), ("a.test", "s/../x"), ("a.test", "")])
def test_what_is_no_name_is_refused(tmp_path, capsys, words):
    assert main(["dkim", *words, "--to", str(tmp_path)]) == 100
    assert os.listdir(tmp_path) == [] and capsys.readouterr().err.startswith("fd0 dkim: ")
