"""A listener on descriptor 0; each connection echoed by a forked child."""
import os
import socket

listener, children = socket.socket(fileno=0), 0
while True:
    peer, _ = listener.accept()
    if os.fork() == 0:
        while data := peer.recv(65536):
            peer.sendall(data)
        os._exit(0)
    peer.close()
    children += 1
    while children and os.waitpid(-1, os.WNOHANG)[0]:
        children -= 1
