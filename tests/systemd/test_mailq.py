"""mailq under a real systemd: put in place, a mail on its way through the queue, restarts, and what it may do."""

import pytest

from tests.live import machine

UNIT = "fd0-mailq.service"
AS_FD0 = ("runuser", "-u", "fd0", "--")


@pytest.fixture(scope="module", autouse=True)
def placed(box):
    """An account, and mailq as an administrator puts it in place."""
    if box.run("/usr/bin/python3", "-c", "import dns.resolver", check=False).returncode:
        machine.unavailable("python3-dnspython is not installed")
    box.run(*AS_FD0, "sh", "-c", "echo a password | fd0 user add ann@example.org --password-stdin")
    done = box.run("fd0", "enable", "mailq", "--with=systemd", "--set", "hostname=mx.example.org", "--set", "retry=1")
    assert "fd0 queue list" in done.stdout and "journalctl -t mailq" in done.stdout
    assert box.run("systemctl", "is-active", UNIT).stdout == "active\n"


def queue(box, address):
    """Hand it a mail, as a local program does."""
    box.run(*AS_FD0, "sh", "-c", f"printf 'Subject: hello\\n\\nText.\\n' | fd0 sendmail -f bob@example.net {address}")


def inbox(box):
    folder = box.root / "var/lib/fd0/mail/example.org/ann/new"
    return list(folder.iterdir()) if folder.exists() else []


def listed(box):
    return box.run("fd0", "queue", "list").stdout


def test_a_mail_comes_to_its_mailbox(box):
    before = len(inbox(box))
    queue(box, "ann@example.org")
    machine.until(lambda: len(inbox(box)) > before, 60, "mail in the mailbox")
    machine.until(lambda: "bob@example.net" not in listed(box), 60, "end of the mail in the queue")
    assert any(line.startswith("sent ") and "to=ann@example.org" in line for line in box.journal("-t", "mailq"))


def test_what_cannot_be_delivered_yet_is_explained(box):
    queue(box, "'eve@[127.0.0.2]'")
    machine.until(lambda: any(line.startswith("deferred ") for line in box.journal("-t", "mailq")), 60, "an attempt")
    id = listed(box).splitlines()[1].split()[0]
    told = box.run("fd0", "queue", "explain", id).stdout
    assert "eve@[127.0.0.2]" in told and "no connection" in told
    box.run("fd0", "queue", "delete", id)


def test_it_is_closed_in_twice(box):
    (line,) = [line for line in box.journal("-u", UNIT) if line.startswith("start ")][-1:]
    assert " via=systemd " in line and " sandbox=" in line and "sandbox=off" not in line
    assert not [line for line in box.journal("-u", UNIT) if line.startswith("unprotected ") and "refused" in line]


@pytest.mark.parametrize("verb", ["restart", "reload", "kill --signal=KILL --kill-whom=main", "kill --signal=KILL"])
def test_it_goes_on_after(box, verb):
    """What comes meanwhile waits, and nothing is lost."""
    before = len(inbox(box))
    box.run("systemctl", *verb.split(), UNIT)
    queue(box, "ann@example.org")
    machine.until(lambda: len(inbox(box)) > before, 60, "mail in the mailbox")
    assert not box.run("systemctl", "--failed", "--plain", "--no-legend").stdout


def test_a_wrong_option_ends_it_for_good(box):
    file = box.root / "etc/fd0/mailq.conf"
    text = file.read_text()
    file.write_text(text + "smarthost = a:b\n")
    assert box.run("systemctl", "restart", UNIT, check=False).returncode != 0
    assert box.run("systemctl", "is-active", UNIT, check=False).stdout.strip() in ("failed", "inactive")
    file.write_text(text)
    box.run("systemctl", "reset-failed", UNIT, check=False)
    box.run("systemctl", "start", UNIT)


def test_it_is_taken_away(box):
    box.run("fd0", "disable", "mailq")
    assert box.run("systemctl", "is-active", UNIT, check=False).stdout == "inactive\n"
    assert not (box.root / "etc/systemd/system/multi-user.target.wants/fd0-mailq.service").is_symlink()
