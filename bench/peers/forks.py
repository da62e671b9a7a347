"""A listener on descriptor 0; each connection echoed by a forked child."""
import os
import signal
import socket

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(fileno=0)
while True:
    peer, _ = listener.accept()
    if os.fork() == 0:
        while data := peer.recv(65536):
            peer.sendall(data)
        os._exit(0)
    peer.close()
