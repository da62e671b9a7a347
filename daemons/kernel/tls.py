"""TLS over any transport: certificates chosen by name and read anew when they change, handshakes, sealed octets.

Loaded only where a certificate is configured, or a program calls out under TLS (tlsclient.py).
OpenSSL sees two buffers in memory and never a descriptor: what is waited for, and how long, stays with the
transport beneath, so all deadlines and orders to stop hold as they do without TLS.
"""

import os
import socket
import ssl
import sys
import time

from . import certificate, log
from .addresses import Address, address
from .ends import End, Late, LateHandshake, NoHandshake, Overtime, Reset, Stopped, Truncated
from .inherited import Given
from .options import Misuse, Options
from .service import Service
from .transport import Octets, SocketTransport, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PIECE = 65536           # octets taken from the transport beneath at a time
RECORD = 16384          # plain octets that one record holds, RFC 8446, 5.1
DER = 2                 # of OpenSSL's encodings of a certificate
PARTING = 2.0           # seconds in which our close_notify must find room
REHEARSALS = 10         # of each version; more make no difference
LOOK = 1.0              # seconds between looks at the files
# forward secrecy and authenticated encryption only; TLS 1.3 has nothing else
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# OpenSSL's reasons: the key is another certificate's, or the certificate is refused whatever the key
ANOTHERS = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
WEAK = ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK")
CLIENTS = {"no": ssl.CERT_NONE, "ask": ssl.CERT_OPTIONAL, "require": ssl.CERT_REQUIRED}
ANYWHERE = ("0.0.0.0", "::")
SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
         "stateOrProvinceName": "ST", "localityName": "L", "domainComponent": "DC", "userId": "UID"}


class Handshake:
    """What was agreed on: `client` is the subject of the client's certificate (RFC 4514), if it was asked for one.

    version, cipher   as OpenSSL calls them
    name, alpn        the server name that the client asked for, and the protocol chosen; "" where there is none
    resumed           whether an earlier session was taken up again
    """

    __slots__ = ("alpn", "cipher", "client", "name", "resumed", "version")

    def __init__(self, tls: ssl.SSLObject, name: str) -> None:
        self.version, self.name = tls.version() or "", name
        self.cipher = (tls.cipher() or ("",))[0]
        self.alpn = tls.selected_alpn_protocol() or ""
        self.client = _subject(tls.getpeercert() or {})
        self.resumed = bool(tls.session_reused)

    def facts(self) -> dict[str, str]:
        """What there is to log."""
        found = {"version": self.version, "cipher": self.cipher, "name": self.name, "alpn": self.alpn,
                 "client": self.client, "resumed": "yes" if self.resumed else "no"}
        return {key: value for key, value in found.items() if value}


