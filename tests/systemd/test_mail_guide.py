"""fd0-mail(7), typed command by command on a machine with the package: at the end it is a mail server."""

import re

import pytest

from daemons.tools import mailguide
from tests.live import machine

PASSWORD = "correct-horse"
ALIASES = "mailer-daemon: postmaster\nroot: ann\n"
# commands that ask at a terminal, or are to be typed elsewhere
ASK = "fd0 user add "
SEE_550 = "--to eve@example.com"


def typed():
    """All commands of the page, in order; records of a zone are none."""
    found = []
    for paragraph in mailguide.TEXT.split("\n\n"):
        if paragraph.startswith("    "):
            text = re.sub(r" \\\n +", " ", paragraph)
            found += [line.strip() for line in text.splitlines() if not re.search(r"  (MX|A|TXT) ", line)]
    return found


@pytest.fixture(scope="module")
def place(box):
    """What the page takes for granted: names, and what the old server has left."""
    for module in ("dns", "dkim", "cryptography"):
        if box.run("/usr/bin/python3", "-c", f"import {module}", check=False).returncode:
            machine.unavailable(f"python3-{module} is not installed")
    with open(box.root / "etc/hosts", "a") as file:
        file.write("127.0.0.1 mx.example.org\n")
    (box.root / "etc/aliases").write_text(ALIASES)
    (box.root / "root/dovecot.passwd").write_text(
        "carol@example.org:{SHA512-CRYPT}" + box.run("openssl", "passwd", "-6", PASSWORD).stdout)
    box.run("sh", "-c", "mkdir -p /home/ann/Maildir/new /home/ann/Maildir/cur /home/ann/Maildir/tmp /work-here && "
                        "printf 'Subject: old\\n\\nx\\n' > /home/ann/Maildir/new/1.x.y")
    return box


def type_in(box, line):
    """Type it in a folder of its own; returns the CompletedProcess."""
    line = line.replace("PASSWORD", PASSWORD)
    if line.startswith(ASK):
        line = f"echo {PASSWORD} | {line} --password-stdin"
    if SEE_550 in line:                 # from an address that may not send mail elsewhere
        line += " --local-interface 127.0.0.9"
    return box.run("sh", "-c", f"cd /work-here && {line}", check=False)


def test_the_page_makes_a_mail_server(place):
    box, read = place, ""
    for line in typed():
        if line.startswith("install ") and "privkey" in line:
            box.run("sh", "-c", "cp /etc/fd0/tls/mx.example.org.key /work-here/privkey.pem && "
                                "cp /etc/fd0/tls/mx.example.org.pem /work-here/fullchain.pem")
        if line.startswith("curl "):
            machine.until(lambda line=line: "eve@example.net" in type_in(box, line.replace("/1 ", "/2 ")).stdout, 30,
                          "the mail in the mailbox")
        done = type_in(box, line)
        if SEE_550 in line:
            assert done.returncode != 0 and "550 5.7.1" in done.stdout, done.stdout
            continue
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        if line.startswith("curl "):
            read = done.stdout
        if line.startswith("fd0 disable"):
            states = box.run("systemctl", "is-active", "fd0-mailq.service", "fd0-smtpd.socket", check=False).stdout
            assert states.split() == ["inactive"] * 2
    assert "Subject: old" in read
    mails = [path.read_bytes() for path in (box.root / "var/lib/fd0/mail/example.org/bob/new").iterdir()]
    assert len(mails) == 1 and b"DKIM-Signature:" in mails[0] and b"ESMTPSA" in mails[0]
    assert "carol@example.org" in box.run("fd0", "user", "list").stdout
    assert "root@example.org -> ann@example.org" in box.run("fd0", "user", "alias", "list").stdout


def test_programs_hand_in_mail_by_the_link(place):
    """After the page: root's mail goes into the queue, as the last step has ended the servers."""
    place.run("sh", "-c", "printf 'Subject: x\\n\\ny\\n' | sendmail -f ann@example.org bob@example.org")
    assert "bob@example.org" in place.run("/usr/sbin/sendmail", "-bp").stdout
    owners = place.run("sh", "-c", "stat -c %U /var/spool/fd0/mail/* /var/lib/fd0/accounts.db").stdout
    assert set(owners.split()) == {"fd0"}
