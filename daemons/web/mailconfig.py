"""Mail client configuration over HTTP: the paths where mail programs look for it.

Thunderbird asks at /mail/config-v1.1.xml of the host autoconfig.DOMAIN, or below /.well-known/autoconfig/ of DOMAIN
itself, Outlook at /autodiscover/autodiscover.xml, in whatever letters, of both DOMAIN and autodiscover.DOMAIN.  Apple's
devices ask for nothing: people are given a link, /email.mobileconfig?email=ADDRESS.
"""

from daemons.wire import mailconfig
from daemons.wire.mailconfig import INVALID, NO_ADDRESS, NO_PROVIDER, SCHEMAS

from . import files

ASKED_AT = ("autoconfig.", "autodiscover.", "mail.", "www.")       # hosts of a domain, at which it is asked for
XML = (("Content-Type", "text/xml; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
PROFILE = (("Content-Type", "application/x-apple-aspen-config"), ("X-Content-Type-Options", "nosniff"),
           ("Content-Disposition", 'attachment; filename="email.mobileconfig"'))


def prepare(place):
    """Understand what the file of sites says of a place; returns the files that it will read.  Raises ValueError."""
    if place.made is None:
        place.made = mailconfig.parse(place.rest)
    return []


def answer(exchange, site, place):
    """Tell how mail is fetched and sent; what is asked for at another path is answered as without the place."""
    prepare(place)
    rest = exchange.target.segments[len(place.prefix):]
    ask = PATHS.get(b"/".join(rest).lower())
    if ask is not None:
        return ask(exchange, place.made)
    if site.root is None:
        exchange.refuse(404, "nothing is served here")
    return files.answer(exchange, site)


def autoconfig(exchange, settings):
    """Answer Thunderbird, and those who ask as it does."""
    if exchange.request.method not in ("GET", "HEAD"):
        return files.answer_method(exchange, exchange.request.method)
    asked = mailconfig.email(mailconfig.parameter(exchange.query, "emailaddress"))
    if asked and not settings.knows(asked):
        exchange.refuse(404, "a domain of somebody else")
    domain = asked.rpartition("@")[2] or domain_of(exchange.host[0])
    if not domain and not settings.domains:
        exchange.refuse(404, "no host tells of which domain")
    exchange.reply(200, XML, mailconfig.autoconfig(settings, domain))


def domain_of(host):
    """The domain for whose mail a host is asked."""
    return next((host[len(one):] for one in ASKED_AT if host.startswith(one) and "." in host[len(one):]), host)


def autodiscover(exchange, settings):
    """Answer Outlook; its errors are answers as well."""
    if exchange.request.method != "POST":
        return files.answer_method(exchange, exchange.request.method, "OPTIONS, POST")
    data = b""
    while len(data) <= mailconfig.REQUEST and (piece := exchange.body.read()):
        data += piece
    try:
        asked = mailconfig.autodiscover_request(data)
    except ValueError:
        return _error(exchange, INVALID)
    if asked.schema not in ("", SCHEMAS + mailconfig.OUTLOOK):         # a telephone's, for Exchange ActiveSync
        return _error(exchange, NO_PROVIDER)
    address = mailconfig.email(asked.email)
    if not address or not settings.knows(address):
        return _error(exchange, NO_ADDRESS)
    return exchange.reply(200, XML, mailconfig.autodiscover(settings, address))


def _error(exchange, code):
    clock = int(exchange.stream.time()) % 86400
    text = f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}"
    exchange.reply(200, XML, mailconfig.autodiscover_error(code, text))


def profile(exchange, settings):
    """Answer Apple's devices."""
    if exchange.request.method not in ("GET", "HEAD"):
        return files.answer_method(exchange, exchange.request.method)
    address = mailconfig.email(mailconfig.parameter(exchange.query, "email", "emailaddress"))
    if not address:
        exchange.refuse(400, "no address to make a profile for")
    if not settings.knows(address):
        exchange.refuse(404, "a domain of somebody else")
    exchange.reply(200, PROFILE, mailconfig.profile(settings, address))


PATHS = {b"mail/config-v1.1.xml": autoconfig, b".well-known/autoconfig/mail/config-v1.1.xml": autoconfig,
         b"autodiscover/autodiscover.xml": autodiscover, b"email.mobileconfig": profile}
