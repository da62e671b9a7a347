"""A real HAProxy in front of one of our programs, which tells it in PROXY headers who calls.

    with HAProxy(("127.0.0.1", 2525), "send-proxy-v2 proxy-v2-options crc32c") as proxy:
        converse(proxy.address, b"hello")
"""

import socket
import ssl
import subprocess
from pathlib import Path

from tests.live import machine, processes
from tests.live.launchers import ROOT, joined

CONFIGURATION = """
global
    maxconn 200
    stats socket {folder}/stats
defaults
    mode tcp
    timeout connect 10s
    timeout client 20s
    timeout server 20s
    timeout check 10s
    option redispatch
listen live
    bind {bind}
    {check}
    server ours {server} {send} {inter}
"""
# without a rule "tcp-check connect", which would have to say send-proxy itself
CHECK = "option tcp-check\n    tcp-check send-binary {octets}\n    tcp-check expect string {text}"


class HAProxy:
    """A listener of HAProxy before `server`, an address (host, port) or a path; `send` are options of its server line.

    tls     callers speak TLS, and show the certificate of `client()`
    check   its health checks send this word, and the server must send it back
    """

    def __init__(self, server, send, host="127.0.0.1", tls=False, check=""):
        self.server, self.send, self.host, self.tls, self.check = server, send, host, tls, check
        self.program = machine.program("haproxy", "haproxy")

    def __enter__(self):
        self.folder, self.port = Path(processes.new_folder("haproxy")), machine.Port()
        self.address = self.host, self.port.number
        bind = joined(self.address)
        if self.tls:
            certificate(self.folder)
            bind += f" ssl crt {self.folder}/pem ca-file {self.folder}/pem verify required"
        server = f"unix@{self.server}" if isinstance(self.server, str) else joined(self.server)
        check = CHECK.format(octets=self.check.encode().hex(), text=self.check) if self.check else ""
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, bind=bind, server=server, send=self.send,
                                                      check=check, inter="check inter 100ms" if check else ""))
        with open(self.folder / "log", "wb") as log:
            self.processes = processes.Processes([self.program, "-db", "-f", str(configuration)], cwd=ROOT,
                                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            machine.until(lambda: machine.listeners("stream", self.address) or self.processes.first.poll() is not None,
                          what="HAProxy")
            if self.processes.first.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.processes.end()
        self.port.release()

    def call(self, source):
        """A socket to it from the address `source`."""
        sock = socket.create_connection(self.address, 10, (source, 0))
        sock.settimeout(10)
        return client(self.folder).wrap_socket(sock) if self.tls else sock

    def health(self):
        """What it thinks of the server: its status, and what its last check gave."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(self.folder / "stats"))
            sock.sendall(b"show stat\n")
            head, *rows = sock.makefile().read().strip().split("\n")
        names = head.removeprefix("# ").split(",")
        row = next(row for row in rows if ",ours," in row)
        found = dict(zip(names, row.split(","), strict=False))
        return found["status"], found["check_status"]


def certificate(folder):
    """Make a key and a certificate of its own, in one file, for both sides."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx.example",
                    "-keyout", f"{folder}/key", "-out", f"{folder}/crt"], check=True, capture_output=True, timeout=60)
    (folder / "pem").write_text((folder / "crt").read_text() + (folder / "key").read_text())


def client(folder):
    """What a caller needs to speak TLS with it."""
    context = ssl.create_default_context(cafile=f"{folder}/crt")
    context.check_hostname = False
    context.load_cert_chain(f"{folder}/pem")
    return context
