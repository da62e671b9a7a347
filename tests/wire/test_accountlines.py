"""Lines of an import: what is read, and what is told of the rest."""

import pytest

from daemons.wire.accountlines import check_hash, is_crypt, parse_line

SCRYPT = "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + "A" * 43
SHA512 = "$6$saltsalt$" + "x" * 86
BCRYPT = "$2y$10$" + "y" * 53


@pytest.mark.parametrize("line, name, hash", [
    (f"alice@Example.org:{SCRYPT}", "alice@example.org", SCRYPT),
    (f"alice:{SCRYPT}:realm=Our files:MD5={'0' * 32}", "alice", SCRYPT),
    (f"bob:{SHA512}:19700:0:99999:7:::", "bob", SHA512), (f"bob:{BCRYPT}", "bob", BCRYPT),
    (f"carol@x:{{SHA512-CRYPT}}{SHA512}:1000:1000::/home/c::", "carol@x", SHA512),
    (f"d@x:{{crypt}}{BCRYPT}", "d@x", BCRYPT),
    ("e@x:$6$rounds=5000$salt$" + "x" * 86, "e@x", "$6$rounds=5000$salt$" + "x" * 86),
    ("f@x:$y$j9T$saltsalt$" + "z" * 43, "f@x", "$y$j9T$saltsalt$" + "z" * 43)])
def test_names_and_hashes(line, name, hash):
    found = parse_line(line.encode())
    assert (found.name, found.hash, found.password) == (name, hash, None)
    assert is_crypt(hash) is not hash.startswith("$scrypt$")


def test_names_and_passwords():
    found = parse_line("Dave@x\tcorrect: horse\u0301".encode())
    assert (found.name, found.hash, found.password) == ("dave@x", None, "correct: hors\u00e9".encode())


@pytest.mark.parametrize("line, said", [
    (b"alice", "neither NAME:HASH nor NAME<TAB>PASSWORD"),
    (b"alice:", "has no password"), (b"alice:!", "has no password"),
    (b"alice:*:1::", "has no password"), (b"alice:x:1:1::", "has no password"), (b"alice:secret", "of an unknown kind"),
    (b"alice:{PLAIN}secret", "of an unknown kind"), (b"alice:{SSHA}secret", "of an unknown kind"),
    (b"alice:{secret", "of an unknown kind"), (b"alice:$9$secret$secret", "of an unknown kind"),
    (b"alice:$6$secret", "not as crypt"), (b"alice:$6$secret$\xc3\xa9", "not as crypt"),
    (b"alice:$6$secret$", "not as crypt"),
    (b"alice:$6$rounds=9999999$secret$secret", "more than 1000000 rounds"),
    (b"alice:$6$rounds=secret$secret$secret", "more than 1000000 rounds"),
    (b"alice:$2b$31$secret", "bcrypt of a cost above 15"),
    (b"alice:$scrypt$secret", "after the name comes"), (b"alice:\xff", "not UTF-8"), (b"\xff:x", "not UTF-8"),
    (b"\xff\tsecret", "not UTF-8"), (b"alice\t", "a password has 1 to"),
    (b"alice\tsecret\x01", "no control characters"),
    (b"alice\tsecret\tsecret", "no control characters"), (b"a@b@c\tsecret", "cannot be an account"),
    (b":secret", "cannot be a name"), (b"\tsecret", "cannot be a name"), (b"", "neither")])
def test_what_is_none_is_told_without_its_secret(line, said):
    with pytest.raises(ValueError, match=said) as error:
        parse_line(line)
    assert "secret" not in str(error.value)


def test_the_marks_of_dovecot_go():
    assert check_hash("{BLF-CRYPT}" + BCRYPT) == BCRYPT
