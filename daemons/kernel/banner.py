"""What a super-server itself says to a caller, before anything else is said or instead: a file, or a few words."""

import os
import socket
import stat

LARGEST = 64 << 10      # octets: what the kernel takes for a new connection without anybody reading


def say(sock: socket.socket, path: str) -> str:
    """Send the file as it is, without waiting for the caller; returns why not, or nothing."""
    try:
        text = _content(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "" if words(sock, text) else f"{path}: the caller takes no more of it"


def words(sock: socket.socket, text: bytes) -> bool:
    """Send them without waiting; False if the caller did not take them all.  If he is gone, nothing is missed."""
    try:
        return sock.send(text, socket.MSG_DONTWAIT) == len(text)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _content(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(22, "not a regular file")
        text = os.read(fd, LARGEST + 1)
    finally:
        os.close(fd)
    if len(text) > LARGEST:
        raise OSError(27, f"has more than {LARGEST} octets")
    return text


def last(sock: socket.socket) -> None:
    """End the connection so that what was said arrives: something unread would make TCP throw it away."""
    try:
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536, socket.MSG_DONTWAIT)
    except OSError:
        return                          # gone, or silent until now
