"""A listener on descriptor 0; each connection echoed by a thread."""
import _thread
import socket


def echo(peer):
    while data := peer.recv(65536):
        peer.sendall(data)
    peer.close()


listener = socket.socket(fileno=0)
while True:
    _thread.start_new_thread(echo, (listener.accept()[0],))
