"""What a server that knows nothing of it has before it: a proxy's header, and TLS."""

from collections.abc import Callable

from .ends import Denied
from .options import read
from .service import Service
from .stream import Stream

Prepare = Callable[[Stream], None]


def front(name: str, proxies: str = "", certificate: str = "", key: str = "") -> Prepare:
    """A function that takes a caller's stream through both, so that what is left is for the server called `name`.

    proxies           networks whose callers begin with a PROXY header; from others nobody is taken
    certificate, key  PEM files, for TLS from the first octet behind that; read now, and once
    The function raises ends.End for a caller who does not come through.  Raises Misuse.
    """
    words = [f"--{option}={value}" for option, value in (
        ("proxy-protocol", proxies), ("tls-cert", certificate), ("tls-key", key)) if value]
    service = Service(name, about="")
    options = read(service, ["--config=/dev/null", *words], {})
    security = None
    if certificate:
        from .tls import Security
        security = Security(options, service)

    def prepare(stream: Stream) -> None:
        if options.proxy_protocol is not None:
            from . import proxied
            if stream.peer not in options.proxy_protocol:
                raise Denied(proxied.FOREIGN)
            proxied.hear(stream)
        if security is not None:
            begun = stream.unread()
            stream.upgrade(lambda transport: security.accept(transport, begun))
    return prepare
