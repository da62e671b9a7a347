"""TLS as a client: whom to believe that it is the server we call, and the handshake with it."""

import ssl

from .ends import NoHandshake
from .tls import VERSIONS, TlsTransport, read_authorities
from .transport import Transport


def client_context(authorities: str | None = None, check: bool = True, alpn: tuple[str, ...] = (),
                   least: str = "1.2") -> ssl.SSLContext:
    """A context to call out with: the server's certificate must be signed by one of `authorities` (a file; None: the
    system's) and be for the name we call, unless `check` is off.  Raises Misuse for a file that cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = VERSIONS[least]
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if not check:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif authorities:
        read_authorities(context, authorities)
    else:
        context.load_default_certs()
    return context


def anchored_context(anchors: tuple[bytes, ...]) -> ssl.SSLContext:
    """A context to call out with, for which these certificates (DER) are the only authorities; names do not count."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version, context.check_hostname = VERSIONS["1.2"], False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=b"".join(anchors))
    return context


def connect(beneath: Transport, context: ssl.SSLContext, name: str, deadline: float) -> TlsTransport:
    """Shake hands as a client of the server `name`, a host name or an address; raises as TlsTransport.shake."""
    try:
        transport = TlsTransport(beneath, context, server=False, name=name)
    except ValueError as error:         # what is no host name
        raise NoHandshake(str(error)) from None
    transport.shake(deadline)
    return transport
