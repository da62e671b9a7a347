"""How it is known that a web server started us."""

import os
import socket
import subprocess
import sys

import pytest

from daemons.kernel import undercgi
from daemons.tools.stubs import CHECKOUT

CGI = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"}
# says whether it was asked, then answers with what it read, in capitals
SCRIPT = """
import os, sys
from daemons.kernel import descriptors, undercgi
from daemons.kernel.stream import Stream
descriptors.shelter()
if not undercgi.is_asked(os.environ):
    os._exit(3)
stream = Stream(undercgi.opened())
stream.send(stream.block(int(os.environ["CONTENT_LENGTH"])).upper())
stream.close()
"""


def start(environment, **popen):
    """Start it as a web server would; the process."""
    return subprocess.Popen([sys.executable, "-c", SCRIPT], env={**os.environ, **CGI, **environment}, cwd=CHECKOUT,
                            stderr=subprocess.DEVNULL, **popen)


@pytest.mark.parametrize("environment, asked", [
    (CGI, True), ({"REQUEST_METHOD": "GET"}, False), ({"GATEWAY_INTERFACE": "CGI/1.1"}, False),
    ({**CGI, "GATEWAY_INTERFACE": "FastCGI"}, False), ({}, False)])
def test_variables(environment, asked):
    assert undercgi.is_asked(environment) is asked         # pytest's descriptor 0 is no socket


def test_pipes():
    with start({"CONTENT_LENGTH": "5"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.communicate(b"hello", timeout=20)[0] == b"HELLO"


def test_no_body():
    with start({"CONTENT_LENGTH": "0"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.communicate(timeout=20)[0] == b"" and process.returncode == 0


def test_a_unix_socket_as_mod_cgid_has_it():
    ours, theirs = socket.socketpair()
    with ours, start({"CONTENT_LENGTH": "5"}, stdin=theirs, stdout=theirs) as process:
        theirs.close()
        ours.settimeout(20)
        ours.sendall(b"hello")
        assert ours.recv(100) == b"HELLO" and ours.recv(100) == b""
        ours.close()
        assert process.wait(20) == 0


def test_a_connection_of_the_internet_is_a_clients():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()), \
            listener.accept()[0] as theirs, start({"CONTENT_LENGTH": "0"}, stdin=theirs, stdout=theirs) as process:
        assert process.wait(20) == 3


@pytest.mark.parametrize("query, arguments, may", [
    ("", ["--debug"], False), ("a=b", ["--debug"], False), ("--debug", ["--debug"], True), ("--debug", [], False),
    ("--methods%3Dos", ["--methods=os"], True)])
def test_words_of_a_client(query, arguments, may):
    assert undercgi.has_words_of_a_client({"QUERY_STRING": query}, arguments) is may
