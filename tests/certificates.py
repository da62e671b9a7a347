"""Authorities, certificates and keys for tests, as files; and the other end of TLS in memory."""

import os
import ssl

from daemons.tools import authority
from tests.play import Peer


class Authority:
    """An authority in a folder: `path` is its certificate's file."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name = str(folder), name
        self.key = authority.make_key()
        self.own = authority.make_authority(self.key, f"the {name} of a test", 30)
        self.path = self.write(f"{name}.pem", self.own)

    def write(self, name, *things):
        """Write keys, certificates or requests into one file, put in place as a whole; its path."""
        path = os.path.join(self.folder, name)
        with open(f"{path}.new", "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.writelines(authority.pem(thing) for thing in things)
        os.replace(f"{path}.new", path)
        return path

    def signed(self, *names, kind="ec", days=30, client=False):
        """(certificate, key), not written."""
        key = authority.make_key(kind)
        return authority.sign(self.own, self.key, key.public_key(), names, days, client), key

    def pair(self, *names, file=None, **how):
        """The paths of a certificate for these names and of its key."""
        base = file or f"{self.name}-{names[0].replace('*', 'any')}"
        certificate, key = self.signed(*names, **how)
        return self.write(f"{base}.pem", certificate), self.write(f"{base}.key", key)

    def client(self, pair=None, least=None, most=None):
        """A context for a client that trusts this authority, and shows a certificate if it has one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.path)
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF        # Python's default hides truncation
        if pair:
            context.load_cert_chain(*pair)
        if least:
            context.minimum_version = least
        if most:
            context.maximum_version = most
        return context


class SecurePeer(Peer):
    """A transport whose other end says plain chunks, then shakes hands and says more under TLS; see play.Peer.

    plain, then said        what it says before the handshake and after it
    heard, heard_secure     what it heard before and after
    last                    how it ends: "notify" (close_notify), "cut" (nothing)
    """

    def __init__(self, context, plain, said, name="localhost", last="notify", session=None):
        super().__init__(plain)
        self.said, self.last, self.heard_secure = list(said), last, b""
        self.sealed, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.sealed, self.outgoing, server_hostname=name, session=session)
        self.shaken = self.their_end = False
        self.error = None

    def receive(self, size, deadline):
        """What comes next; once the plain chunks are said it is TLS."""
        if self.chunks:
            return super().receive(size, deadline)
        while not self.outgoing.pending and self._next():
            pass
        return self.outgoing.read(size)

    def send(self, data, deadline):
        """Hear it, plain or under TLS."""
        if self.chunks or not data.startswith((b"\x14\x03", b"\x15\x03", b"\x16\x03", b"\x17\x03")):
            return super().send(data, deadline)
        self.sealed.write(data)
        self.writes += 1
        self._hear()

    def _next(self):
        """Say one more thing; False when all is said."""
        if not self.shaken:
            self.shaken = not self.error and self._step(lambda: self.tls.do_handshake() or True) is True
            return self.shaken
        self._hear()
        if self.said:
            self._step(lambda: self.tls.write(self.said.pop(0)))
            return not self.error
        if self.last == "notify":
            self.last = None
            self._step(self.tls.unwrap)
            return True
        return False

    def _hear(self):
        while self.shaken and not self.their_end:
            data = self._step(lambda: self.tls.read(65536))
            if not data:
                self.their_end = data == b""
                return
            self.heard_secure += data

    def _step(self, action):
        """Do it as far as it goes; an error is kept."""
        try:
            return action()
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            self.their_end = True
            return b""
        except ssl.SSLError as error:
            self.error = error
            return None
