"""A listener, or one connection, on descriptor 0: aiosmtpd and its Maildir handler.  (Debian: python3-aiosmtpd)

Python's Maildir has the file on the disk before it is moved to new/; here that folder is too before 250 is said.
"""
import asyncio
import os
import socket
import sys

sys.path.append("/usr/lib/python3/dist-packages")
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP


class Durable(Mailbox):
    def handle_message(self, message):
        super().handle_message(message)
        os.fsync(new)


class One(SMTP):
    def connection_lost(self, error):
        super().connection_lost(error)
        ended.set()


async def main():
    sock = socket.socket(fileno=0)
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        await loop.create_server(lambda: SMTP(handler, hostname="peer.test", loop=loop), sock=sock)
        await asyncio.Event().wait()
    sock.setblocking(False)
    await loop.connect_accepted_socket(lambda: One(handler, hostname="peer.test", loop=loop), sock)
    await ended.wait()


handler = Durable(sys.argv[1])
new = os.open(f"{sys.argv[1]}/new", os.O_RDONLY)
loop, ended = asyncio.new_event_loop(), asyncio.Event()
loop.run_until_complete(main())
