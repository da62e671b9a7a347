"""Waitress serving one folder, a file read for each request.  (Debian: python3-waitress)"""
import os
import sys

sys.path.append("/usr/lib/python3/dist-packages")
from waitress import serve


def application(environ, start_response):
    with open(ROOT + os.path.normpath(environ["PATH_INFO"]), "rb") as file:
        data = file.read()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(data)))])
    return [data]


ROOT, port = sys.argv[1:]
serve(application, host="127.0.0.1", port=int(port), threads=10)
