"""A SimpleXMLRPCServer as it comes, on the listener on descriptor 0; it logs nothing."""
import socket
from xmlrpc.server import SimpleXMLRPCServer

server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, bind_and_activate=False)
server.socket = socket.socket(fileno=0)
server.register_function(lambda a, b: a + b, "add")
server.serve_forever()