class TlsTransport(Transport):
    """TLS over another transport, which keeps the time, the end of the conversation and orders to stop."""

    secure = True
    tls: Handshake

    def __init__(self, beneath: Transport, context: ssl.SSLContext, server: bool = True, name: str | None = None,
                 begun: bytes = b"") -> None:
        self.beneath, self._server = beneath, server
        if isinstance(beneath, SocketTransport) and beneath.sock.family in (socket.AF_INET, socket.AF_INET6):
            # what we write is whole already; held back, an answer would wait for the tickets to be acknowledged
            beneath.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sealed, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        if begun:
            self._sealed.write(begun)
        self._tls = context.wrap_bio(self._sealed, self._outgoing, server_side=server, server_hostname=name)
        self._early = bytearray()       # opened before anybody asked
        self._held = b""                # sealed, and not taken by the transport beneath yet
        self._promised = 0              # plain octets in it that `offer` has still to call taken
        self._more, self._ended, self._parted = True, False, False

    # -- what the transport beneath keeps --

    @property
    def end(self) -> float | None:
        """As Transport.end."""
        return self.beneath.end

    @end.setter
    def end(self, value: float | None) -> None:
        """As Transport.end."""
        self.beneath.end = value

    @property
    def why(self) -> type[Late]:        # type: ignore[override]
        """As Transport.why."""
        return self.beneath.why

    @property
    def waiting(self) -> bool:
        """As Transport.waiting."""
        return self.beneath.waiting

    @waiting.setter
    def waiting(self, value: bool) -> None:
        """As Transport.waiting."""
        self.beneath.waiting = value

    @property
    def stopped(self) -> bool:          # type: ignore[override]
        """As Transport.stopped."""
        return self.beneath.stopped

    @property
    def idle(self) -> bool:
        """As Transport.idle."""
        return self.beneath.idle

    @idle.setter
    def idle(self, value: bool) -> None:
        """As Transport.idle."""
        self.beneath.idle = value

    @property
    def leaving(self) -> bool:          # type: ignore[override]
        """As Transport.leaving."""
        return self.beneath.leaving

    def hurry(self, seconds: float) -> None:
        """As Transport.hurry."""
        self.beneath.hurry(seconds)

    def leave(self) -> None:
        """As Transport.leave."""
        self.beneath.leave()

    def stop(self) -> None:
        """As Transport.stop."""
        self.beneath.stop()

    def wait(self, fd: int, what: int, deadline: float | None) -> None:
        """As Transport.wait."""
        self.beneath.wait(fd, what, deadline)

    def fileno(self) -> int:
        """As Transport.fileno; see `pending`."""
        return self.beneath.fileno()

    def sink_fileno(self) -> int:
        """As Transport.sink_fileno."""
        return self.beneath.sink_fileno()

    # -- the handshake --

    def shake(self, deadline: float) -> None:
        """Agree on keys; raises NoHandshake, having told the peer why, and Overtime or Stopped.

        In TLS 1.3 a server's last words of it, session tickets, leave with the first of the conversation.
        """
        try:
            while not self._shaken():
                self._push(deadline)
                self._feed(self.beneath.receive(PIECE, deadline))
            if not (self._server and self._tls.version() == "TLSv1.3"):
                self._push(deadline)
        except ssl.SSLError as error:
            self._push_what_can_be()
            raise NoHandshake(_short(error)) from None
        except ssl.CertificateError as error:
            raise NoHandshake(str(error)) from None
        except (Overtime, Stopped):
            raise
        except Late:
            raise LateHandshake("the peer took too long") from None
        except Reset as end:
            raise NoHandshake("the peer closed" if isinstance(end, Truncated) else str(end)) from None
        self.tls = Handshake(self._tls, getattr(self._tls, "asked", ""))

    def _shaken(self) -> bool:
        try:
            self._tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def certificates(self) -> list[bytes]:
        """What the peer has shown, verified or not: its own certificate first, in DER."""
        inner: Any = getattr(self._tls, "_sslobj", None)        # Python tells of it openly from 3.13 on
        return [one.public_bytes(DER) for one in inner.get_unverified_chain() or ()]

    # -- reading --

    def pending(self) -> bool:
        """As Transport.pending."""
        return bool(self._early) or self._more

    def take(self, size: int) -> bytes | None:
        """As Transport.take; raises Truncated."""
        while (data := self._opened(size)) is None:
            sealed = self.beneath.take(PIECE)
            if sealed is None:
                if not self._promised:
                    self._push(time.monotonic() + PARTING)
                return None
            if not sealed and self.stopped:
                raise Stopped("the peer was silent")
            self._feed(sealed)
        return data

    def receive(self, size: int, deadline: float | None) -> bytes:
        """As Transport.receive; raises Truncated."""
        while (data := self._opened(size)) is None:
            self._push(deadline)
            self._feed(self.beneath.receive(PIECE, deadline))
        return data

    def _feed(self, sealed: bytes) -> None:
        if not sealed:
            raise Truncated("the connection ended without TLS's close_notify")
        self._sealed.write(sealed)

    def _opened(self, size: int) -> bytes | None:
        """What can be opened of what has come: None when nothing can, b"" after the peer's close_notify."""
        if self._early:
            data = bytes(self._early[:size])
            del self._early[:size]
            return data
        return self._open(size)

    def _open(self, size: int) -> bytes | None:
        if self._ended:
            return b""
        try:
            data = self._tls.read(size)
        except ssl.SSLWantReadError:
            self._more = False
            return None
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError as error:
            self._push_what_can_be()
            raise Reset(_short(error)) from None
        self._ended, self._more = not data, bool(data)
        return data

    # -- writing --

    def send(self, data: Octets, deadline: float | None) -> None:
        """As Transport.send."""
        rest = memoryview(data)
        for start in range(0, len(rest), PIECE):
            self._seal(rest[start:start + PIECE])
            self._push(deadline)

    def offer(self, data: Octets) -> int:
        """As Transport.offer; what was not taken must be offered again, unchanged, since it is sealed already."""
        if not self._held and not self._promised:
            piece = memoryview(data)[:RECORD]
            self._seal(piece)
            self._promised, self._held = len(piece), self._outgoing.read()
        self._held = self._held[self.beneath.offer(self._held):]
        if self._held:
            return 0
        taken, self._promised = self._promised, 0
        return taken

    def send_file(self, fd: int, offset: int, count: int, deadline: float | None) -> int:
        """As Transport.send_file."""
        data = os.pread(fd, min(count, PIECE), offset)
        self.send(data, deadline)
        return len(data)

    def half_close(self) -> None:
        """As Transport.half_close: close_notify, and beneath it the same, unless the peer has ended already."""
        if not self._parted:
            self._parted = True
            while data := self._open(PIECE):    # OpenSSL takes data after close_notify for an error, except in a read
                self._early += data
            try:
                self._tls.unwrap()
            except ssl.SSLWantReadError:
                pass                            # ours is on its way; it would wait for the peer's
            except ssl.SSLError as error:
                raise Reset(_short(error)) from None
            self._push(time.monotonic() + PARTING)
        if not self._ended:
            self.beneath.half_close()

    def close(self) -> None:
        """As Transport.close; only half_close says close_notify, so what was cut off is known to be."""
        self.beneath.close()

    def _seal(self, data: memoryview) -> None:
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise Reset(_short(error)) from None

    def _push(self, deadline: float | None) -> None:
        """Hand everything sealed to the transport beneath."""
        if self._held or self._outgoing.pending:
            sealed, self._held = self._held + self._outgoing.read(), b""
            self.beneath.send(sealed, deadline)

    def _push_what_can_be(self) -> None:
        """The alert that says what was wrong, to a peer that may be gone."""
        try:
            self._push(time.monotonic())
        except End:
            return


