"""TLS handshakes per second: echod in its fork and thread models, against `openssl s_server`.

All have one certificate (ECDSA on P-256), one cipher suite (TLS_AES_256_GCM_SHA384 or, for 1.2,
ECDHE-ECDSA-AES256-GCM-SHA384) and one group, P-256.  Four clients call one of them for 1.5 seconds, then the next, five
rounds: connect, shake hands, close_notify both ways.  Resumed: each client takes up the session that it got last.
s_server serves one client at a time in one process and logs nothing; echod logs three lines for each conversation to
a process that reads them.  Beside each rate stands the server's processor time for one conversation, which is quieter:
the clients, which are this program, take as much again from the same machine.
"""

import os
import socket
import ssl
import subprocess
import time

from daemons.tools import authority

from . import load, procfs, rounds, servers
from .xinetd import end, free_port, program

ROUNDS, SECONDS = 5, 1.5
VERSIONS = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}
CIPHER = "ECDHE-ECDSA-AES256-GCM-SHA384"        # of 1.2; in 1.3 all prefer TLS_AES_256_GCM_SHA384
# of s_server's rate: full handshakes, and resumed ones, where a fork weighs more
BARS = {False: {"fork": 0.35, "thread": 1.0}, True: {"fork": 0.2, "thread": 1.0}}


def main():
    """Measure, print, and return whether the bars are met."""
    chosen = servers.options(__doc__)
    with servers.Workplace(chosen) as place:
        files = _files(place.folder)
        tls = [f"--tls-cert={files[0]}", f"--tls-key={files[1]}", "--config=/dev/null"]
        argv = {f"{model}{label}": command for model in ("fork", "thread") for label, command in
                place.ours("echod", f"--model={model}", *tls).items()}
        met = []
        for version in VERSIONS:
            for resumed in (False, True):
                met.append(_measure(argv, files, version, resumed))
    return all(met)


def _measure(argv, files, version, resumed):
    kind = "resumed" if resumed else "full"
    with SServer(files, version) as peer:
        hosts = {name: servers.Server(command).__enter__() for name, command in argv.items()}
        try:
            contestants = {**hosts, "s_server": peer}
            for host in contestants.values():
                _ready(host.address, _context(version))
            turns = {name: _rate(host, version, resumed) for name, host in contestants.items()}
            results = rounds.in_turn(turns, ROUNDS)
        finally:
            for host in hosts.values():
                host.__exit__()
    print(f"tls: {kind} handshakes of TLS {version} per second, median of {ROUNDS} rounds of {SECONDS:g} s, "
          f"{load.CLIENTS} clients")
    return rounds.compare(results, BARS[resumed], "s_server")


def _rate(host, version, resumed):
    def run():
        before = host.cpu()
        done = sum(load.clients(load.CLIENTS, lambda _: _calls(host.address, version, resumed), SECONDS))
        return done / SECONDS, (host.cpu() - before) / done
    return run


def _calls(address, version, resumed):
    """One client: how many conversations it held."""
    context, session, done = _context(version), None, 0
    if resumed:
        session, _ = conversation(address, context)
    limit = time.monotonic() + SECONDS
    while time.monotonic() < limit:
        more, reused = conversation(address, context, session)
        if reused != resumed:
            raise load.Broken(f"session_reused is {reused}")
        if resumed:
            session = more
        done += 1
    return done


def conversation(address, context, session=None):
    """Connect, shake hands, end both ways; returns the session, and whether it was taken up."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)      # else our own end would wait for theirs to speak
    sock.connect(address)
    tls = context.wrap_socket(sock, session=session)
    inner = tls._sslobj                 # which the socket forgets as it ends, and with it the session
    try:
        tls.unwrap()                    # reads the session tickets on its way to the server's close_notify
    except ssl.SSLEOFError:
        pass                            # s_server says none
    used = inner.session, inner.session_reused
    sock.close()
    tls.close()
    return used


def _context(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[version]
    context.set_ecdh_curve("prime256v1")
    if version == "1.2":
        context.set_ciphers(CIPHER)
    return context


def _files(folder):
    key = authority.make_key()
    own = authority.make_authority(key, "bench", 2)
    leaf_key = authority.make_key()
    leaf = authority.sign(own, key, leaf_key.public_key(), ["localhost"], 1)
    for name, thing in (("cert.pem", leaf), ("key.pem", leaf_key)):
        with open(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(authority.pem(thing))
    return f"{folder}/cert.pem", f"{folder}/key.pem"


class SServer:
    """`with SServer(files, version) as peer`: openssl s_server, which has nothing to say."""

    def __init__(self, files, version):
        self.address = "127.0.0.1", free_port()
        self.argv = [program("openssl", "openssl"), "s_server", "-accept", str(self.address[1]), "-cert", files[0],
                     "-key", files[1], "-quiet", "-tls1_3" if version == "1.3" else "-tls1_2"]

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        end(self.process.pid)
        self.process.wait()
        self.process.stdin.close()

    def cpu(self):
        """Microseconds of processor time that it used."""
        return procfs.cpu(self.process.pid)


def _ready(address, context, seconds=10):
    limit = time.monotonic() + seconds
    while True:
        try:
            return conversation(address, context)
        except (ConnectionRefusedError, ConnectionResetError):
            if time.monotonic() > limit:
                raise
            time.sleep(0.02)


if __name__ == "__main__":
    raise SystemExit(not main())
