"""One connection on descriptor 0: an interpreter that imports socket, and one octet as its greeting."""
import socket

socket.socket(fileno=0).send(b"\n")