class Security:
    """A program's TLS: which conversations are under it, with which certificates."""

    def __init__(self, options: Options, service: Service) -> None:
        self.options, self.service = options, service
        self.everywhere, self.marked = True, list[Address]()
        self._next_look = time.monotonic() + LOOK
        self._files = [*options.tls_cert, *(options.tls_key or ()), *([options.tls_ca] if options.tls_ca else [])]
        self._state = self._look()
        self._shown: list[tuple[str, certificate.Certificate]] = []
        self._leaves = self._load()
        # The keys of session tickets are this context's, for as long as we and our children live; it hands each
        # conversation on to one that may have been made since.
        self._front = self._context()
        self._front.load_cert_chain(*self._default)
        self._front.sni_callback = self._choose
        sys.unraisablehook = _unraised

    # -- which conversations --

    def arrange(self, given: list[Given]) -> None:
        """Decide by --tls, and by the names and ports of what we were given; raises Misuse."""
        mode, service = self.options.tls, self.service
        if mode == "offer" and not service.upgrades:
            raise Misuse(f"{service.name} has no command that begins TLS; say --tls=implicit, or leave --tls out")
        if mode == "auto":
            self.marked = [address(one.sock.getsockname()) for one in given if one.is_secure(service)]
        self.everywhere = mode == "implicit" or (mode == "auto" and not self.marked and not service.upgrades)

    def implicit(self, local: Address) -> bool:
        """Does a conversation at this address begin with a handshake?"""
        return self.everywhere or any(one.word == local.word and one.port == local.port and
                                      one.host in (local.host, *ANYWHERE) for one in self.marked)

    # -- handshakes --

    def accept(self, beneath: Transport, begun: bytes = b"") -> TlsTransport:
        """Shake hands as a server; `begun` has come already.  Raises NoHandshake, Overtime, Stopped."""
        transport = TlsTransport(beneath, self._front, begun=begun)
        transport.shake(time.monotonic() + self.options.tls_timeout)
        return transport

    def _choose(self, tls: "Any", name: str | None, _: ssl.SSLContext) -> None:
        """The certificate for the name that the client asks for, by RFC 6066; the first if there is none for it."""
        leaves = self._leaves
        tls.asked = name or ""
        wanted = tls.asked.lower().rstrip(".")
        tls.context = next((context for names, context in leaves
                            if any(certificate.covers(one, wanted) for one in names)), leaves[0][1])

    # -- certificates --

    def refresh(self) -> None:
        """Read the files anew if they have changed; what cannot be read leaves everything as it was."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK
        state = self._look()
        if state == self._state:
            return
        self._state = state
        try:
            self._leaves = self._load()
        except Misuse as error:
            log.event("unrenewed", text=str(error))
        else:
            log.event("renewed", files=",".join(self.options.tls_cert))

    def findings(self) -> list[tuple[str, str]]:
        """For --explain: what is secure, and by what."""
        options = self.options
        at = " ".join(map(str, self.marked))
        where = "from the first octet" if self.everywhere else f"from the first octet at {at}" if at else ""
        if self.service.upgrades and not self.everywhere:
            where = f"{where}, elsewhere offered" if where else "offered"
        lines = [("tls", f"{where}; TLS {options.tls_min} or newer, client certificates: {options.tls_clients}")]
        for path, one in self._shown:
            lines.append(("certificate", f"{path} for {' '.join(one.names) or 'no name'}, until {one.until} UTC"))
        return lines

    def _look(self) -> list[tuple[int, ...] | None]:
        """What would be different of a changed file."""
        found: list[tuple[int, ...] | None] = []
        for path in self._files:
            try:
                status = os.stat(path)
                found.append((status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev))
            except OSError:
                found.append(None)
        return found

    def _context(self) -> ssl.SSLContext:
        options = self.options
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = VERSIONS[options.tls_min]
        context.set_ciphers(CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        if self.service.alpn:
            context.set_alpn_protocols(list(self.service.alpn))
        context.verify_mode = CLIENTS[options.tls_clients]
        if options.tls_ca:
            read_authorities(context, options.tls_ca)
        return context

    def _load(self) -> list[tuple[tuple[str, ...], ssl.SSLContext]]:
        """(names, context) for each certificate, those for equal names in one; raises Misuse."""
        options, unused = self.options, set(self.options.tls_key or ())
        leaves: dict[tuple[str, ...], ssl.SSLContext] = {}
        shown, pairs = [], []
        for path in options.tls_cert:
            one = _certificate(path)
            context = leaves.get(one.names) or self._context()
            key = _own_key(path, tuple(options.tls_key or ()))
            context.load_cert_chain(path, key)
            unused.discard(key)
            leaves[one.names] = context
            shown.append((path, one))
            pairs.append((path, key))
        for key in unused:
            raise Misuse(f"--tls-key: {key} belongs to none of the certificates: {', '.join(options.tls_cert)}")
        self._shown, self._default = shown, pairs[0]
        return list(leaves.items())

    def rehearse(self) -> None:
        """Hold conversations with ourselves, so that forked children find OpenSSL's tables and our code ready."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for _ in range(REHEARSALS):
                try:
                    transport = self.accept(_Rehearsal(version))
                except NoHandshake:     # not our version, or no client's certificate: as far as it goes
                    break
                transport.tls.facts()
                while data := transport.receive(PIECE, None):
                    transport.send(data, None)
                transport.half_close()


