"""A real nginx with the locations of a test: as a server behind our own, or as a proxy before it.

    with Nginx("location / { root /srv; }") as nginx:
        nginx.address
"""

import subprocess
from pathlib import Path

from tests.live import machine, processes
from tests.live.launchers import ROOT, joined

# one process, under the name and in the environment that it was given: by these the end of a test finds it
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    server {{
        listen {listen};
        {locations}
    }}
}}
"""


class Nginx:
    """An nginx at a port of its own; `tls` is a pair of files, certificate and key, under which it listens."""

    def __init__(self, locations, tls=None):
        self.locations, self.tls = locations, tls
        self.program = machine.program("nginx", "nginx-light")

    def __enter__(self):
        self.folder, self.port = Path(processes.new_folder("nginx")), machine.Port()
        self.address = "127.0.0.1", self.port.number
        listen = joined(self.address)
        if self.tls:
            listen += " ssl;\n ssl_certificate {};\n ssl_certificate_key {}".format(*self.tls)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, listen=listen, locations=self.locations))
        with open(self.folder / "log", "ab") as log:
            self.processes = processes.Processes([self.program, "-p", str(self.folder), "-e", f"{self.folder}/log",
                                                  "-c", str(configuration)], cwd=ROOT, stdin=subprocess.DEVNULL,
                                                 stdout=log, stderr=log)
        try:
            machine.until(lambda: machine.listeners("stream", self.address) or self.processes.first.poll() is not None,
                          what="nginx")
            if self.processes.first.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.processes.end()
        self.port.release()
