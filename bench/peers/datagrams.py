"""A datagram socket on descriptor 0; each datagram sent back."""
import socket

sock = socket.socket(fileno=0)
while True:
    data, peer = sock.recvfrom(65535)
    sock.sendto(data, peer)
