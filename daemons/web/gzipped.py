"""Files that are compressed while they are asked for: which are worth it, and what becomes of them."""

import zlib

LEAST = 1024            # octets below which a packet is a packet
MOST = 1 << 20          # octets above which somebody else should have done it, once and for all (FILE.gz)
LEVEL = 6               # zlib's own compromise
GZIP = 16 + 15          # zlib's word for gzip's header, and its largest window
KINDS = frozenset((
    "application/javascript", "application/json", "application/ld+json", "application/manifest+json",
    "application/rtf", "application/wasm", "application/xml", "application/x-javascript", "application/x-sh",
    "font/otf", "font/ttf", "image/bmp", "image/svg+xml", "image/x-icon", "image/vnd.microsoft.icon"))


def is_worth(kind, size):
    """Is a file of this media type and so many octets to be compressed?"""
    kind = kind.partition(";")[0].strip(" \t").lower()
    fit = kind.startswith("text/") or kind in KINDS or kind.endswith(("+xml", "+json"))
    return fit and LEAST <= size <= MOST and kind != "text/event-stream"


def compressed(body):
    """The same octets as gzip has them (RFC 1952); equal bodies come out equal, without a time in them."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return packer.compress(body) + packer.flush()
