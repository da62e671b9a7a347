"""Web servers to measure ourselves against, on loopback ports, and the clients that measure: wrk, ab, curl."""

import re
import socket
import subprocess
import time

from . import load, procfs, xinetd

NGINX = """worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log crit;
events {{ worker_connections 8192; }}
http {{
    access_log {log}; sendfile on; tcp_nopush on; keepalive_requests 100000000; include /etc/nginx/mime.types;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""
LIFETIME = 300          # seconds


class Peer:
    """`with Peer(argv, port) as peer`: a server that binds the port itself; `address` once it answers."""

    def __init__(self, argv, port):
        self.argv, self.address = argv, ("127.0.0.1", port)

    def __enter__(self):
        self.process = subprocess.Popen(["timeout", str(LIFETIME), *self.argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ready(self.address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        xinetd.end(self.process.pid)
        self.process.wait()

    def cpu(self):
        """Microseconds of processor time that it used, and what came of it."""
        return sum(procfs.cpu(pid) for pid in procfs.tree(self.process.pid))


def nginx(folder, root, log="off"):
    """Debian's nginx-light, with two workers."""
    port = xinetd.free_port()
    path = f"{folder}/nginx-{port}.conf"
    with open(path, "w") as file:
        file.write(NGINX.format(folder=folder, root=root, port=port, log=log))
    return Peer([xinetd.program("nginx", "nginx-light"), "-c", path], port)


def standard(python, root):
    """python3 -m http.server, as everybody starts it."""
    port = xinetd.free_port()
    return Peer([python, "-m", "http.server", "--bind", "127.0.0.1", "--directory", root, str(port)], port)


def library(argv, root):
    """A peer of bench/peers that is told its folder and port."""
    port = xinetd.free_port()
    return Peer([*argv, root, str(port)], port)


def ready(address, seconds=10):
    """Return once it answers a request."""
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(address, 5) as sock:
                sock.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
                if sock.recv(5) == b"HTTP/":
                    return
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def requests(server, path, connections, seconds):
    """A contestant: requests over so many connections that stay (wrk); how many a second, and CPU time each in us."""
    def run():
        before = server.cpu()
        url = "http://{}:{}{}".format(*server.address, path)
        said = _run(xinetd.program("wrk", "wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", url)
        done = int(re.search(r"(\d+) requests in", said)[1])
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", said)
        if bad:
            raise load.Broken(said)
        return float(re.search(r"Requests/sec: +([\d.]+)", said)[1]), (server.cpu() - before) / done
    return run


def connections(server, address, path, count, clients):
    """A contestant: a new connection for each of `count` requests (ab without -k)."""
    def run():
        before = server.cpu()
        url = "http://{}:{}{}".format(*address, path)
        said = _run(xinetd.program("ab", "apache2-utils"), "-q", "-n", str(count), "-c", str(clients), url)
        if not re.search(r"Failed requests: +0\n", said) or "Non-2xx" in said:
            raise load.Broken(said)
        return float(re.search(r"Requests per second: +([\d.]+)", said)[1]), (server.cpu() - before) / count
    return run


def download(server, path, size):
    """A contestant: one large file (curl); megabytes a second, and CPU time for each megabyte in us."""
    def run():
        before = server.cpu()
        url = "http://{}:{}{}".format(*server.address, path)
        said = _run(xinetd.program("curl", "curl"), "-s", "-o", "/dev/null", "-w", "%{size_download} %{speed_download}",
                    url)
        got, speed = said.split()
        if int(got) != size:
            raise load.Broken(f"{got} octets of {size}")
        return float(speed) / 1e6, (server.cpu() - before) / (size / 1e6)
    return run


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise load.Broken(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout
