"""The last refusals of an address in the log, where the log can be read on this machine."""

import os
import re
import shutil
import subprocess

FILES = ("/var/log/syslog", "/var/log/messages", "/var/log/daemon.log", "/var/log/mail.log", "/var/log/auth.log")
JOURNALS = ("/run/log/journal", "/var/log/journal")
LAST = 4 << 20          # octets at the end of a file that are looked at
MOST = 5                # refusals that are shown
SECONDS = 20

# What stands before a line's text, from its beginning, since the text may quote what a peer made up:
#   Sep 21 14:13:20 host ident[pid]:            syslog's files, and the journal with a time of ISO 8601
#   <29>1 2026-09-21T14:13:20Z host ident pid - -      RFC 5424
#   26/9/21@14:13:20:                           xinetd's own file
BEFORE = (r"^(?:<\d+>)?(?:1 )?(?:\w{3} [ \d]\d [\d:]{8}|\d{4}-\S+) \S+ (?P<ident>[^\s\[:]+)"
          r"(?:(?:\[\d+\])?:| \S+ \S+ (?:-|\[[^\]]*\])) +")
OURS = re.compile(BEFORE + r"(?:refused |FAIL service=(?P<service>\S+) )(?:session=\w+ )?"
                           r"from=\[(?P<host>[^\]\s]+)\]:\d+ why=")
XINETDS = re.compile(rf"(?:{BEFORE}|^[\d/]+@[\d:]+ )FAIL: (?P<service>\S+) \S+ from=(?P<host>\S+)")


def last(program, idents, address, file=None):
    """(where it was looked, the last lines about refusals of this address, the latest last).

    program     as service entries call it; idents: as it is called in the log
    """
    looked, lines = [], []
    if file is None and shutil.which("journalctl") and any(map(os.path.isdir, JOURNALS)):
        looked.append("the journal")
        lines = [line for line in _journal() if _is_about(line, program, idents, address)]
        if lines:                       # the files would say the same again
            return looked, lines[-MOST:]
    for path in [file] if file else FILES:
        try:
            found = _tail(path)
        except FileNotFoundError:
            if file:
                raise
        except PermissionError:
            looked.append(f"{path} (which only others may read)")
        else:
            looked.append(path)
            lines += found
    return looked, [line for line in lines if _is_about(line, program, idents, address)][-MOST:]


def _journal():
    done = subprocess.run(["journalctl", "--no-pager", "--quiet", "--output=short-iso", "--lines=20000"], check=False,
                          capture_output=True, timeout=SECONDS)
    return done.stdout.decode("utf-8", "replace").splitlines()


def _tail(path):
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - LAST))
        return file.read().decode("utf-8", "replace").splitlines()


def _is_about(line, program, idents, address):
    match = OURS.search(line)
    if match:
        who = match["service"] or match["ident"]
        return (who == program if match["service"] else who in idents) and match["host"].partition("%")[0] == address
    match = XINETDS.search(line)
    return match is not None and match["service"] == program and match["host"].removeprefix("::ffff:") == address

