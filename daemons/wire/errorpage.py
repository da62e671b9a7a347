"""Pages for when a request got something else than what it was for: what happened, and what to try next.

They say no more than the status line already told: no version, and of the request only what is given as a hint.
"""

from daemons.wire.pagestyle import escape, page

# RFC 9110, 15.5 and 15.6; RFC 6585 for 429 and 431; RFC 7725 for 451
SENTENCES = {
    400: "The server could not make sense of this request. Check the address for typing errors.",
    401: "This page wants a name and a password. Reload it and sign in.",
    403: "You may not see this page. If you think you should, ask whoever runs this site.",
    404: "There is nothing at this address. Check the spelling, or look for it from the start page.",
    405: "This page cannot be used in that way. Follow a link to it instead of sending something.",
    406: "The page does not come in any form that your browser asked for. Try another browser.",
    408: "The request took too long to arrive. Check your connection and reload the page.",
    409: "This does not fit what is there now. Load the folder anew, then try again.",
    410: "This page was here once and has been removed for good. Any link to it can be deleted.",
    411: "The request did not say how long it is. Send it again with a Content-Length.",
    412: "The page has changed since you last saw it. Load it anew before you change it.",
    413: "What you sent is larger than this server takes. Send less at a time.",
    414: "The address is too long. Shorten it, above all what stands after a question mark.",
    415: "What you sent is of a kind that is not taken here. Save it in another format.",
    416: "The part that was asked for lies beyond the end of the file. Start the download again.",
    417: "The request expects something that this server does not do. Send it without Expect.",
    421: "This connection does not lead to that site. Close the browser tab and open it again.",
    426: "This page needs a newer or safer protocol. Try an address that begins with https.",
    429: "Those were too many requests in a short time. Wait a minute, then reload the page.",
    431: "The request's header is too large. Delete the cookies of this site, then reload the page.",
    451: "This page may not be shown for legal reasons.",
    500: "Something went wrong here, not with you. Try again later.",
    501: "This server does not know how to do that. Try it in another way.",
    502: "A program or server behind this one gave no proper answer. Try again later.",
    503: "The server is too busy or down for maintenance. Wait a minute, then reload the page.",
    504: "A program or server behind this one did not answer in time. Try again later.",
    505: "This server does not speak that version of HTTP. Use HTTP/1.1.",
    507: "There is no room left here. Remove something, or ask whoever runs this site.",
    508: "The address leads back to itself. Tell whoever runs this site.",
}
DEFAULT = "The request could not be completed. Go back and try again."
LEADS_HOME = {403, 404, 405, 406, 410, 414, 451, 500, 501}      # elsewhere the start page would do no better


def error(status: int, reason: str, sentence: str = "", path_hint: str = "") -> bytes:
    """The page of a failed request; without a `sentence` the status has its own.

    `path_hint` is the address as it was asked for, shown as text; leave it out where that is nobody's business.
    """
    body = f"<p>{escape(sentence or SENTENCES.get(status, DEFAULT))}</p>\n"
    if path_hint:
        body += f'<p class="soft">Asked for: <code>{escape(path_hint)}</code></p>\n'
    if status in LEADS_HOME:
        body += '<p><a href="/">Go to the start page</a></p>\n'
    return _notice(status, reason, body)


def moved(status: int, location: str) -> bytes:
    """The page of a redirect (RFC 9110, 15.4), for whoever is not taken there by the browser."""
    shown = f"<code>{escape(location)}</code>"
    link = f'<a href="{escape(location)}">{shown}</a>' if _is_web(location) else shown
    if status in (301, 308):
        return _notice(status, "Moved", f"<p>This page has moved for good. It is now at:</p>\n<p>{link}</p>\n")
    return _notice(status, "Elsewhere", f"<p>What you look for is at another address for now:</p>\n<p>{link}</p>\n")


def _notice(status: int, heading: str, body: str) -> bytes:
    return page(f"{status} {heading}",
                f'<main class="notice">\n<p class="status">{status}</p>\n<h1>{escape(heading)}</h1>\n{body}</main>')


def _is_web(location: str) -> bool:
    """Is this a reference without a scheme, or with one of ours?"""
    first = location.replace("?", "/").replace("#", "/").partition("/")[0]
    return ":" not in first or first.lower() in ("http:", "https:")