class _Rehearsal(Transport):
    """The other end of a handshake with ourselves: it says something, and ends."""

    def __init__(self, version: ssl.TLSVersion) -> None:
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = version
        self._sealed, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._sealed, self._outgoing, server_hostname="localhost")

    def receive(self, size: int, deadline: float | None) -> bytes:
        """As Transport.receive; b"" when it has nothing to say."""
        try:
            self._tls.do_handshake()
            self._tls.write(b"a line\r\n")
            self._tls.unwrap()
        except ssl.SSLError:            # it waits for the other side, or that has refused
            pass
        return self._outgoing.read()

    def send(self, data: Octets, deadline: float | None) -> None:
        """As Transport.send."""
        self._sealed.write(data)

    def half_close(self) -> None:
        """As Transport.half_close."""


def read_authorities(context: ssl.SSLContext, path: str) -> None:
    """Have a context believe the authorities in a PEM file; raises Misuse."""
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise Misuse(f"{path}: no certificates of authorities in it") from None
    except OSError as error:
        raise Misuse(f"{path}: {error.strerror}") from None


def _certificate(path: str) -> certificate.Certificate:
    """The certificate in a file, and a warning where it is of no use now; raises Misuse."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            one = certificate.first(file.read())
    except OSError as error:
        raise Misuse(f"--tls-cert: {path}: {error.strerror}") from None
    except ValueError as error:
        raise Misuse(f"--tls-cert: {path}: {error}; it must be a PEM file") from None
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    if not one.since <= now <= one.until:
        state = f"has expired on {one.until}" if now > one.until else f"is not valid before {one.since}"
        log.event("warning", text=f"the certificate in {path} {state} UTC")
    return one


def _own_key(path: str, keys: tuple[str, ...]) -> str:
    """The file, among these and the certificate's, with the key that belongs to a certificate; raises Misuse."""
    for key in (*keys, path):
        try:
            with open(key, "rb"):       # so that a file that cannot be read is told from one that is wrong
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key, _no_password)
        except ssl.SSLError as error:
            if error.reason in ANOTHERS or (key == path and error.reason not in WEAK):
                continue
            raise Misuse(f"--tls-cert: {path} with key {key}: {_short(error)}") from None
        except OSError as error:
            raise Misuse(f"--tls-key: {key}: {error.strerror}") from None
        except Locked:
            raise Misuse(f"--tls-key: {key} is locked with a password, and a daemon has nobody to ask; "
                         f"unlock it: openssl pkey -in {key} -out NEW") from None
        if os.stat(key).st_mode & 0o004:
            log.event("warning", text=f"anybody may read the private key in {key}; say chmod o-r {key}")
        return key
    raise Misuse(f"--tls-cert: {path}: no key that belongs to it in {', '.join([*keys, path])}; name it with --tls-key")


class Locked(Exception):
    """A private key wants a password."""


def _no_password() -> bytes:
    raise Locked


def _short(error: ssl.SSLError) -> str:
    """OpenSSL's short reason, in small letters."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    text = str(error.reason or error.strerror or error)
    return text.lower().replace("_", " ")


def _subject(peer: "dict[str, Any]") -> str:
    """A certificate's subject as one line, RFC 4514: the most special name first."""
    return ",".join("+".join(f"{SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in group)
                    for group in reversed(peer.get("subject", ())))


def _escaped(value: str) -> str:
    text: str = "".join(f"\\{char}" if char in ',+"\\<>;=' else char for char in value)
    return f"\\{text}" if text.startswith(("#", " ")) else text


def _unraised(what: "sys.UnraisableHookArgs") -> None:
    """A server name that is no ASCII breaks Python's own part of the handshake, which then says so on descriptor 2."""
    if not (what.exc_type is UnicodeDecodeError and isinstance(what.object, bytes)):
        sys.__unraisablehook__(what)
