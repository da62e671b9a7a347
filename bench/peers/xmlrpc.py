"""A SimpleXMLRPCServer that keeps connections, with a thread for each, on the listener on descriptor 0."""
import socket
from socketserver import ThreadingMixIn
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer


class Handler(SimpleXMLRPCRequestHandler):
    """As it comes, but it keeps connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


class Server(ThreadingMixIn, SimpleXMLRPCServer):
    """As it comes, but for its socket: the one on descriptor 0."""

    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler, logRequests=False, bind_and_activate=False)
server.socket = socket.socket(fileno=0)
server.register_function(lambda a, b: a + b, "add")
server.serve_forever()
