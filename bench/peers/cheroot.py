"""Cheroot serving one folder: its own threads and HTTP, a file read for each request.  (Debian: python3-cheroot)"""
import os
import sys

sys.path.append("/usr/lib/python3/dist-packages")
from cheroot.wsgi import Server


def application(environ, start_response):
    with open(ROOT + os.path.normpath(environ["PATH_INFO"]), "rb") as file:
        data = file.read()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(data)))])
    return [data]


ROOT, port = sys.argv[1:]
Server(("127.0.0.1", int(port)), application, numthreads=10).start()
