"""Status codes of HTTP with their reason phrases, and the refusal that carries one (RFC 9110, 15)."""

from collections.abc import Iterable

Rows = Iterable[tuple[str, str]]

REASONS = {
    100: "Continue", 101: "Switching Protocols", 103: "Early Hints",
    200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
    205: "Reset Content", 206: "Partial Content", 207: "Multi-Status",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
    307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required",
    412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
    416: "Range Not Satisfiable", 417: "Expectation Failed", 421: "Misdirected Request",
    422: "Unprocessable Content", 423: "Locked", 424: "Failed Dependency", 426: "Upgrade Required",
    428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout", 505: "HTTP Version Not Supported", 507: "Insufficient Storage", 508: "Loop Detected",
}
BODILESS = {204, 304}           # and 1xx: nothing follows the head (RFC 9112, 6.3)


class Refused(Exception):
    """A request that is answered with an error: its status, a sentence for the log, and fields that go with it.

    `final` says that what follows on the connection cannot be told from the request's own rest, so nothing more is
    read (RFC 9112, 6.3 and 11.2).
    """

    def __init__(self, status: int, why: str, fields: Rows = (), final: bool = False) -> None:
        super().__init__(why)
        self.status, self.fields, self.final = status, tuple(fields), final

    def again(self) -> "Refused":
        """The same to be raised once more: one that was raised before holds on to who was refused then."""
        return Refused(self.status, str(self), self.fields, self.final)


def status_line(status: int, reason: str = "") -> str:
    """The first line of a reply, with its ending; `reason` where a script gave its own."""
    return f"HTTP/1.1 {status} {reason or REASONS.get(status, '')}\r\n"
