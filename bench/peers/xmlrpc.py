"""A SimpleXMLRPCServer as it comes, on the listener on descriptor 0; it logs to /dev/null if told to."""
import socket
import sys
from xmlrpc.server import SimpleXMLRPCServer

sys.stderr = open("/dev/null", "w")
server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests="logging" in sys.argv, bind_and_activate=False)
server.socket = socket.socket(fileno=0)
server.register_function(lambda a, b: a + b, "add")
server.serve_forever()
