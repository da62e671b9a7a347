"""Real mail filters of others, each at a Unix socket or a port of its own: OpenDKIM, rspamd, and one of libmilter."""

import os
import subprocess
from pathlib import Path

from tests.live import machine, processes

OPENDKIM = """
Socket {socket}
Mode {mode}
Domain signed.test
Selector rsa
KeyFile {key}
Canonicalization relaxed/relaxed
TestPublicKeys {folder}/records
InternalHosts {folder}/internal
AuthservID filter.test
AlwaysAddARHeader yes
RequireSafeKeys no
Syslog no
UMask 000
"""
# without the network, and without what takes rspamd a minute to get ready; of two values, the first is in force
RSPAMD = """
.include "$CONFDIR/common.conf"
options {{
    url_tld = "{folder}/tld"; disable_hyperscan = true; control_socket = "{folder}/control mode=0600";
    pidfile = "{folder}/pid"; dynamic_conf = "{folder}/dynamic";
    dns {{ timeout = 0.1s; retransmits = 1; nameserver = ["127.0.0.1:9"]; }}
    .include "$CONFDIR/options.inc"
}}
logging {{ type = "console"; level = "info"; }}
worker "rspamd_proxy" {{
    bind_socket = "{folder}/socket mode=0666"; milter = yes; timeout = 20s; count = 1;
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
"""


class Peer:
    """A filter's process; `place` is how smtpd is told of it."""

    def __init__(self, argv, folder, place, listening, is_hidden=False):
        self.folder, self.place, self.is_hidden = folder, place, is_hidden
        with open(folder / "output", "wb") as output:
            self.processes = processes.Processes(argv, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            machine.until(lambda: listening() or self.processes.first.poll() is not None, 30, argv[0])
            if self.processes.first.poll() is not None:
                raise RuntimeError(self.log())
        except BaseException:
            print(f"--- {place} ---\n{self.log()}")
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(f"--- {self.place} ---\n{self.log()}")
        self.end()

    def end(self):
        """Stop it; one that writes over its environment must end by itself, for the mark is gone with it."""
        if self.is_hidden:
            self.processes.first.terminate()
            self.processes.first.wait(20)
        self.processes.end()

    def log(self):
        """What it has said so far."""
        return (self.folder / "output").read_text(errors="replace")


def opendkim(mode, key, records):
    """OpenDKIM with mode "s" (all here is signed as signed.test) or "v" (nobody is from here)."""
    program, folder = machine.program("opendkim", "opendkim"), Path(processes.new_folder("opendkim"))
    (folder / "internal").write_text("127.0.0.1\n" if mode == "s" else "192.0.2.99\n")
    (folder / "records").write_text("".join(f"{name} {record}\n" for name, record in records.items()))
    (folder / "conf").write_text(OPENDKIM.format(socket=f"local:{folder}/socket", mode=mode, key=key, folder=folder))
    return Peer([program, "-f", "-x", str(folder / "conf")], folder, f"unix:{folder}/socket",
                (folder / "socket").exists)


def rspamd():
    """Rspamd with its own rules, and nobody to ask."""
    program, folder = machine.program("rspamd", "rspamd"), Path(processes.new_folder("rspamd"))
    (folder / "tld").write_text("com\norg\nnet\ntest\nexample\n")
    (folder / "conf").write_text(RSPAMD.format(folder=folder))
    argv = [program, "-f", "-i", "-c", str(folder / "conf"), f"--var=DBDIR={folder}", f"--var=RUNDIR={folder}"]
    return Peer(argv, folder, f"unix:{folder}/socket", (folder / "socket").exists, is_hidden=True)


def libmilter(port=None):
    """milterd.py, at a port or a Unix socket; `heard()` are the lines that it noted."""
    python, folder = "/usr/bin/python3", Path(processes.new_folder("milterd"))
    if not os.path.exists(python) or subprocess.run([python, "-c", "import Milter"], capture_output=True).returncode:
        machine.unavailable("Milter is not installed (Debian package python3-milter)")
    notes, script = folder / "notes", str(Path(__file__).with_name("milterd.py"))
    notes.touch()
    where = f"inet:{port.number}@127.0.0.1" if port else f"unix:{folder}/socket"
    made = Peer([python, script, where, str(notes)], folder, f"127.0.0.1:{port.number}" if port else where,
                lambda: machine.listeners("stream", ("127.0.0.1", port.number)) if port else
                (folder / "socket").exists())
    made.heard = lambda: notes.read_text().splitlines()
    return made
